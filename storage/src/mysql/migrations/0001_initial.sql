-- Accounts, leads, API logs and the sink's offsets. Common subset of MySQL 8.4 and MariaDB 11.4.
-- Statements end with a semicolon at the end of a line, and can be repeated: MySQL commits each one by itself.

CREATE TABLE IF NOT EXISTS users (
  id char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  username varchar(64) NOT NULL,
  password_hash varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  role varchar(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  disabled boolean NOT NULL DEFAULT false,
  created_at datetime(3) NOT NULL,
  updated_at datetime(3) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY users_username (username)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS leads (
  lead_id char(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  first_name varchar(255) NOT NULL,
  last_name varchar(255) NOT NULL,
  email varchar(320) NOT NULL,
  phone varchar(64),
  date_of_birth date,
  address varchar(1000),
  city varchar(255),
  postal_code varchar(32),
  country char(2),
  source varchar(255),
  campaign varchar(255),
  consent boolean,
  attributes longtext NOT NULL,
  status varchar(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  content_hash char(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  submitted_by varchar(128) NOT NULL,
  request_id varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  received_at datetime(3) NOT NULL,
  stored_at datetime(3) NOT NULL,
  source_partition int NOT NULL,
  source_offset bigint NOT NULL,
  PRIMARY KEY (lead_id),
  KEY leads_received (received_at, lead_id),
  KEY leads_status_received (status, received_at, lead_id),
  KEY leads_email (email),
  CONSTRAINT leads_attributes_json CHECK (json_valid(attributes))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS api_request_logs (
  request_id varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  method varchar(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  route varchar(255) NOT NULL,
  principal varchar(128),
  role varchar(32),
  received_at datetime(3) NOT NULL,
  request_bytes bigint NOT NULL,
  content_type varchar(255),
  stored_at datetime(3) NOT NULL,
  PRIMARY KEY (request_id),
  KEY api_request_logs_received (received_at),
  KEY api_request_logs_principal (principal, received_at),
  KEY api_request_logs_route (route, received_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS api_response_logs (
  request_id varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  responded_at datetime(3) NOT NULL,
  status smallint NOT NULL,
  response_bytes bigint NOT NULL,
  duration_ms double NOT NULL,
  error_code varchar(64),
  accepted int,
  rejected int,
  stored_at datetime(3) NOT NULL,
  PRIMARY KEY (request_id),
  KEY api_response_logs_responded (responded_at),
  KEY api_response_logs_status (status, responded_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS sink_offsets (
  consumer_group varchar(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  topic varchar(249) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  partition_number int NOT NULL,
  next_offset bigint NOT NULL,
  settled_offset bigint NOT NULL,
  updated_at datetime(3) NOT NULL,
  PRIMARY KEY (consumer_group, topic, partition_number)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS sink_rejections (
  topic varchar(249) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  partition_number int NOT NULL,
  record_offset bigint NOT NULL,
  reason varchar(255) NOT NULL,
  rejected_at datetime(3) NOT NULL,
  PRIMARY KEY (topic, partition_number, record_offset)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
