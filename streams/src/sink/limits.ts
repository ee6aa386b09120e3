/** Bounds of a sink. Services choose their own within reason; these are what they get without a word. */
export const sinkLimits = {
  /** Keys and values of all batches of one runner, those being written included; beyond it fetching pauses. One fetch may come on top. */
  bufferBytesMax: 64 * 1024 * 1024,
  /** Batches being written at the same time, of different partitions. */
  writesMax: 4,
  /** Storage of written batches that a runner keeps for new ones: each as large as a batch. */
  spareBatchesMax: 2,
  /** Longest poll, so that the loop notices what is due. */
  pollWaitMs: 500,
  /** A revoked partition's write may take this long before it is given up; the group waits for it. */
  revokeWaitMs: 20_000,
  /** How often a commit that only informs is sent. */
  informIntervalMs: 1_000,
  /** A loop that has not turned for this long is stuck. */
  stalledAfterMs: 60_000,
  /** Seeks to the same offset in a row before the fetcher is taken to be broken. */
  misplacedFetchesMax: 5,
} as const
