-- The API's log by days, so that what is past its retention goes with its partition, and not row by row. Common subset of MySQL 8.4 and MariaDB 11.4.
-- A partition's column must be in every unique key. Rows stay unique as they were: the same record has the same request_id and the same times, however often it is delivered.
-- Here is only the partition that takes what no other one does; the days are made by whoever stores the logs, ahead of time.
-- Each table is rebuilt once. A table that has partitions is left alone, so that the statements can be repeated.

SET @millrace_partition_requests = IF(
  (SELECT COUNT(*) FROM information_schema.partitions
    WHERE table_schema = DATABASE() AND table_name = 'api_request_logs' AND partition_name IS NOT NULL) = 0,
  'ALTER TABLE api_request_logs DROP PRIMARY KEY, ADD PRIMARY KEY (request_id, received_at)
    PARTITION BY RANGE COLUMNS (received_at) (PARTITION later VALUES LESS THAN (MAXVALUE))',
  'DO 0');
PREPARE millrace_partition_requests FROM @millrace_partition_requests;
EXECUTE millrace_partition_requests;
DEALLOCATE PREPARE millrace_partition_requests;

SET @millrace_partition_responses = IF(
  (SELECT COUNT(*) FROM information_schema.partitions
    WHERE table_schema = DATABASE() AND table_name = 'api_response_logs' AND partition_name IS NOT NULL) = 0,
  'ALTER TABLE api_response_logs DROP PRIMARY KEY, ADD PRIMARY KEY (request_id, responded_at)
    PARTITION BY RANGE COLUMNS (responded_at) (PARTITION later VALUES LESS THAN (MAXVALUE))',
  'DO 0');
PREPARE millrace_partition_responses FROM @millrace_partition_responses;
EXECUTE millrace_partition_responses;
DEALLOCATE PREPARE millrace_partition_responses;
