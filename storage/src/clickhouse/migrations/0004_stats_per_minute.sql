-- What a dashboard draws: one row for each minute and event type, the newest state of each. It is a view of `stats`, which has a row per window whatever is repeated; sums that a
-- materialised view makes of inserts into `events` count what a producer sends again, or what is replayed from Kafka, once more.
CREATE VIEW IF NOT EXISTS events_per_minute AS
SELECT window_start AS minute, event_type, count AS events, value_count, sum, avg, min, max, final
FROM stats FINAL
WHERE interval = '1m';
