-- Raw events and window statistics. Statements end with a semicolon at the end of a line, and can be repeated.
-- _partition and _offset are the record's place in Kafka: they make every row auditable.
-- non_replicated_deduplication_window lets an insert be repeated: without it a table that is not replicated ignores the insert's token.

-- The order has the filters of the API first, from few values to many. Resends of one event collapse by it, when parts are merged.
CREATE TABLE IF NOT EXISTS events (
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
  INDEX timestamp_range timestamp TYPE minmax GRANULARITY 1,
  INDEX user_id_bloom user_id TYPE bloom_filter(0.01) GRANULARITY 4,
  INDEX event_id_bloom event_id TYPE bloom_filter(0.01) GRANULARITY 4
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (event_type, toDate(timestamp), user_id, event_id)
SETTINGS non_replicated_deduplication_window = 10000;

-- The newest update of a window wins, also over a final one: a window changes when more arrives for it. Of one millisecond the offset's low bits decide.
CREATE TABLE IF NOT EXISTS stats (
  event_type LowCardinality(String),
  interval LowCardinality(String),
  window_start DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
  window_end DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
  count Int64,
  value_count Int64,
  sum Float64,
  avg Nullable(Float64),
  min Nullable(Float64),
  max Nullable(Float64),
  final Bool,
  updated_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
  _partition Int32 CODEC(ZSTD(1)),
  _offset Int64 CODEC(Delta(8), ZSTD(1)),
  version UInt64 MATERIALIZED bitShiftLeft(toUInt64(toUnixTimestamp64Milli(updated_at)), 20)
    + bitAnd(toUInt64(_offset), 1048575)
) ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(window_start)
ORDER BY (event_type, interval, window_start)
SETTINGS non_replicated_deduplication_window = 10000;
