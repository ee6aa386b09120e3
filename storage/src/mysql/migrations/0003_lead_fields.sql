-- Definitions of what leads carry in their attributes, per source. Common subset of MySQL 8.4 and MariaDB 11.4.

CREATE TABLE IF NOT EXISTS lead_fields (
  id char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  source varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  version int NOT NULL,
  undefined_attributes varchar(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  fields longtext NOT NULL,
  changed_at datetime(3) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY lead_fields_source (source),
  CONSTRAINT lead_fields_json CHECK (json_valid(fields))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- One row: how often any definition was changed. Who has read them all at this count need not read them again.
CREATE TABLE IF NOT EXISTS lead_fields_head (
  id int NOT NULL,
  changes bigint NOT NULL,
  PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

INSERT INTO lead_fields_head (id, changes) VALUES (1, 0) ON DUPLICATE KEY UPDATE id = id;
