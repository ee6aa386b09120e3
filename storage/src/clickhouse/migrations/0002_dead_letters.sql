-- Records that could not be processed or stored, from the dead-letter topics, and what became of them.
-- kind is 'letter', or 'replayed' when somebody has put the record back: the same place has both then. A record that became a letter twice is there once.
-- key and value are bytes; they are empty for topics with personal data, whose letters are in Kafka only.
CREATE TABLE IF NOT EXISTS dead_letters (
  topic LowCardinality(String),
  partition Int32,
  offset Int64,
  kind LowCardinality(String),
  exception LowCardinality(String),
  message String CODEC(ZSTD(1)),
  key String CODEC(ZSTD(1)),
  value String CODEC(ZSTD(3)),
  value_bytes Int64,
  timestamp DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
  letter_topic LowCardinality(String),
  _partition Int32,
  _offset Int64 CODEC(Delta(8), ZSTD(1)),
  stored_at DateTime('UTC') DEFAULT now()
) ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset, kind)
TTL stored_at + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 1000;
