-- Leads of a source, newest first, with and without their status. Common subset of MySQL 8.4 and MariaDB 11.4.
-- Both servers build an index while others read and write. It is made only when it is not there, so that the statements can be repeated.

SET @millrace_leads_source = IF(
  (SELECT COUNT(*) FROM information_schema.statistics
    WHERE table_schema = DATABASE() AND table_name = 'leads' AND index_name = 'leads_source_received') = 0,
  'ALTER TABLE leads ADD KEY leads_source_received (source, received_at, lead_id), ADD KEY leads_source_status_received (source, status, received_at, lead_id)',
  'DO 0');
PREPARE millrace_leads_source FROM @millrace_leads_source;
EXECUTE millrace_leads_source;
DEALLOCATE PREPARE millrace_leads_source;
