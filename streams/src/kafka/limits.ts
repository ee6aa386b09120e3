/** Bounds of the Kafka adapter. */
export const kafkaLimits = {
  /** TCP, TLS and SASL together. */
  connectTimeoutMs: 10_000,
  /** A broker that does not answer for this long is taken for gone, and its connection is closed. */
  requestTimeoutMs: 30_000,
  /** How long a produce request may take before its connection is closed; shorter than the delivery timeout, so that another leader can be tried. */
  produceTimeoutMs: 10_000,
  /** First and largest wait between two attempts; waits double and are jittered by half. */
  backoffMinMs: 50,
  backoffMaxMs: 1_000,
  /** A broker that could not be reached is asked last for this long: waiting for it again would take the whole connect timeout. */
  avoidFailedForMs: 30_000,
  /** How long opening things and administration retry while no broker can be reached. */
  operationDeadlineMs: 30_000,
  /** A topic that is unknown to the cluster for this long is missing: after its creation, brokers learn of it one after the other. */
  topicMissingAfterMs: 2_000,
  /** A fetcher whose broker is away for this long says so. */
  fetchUnavailableAfterMs: 30_000,
  /** How long a broker holds a fetch that finds nothing: also the longest that a partition waits which was full when that fetch was sent. */
  fetchWaitMs: 100,
  /** Fetched bytes that nobody has polled yet, per fetcher; at the bound it fetches nothing. */
  fetchBufferBytesMax: 64 * 1024 * 1024,
  /** One record batch as the producer writes it: the broker's default for `max.message.bytes`, rounded down. */
  batchBytesMax: 1024 * 1024,
  /** One produce request: several batches of different partitions. */
  requestBytesMax: 4 * 1024 * 1024,
  /** The broker keeps the last five batches of a producer and partition to tell duplicates, so no more may be in flight. */
  inFlightMax: 5,
  /** Bytes of records that are not acknowledged yet, per producer; at the bound, `send` waits. */
  sendBufferBytesMax: 64 * 1024 * 1024,
  /** Between two attempts while the previous transaction's markers are being written. */
  concurrentTransactionsBackoffMs: 20,
  /** How long offsets in an open transaction are waited for; the default transaction timeout. */
  stableOffsetsWaitMs: 60_000,
  /** How often a group's leader looks whether topics have more partitions. */
  partitionCheckMs: 60_000,
  /** The views of all members of a group together: they go into one record, for which the broker takes 1 MiB by default, beside everything else in it. */
  groupViewBytesMax: 512 * 1024,
  /** Numbers of which a member reports how far its copies are, those that are nearest first: 12 bytes each at most, in that same record. */
  reportedNumbersMax: 1_024,
  /** The longest that a join waits for commits: the coordinator may be waiting for this member alone. */
  commitBeforeJoinMsMax: 5_000,
} as const
