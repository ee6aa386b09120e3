-- Events in the order in which the API lists them, newest last: a page of a range of time is the end of that range, however long it is, and the next page goes on from there.
-- The order is also what a resend has in common with the event that it repeats: it collapses as before. What was received last stays, in whatever order it is inserted.
-- ClickHouse cannot change a table's order: the program copies the rows after these statements (table-move.ts) and gives this table the name `events`.
CREATE TABLE IF NOT EXISTS events_next (
  event_id String CODEC(ZSTD(1)),
  user_id String CODEC(ZSTD(1)),
  event_type LowCardinality(String),
  timestamp DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
  value Nullable(Float64) CODEC(ZSTD(1)),
  metadata String CODEC(ZSTD(3)),
  received_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
  source LowCardinality(String),
  _partition Int32 CODEC(ZSTD(1)),
  _offset Int64 CODEC(Delta(8), ZSTD(1)),
  INDEX user_id_bloom user_id TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX event_id_bloom event_id TYPE bloom_filter(0.01) GRANULARITY 4
) ENGINE = ReplacingMergeTree(received_at)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (timestamp, event_id, user_id, event_type)
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1;
