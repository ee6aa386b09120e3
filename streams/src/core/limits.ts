/** Bounds of what a task holds in memory between two commits, and of what it writes beside its offsets. */
export const limits = {
  /** Rows of one pre-aggregation; above it they are forwarded before the commit. At some 200 bytes a row, 20 MB. */
  preAggregateRowsMax: 100_000,
  /** Changed rows of one aggregation; above it the task asks for an early commit. */
  changedRowsMax: 100_000,
  /** Decoded rows of one windowed aggregation; above it they go back to the store until they change again, or until the commit. */
  decodedRowsMax: 1_024,
  /** The broker's default of `offset.metadata.max.bytes`. */
  commitMetadataBytesMax: 4_096,
  /** Tasks that write watermarks to one topic: up to 8 bytes each in the commit metadata, when they are years apart. */
  watermarkWritersMax: 256,
  /** Nodes of one topology with stores, which may keep stream times of their own: 17 bytes each in the commit metadata. */
  timedNodesMax: 40,
  /** Windows that one record may fall into: hopping windows of a year that advance by a second are a mistake. */
  windowsPerRecordMax: 10_000,
  /** Windows by arrival that wait to become final and are held in memory, per store and task: some 150 bytes each. */
  openWindowsMax: 50_000,
  /** How long after the grace those above it are looked for in the store. */
  unheldSweepMs: 60_000,
  /** Final results of one commit, to the next whole second of due times. */
  settledPerCommit: 20_000,
  /** Rows and their bytes that a suppression until a time limit holds back, unless it is told otherwise: in memory, per task. */
  suppressRecordsMax: 100_000,
  suppressBytesMax: 64 * 1024 * 1024,
  /** Stream time between two searches for expired rows, which read the whole store. */
  sweepIntervalMs: 3_600_000,
  /** Rows that one commit reads in such a search: a few milliseconds. */
  sweepPageRows: 2_000,
  /** How far behind the wall clock a quiet source of arrival times stays: records may be that long under way to their topic. */
  arrivalSlackMs: 5_000,
  /** A quiet source of arrival times moves stream time on in steps of this size: each is a commit. */
  arrivalStepMs: 5_000,
  /** Characters of a text in a dead letter's headers: a stack trace must not make the letter too large to be produced. */
  deadLetterTextMax: 2_000,
  /** A copy of a number's state that lacks no more changelog records than this is as good as the original: a moment's reading (Kafka Streams' `acceptable.recovery.lag`). */
  caughtUpLagMax: 10_000,
  /** Numbers that one member warms up at a time to take them over: more would only share the same bandwidth, and come later. */
  warmUpsMax: 4,
  /** A topic's name, as the broker bounds it. */
  topicNameLengthMax: 249,
} as const
