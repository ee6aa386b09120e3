-- Sessions with their refresh tokens, API keys, counted logins, and the audit log. Common subset of MySQL 8.4 and MariaDB 11.4.

CREATE TABLE IF NOT EXISTS sessions (
  id char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_id char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  refresh_id char(22) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  refresh_hash char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at datetime(3) NOT NULL,
  refreshed_at datetime(3) NOT NULL,
  expires_at datetime(3) NOT NULL,
  ended_at datetime(3),
  end_reason varchar(32) CHARACTER SET ascii COLLATE ascii_bin,
  PRIMARY KEY (id),
  UNIQUE KEY sessions_refresh (refresh_id),
  KEY sessions_user (user_id),
  KEY sessions_expires (expires_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS api_keys (
  id char(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  secret_hash char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_id char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  label varchar(128) NOT NULL,
  scopes varchar(1024) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at datetime(3) NOT NULL,
  expires_at datetime(3) NOT NULL,
  revoked_at datetime(3),
  last_used_at datetime(3),
  PRIMARY KEY (id),
  KEY api_keys_user (user_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS login_attempts (
  name_hash char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  failures int NOT NULL,
  window_ends_at datetime(3) NOT NULL,
  PRIMARY KEY (name_hash),
  KEY login_attempts_window (window_ends_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS audit_log (
  seq bigint NOT NULL,
  at datetime(3) NOT NULL,
  action varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  actor varchar(64) CHARACTER SET ascii COLLATE ascii_bin,
  subject varchar(64) CHARACTER SET ascii COLLATE ascii_bin,
  request_id varchar(64) CHARACTER SET ascii COLLATE ascii_bin,
  detail varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  previous_hash char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  hash char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (seq),
  KEY audit_log_subject (subject, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- One row: the end of the chain. Whoever appends holds it, so that entries follow one another.
CREATE TABLE IF NOT EXISTS audit_head (
  id int NOT NULL,
  seq bigint NOT NULL,
  hash char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, REPEAT('0', 64)) ON DUPLICATE KEY UPDATE id = id;
