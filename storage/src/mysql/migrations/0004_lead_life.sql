-- Which leads are duplicates of which, and what became of each lead when. Common subset of MySQL 8.4 and MariaDB 11.4.

-- MySQL has no ADD COLUMN IF NOT EXISTS: the statement is made only when the column is not there, so that it can be repeated.
SET @millrace_add_duplicate_of = IF(
  (SELECT COUNT(*) FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'leads' AND column_name = 'duplicate_of') = 0,
  'ALTER TABLE leads ADD COLUMN duplicate_of char(36) CHARACTER SET ascii COLLATE ascii_bin',
  'DO 0');
PREPARE millrace_add_duplicate_of FROM @millrace_add_duplicate_of;
EXECUTE millrace_add_duplicate_of;
DEALLOCATE PREPARE millrace_add_duplicate_of;

-- The first lead of each person and source. Whoever stores a lead holds this row until the lead is committed: of two that are stored at the same time, one waits.
CREATE TABLE IF NOT EXISTS lead_firsts (
  identity char(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  lead_id char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  received_at datetime(3) NOT NULL,
  PRIMARY KEY (identity)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS lead_history (
  lead_id char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at datetime(3) NOT NULL,
  status varchar(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  reason varchar(255),
  PRIMARY KEY (lead_id, at, status)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
