/** Every bound of the ClickHouse process, with its reason. */
export const limits = {
  /** ClickHouse's own default of max_query_size is 256 KiB; inline rows of an INSERT do not count. */
  queryBytesMax: 1024 * 1024,
  /** One insert's body, on the wire and after decompression: a sink's batch is a few megabytes. */
  bodyBytesMax: 1024 * 1024 * 1024,
  /** A result that cannot be streamed is held in memory whole. */
  bufferedResultBytesMax: 256 * 1024 * 1024,
  /** Engine memory for one query; the whole development stack is to stay small. */
  queryMemoryBytesMax: 1024 * 1024 * 1024,
  querySecondsMax: 300,
  threadsMax: 2,
  /** Each running query holds one thread of libuv's pool; the rest is left to file input and output. */
  runningMax: 8,
  waitingMax: 128,
  connectionsMax: 256,
  drainMs: 8_000,
  /** A statement that was killed notices it at its next block. */
  killAfterMs: 4_000,
} as const
