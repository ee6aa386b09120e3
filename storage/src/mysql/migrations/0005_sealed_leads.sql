-- Leads with everything personal sealed, each with a key of its own, and the table of keys. Common subset of MySQL 8.4 and MariaDB 11.4.

CREATE TABLE IF NOT EXISTS lead_key_nodes (
  tree_id char(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  first_leaf int NOT NULL,
  last_leaf int NOT NULL,
  wrapped_seed varbinary(60) NOT NULL,
  PRIMARY KEY (tree_id, first_leaf)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS lead_copies (
  lead_id char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  key_tree char(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  key_leaf int NOT NULL,
  PRIMARY KEY (lead_id, key_tree, key_leaf)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- MySQL has no ADD COLUMN IF NOT EXISTS: the statement is made only when the columns are not there, so that it can be repeated.
SET @millrace_add_sealed = IF(
  (SELECT COUNT(*) FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'leads' AND column_name = 'sealed') = 0,
  'ALTER TABLE leads
    ADD COLUMN key_tree char(16) CHARACTER SET ascii COLLATE ascii_bin,
    ADD COLUMN key_leaf int,
    ADD COLUMN email_hash char(22) CHARACTER SET ascii COLLATE ascii_bin,
    ADD COLUMN phone_hash char(22) CHARACTER SET ascii COLLATE ascii_bin,
    ADD COLUMN sealed blob',
  'DO 0');
PREPARE millrace_add_sealed FROM @millrace_add_sealed;
EXECUTE millrace_add_sealed;
DEALLOCATE PREPARE millrace_add_sealed;

-- No SQL, but a step in code: it seals the rows that are there.
RUN seal_leads;

-- By copying: a column that is dropped at once stays in the pages.
SET @millrace_drop_plain = IF(
  (SELECT COUNT(*) FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'leads' AND column_name = 'email') = 1,
  'ALTER TABLE leads
    DROP COLUMN first_name, DROP COLUMN last_name, DROP KEY leads_email, DROP COLUMN email, DROP COLUMN phone, DROP COLUMN date_of_birth,
    DROP COLUMN address, DROP COLUMN city, DROP COLUMN postal_code, DROP COLUMN country,
    ADD KEY leads_email_hash (email_hash), ADD KEY leads_phone_hash (phone_hash), ALGORITHM = COPY',
  'DO 0');
PREPARE millrace_drop_plain FROM @millrace_drop_plain;
EXECUTE millrace_drop_plain;
DEALLOCATE PREPARE millrace_drop_plain;
