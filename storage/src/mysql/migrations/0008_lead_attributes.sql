-- What leads are found by when attributes are asked for: a row for each attribute, in an order of bytes that is the order of the values. Common subset of MySQL 8.4 and MariaDB 11.4.
-- The layout of `value` is in lead-attributes.ts. Erasing a lead takes its rows away.
CREATE TABLE IF NOT EXISTS lead_attributes (
  name varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  value varbinary(40) NOT NULL,
  received_at datetime(3) NOT NULL,
  lead_id char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  source varchar(255),
  PRIMARY KEY (name, value, received_at, lead_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- No SQL, but a step in code: the rows of the leads that are there.
RUN index_lead_attributes;
