/** Between two commits: what an exactly-once reader waits for a record at most. Kafka Streams' default under exactly-once. */
export const commitIntervalMsDefault = 100

/** Nothing new on all inputs for this long, and a task counts as idle: others no longer wait for its stream time. */
export const idleMsDefault = 5_000

/**
 * A member that is silent for this long is taken out of the group and its tasks given to others. Ten seconds survive a long pause for
 * garbage or a slow disk. A process that is killed and comes back with its state directory does not wait for it: it is a static member.
 */
export const sessionTimeoutMsDefault = 10_000

/** How long the others wait in a rebalance for a member that is busy committing. */
export const rebalanceTimeoutMs = 30_000

/**
 * The broker aborts a transaction that is open for longer. It bounds how long the death of a process that never comes back holds up the
 * readers of its partitions; the one that does come back aborts its own at once. Kafka Streams' default.
 */
export const transactionTimeoutMsDefault = 10_000

/**
 * Memory of all task stores of one process, cached and changed rows together; divided evenly among the stores of its tasks. Half of it, for
 * cached rows, holds some 600,000 of 50 bytes: six windows of 100,000 keys. More was measured to bring nothing (docs/decisions/0008).
 */
export const stateBytesMaxDefault = 128 * 1024 * 1024

/** Fetched bytes that wait in one task before its partitions are paused; it is resumed at half. Several fetches: with 8 MiB nothing was faster. */
export const bufferedBytesMax = 4 * 1024 * 1024

/** Records to be sent that are held in memory before they go into the open transaction. */
export const outgoingBytesMax = 8 * 1024 * 1024

/** Records of one task before the next task has its turn, and before the commit interval is looked at. */
export const recordsPerTurnMax = 4_096

/** A poll that finds nothing waits this long: rebalances and the end of the process are served in between. */
export const pollWaitMsMax = 100

/** While a commit is due and another one, or a rebalance, is in its way: how soon that is looked at again. */
export const commitLookMs = 10

/** Waits before another attempt after a failure: doubled from the first to the last. */
export const retryWaitMsMin = 100
export const retryWaitMsMax = 10_000

/**
 * Failures in a row, without a commit in between, of kinds that another attempt should have cured (fenced, outcome unknown, damaged
 * state). Beyond, something else is wrong, as two processes with copies of one state directory. A broker that is away is waited for
 * without end.
 */
export const failuresInARowMax = 20

/** Closing may take this long, the last commit half of it: services are to be gone ten seconds after they were asked. */
export const closeDeadlineMsDefault = 8_000

/** How long a transaction that is given up may take to be aborted; afterwards its timeout does it. */
export const abortMsMax = 1_000

/** How long `start` waits for source and sink topics that somebody is about to create. */
export const topicsWaitMsDefault = 60_000
export const topicsPollMs = 1_000

/** Windowed changelogs keep records for this long beyond the store's retention, as in Kafka Streams: clocks differ. */
export const changelogRetentionExtraMs = 24 * 3_600_000

/** A row older than this when it is written gets the present time in its changelog: half of the extra is left of its life at least. */
export const changelogAgeMsMax = changelogRetentionExtraMs / 2

/** Segments of repartition topics are small, so that what was processed is deleted soon; as in Kafka Streams. */
export const repartitionSegmentBytes = 50 * 1024 * 1024

/** Between two deletions of what is processed of repartition topics; as in Kafka Streams. */
export const purgeIntervalMs = 30_000

/**
 * A restore writes to the store when it has read this many changes, and keeps so many of them in memory. Small steps, as the tasks that run beside it
 * wait for each: with 5,000 changes and 512 KiB their longest pause was 0.3 s, with 50,000 and 4 MiB 1.2 s (two partitions of 300,000 rows, two
 * cores under other load). The restore itself is no slower for it (2.2 in place of 2.5 µs of CPU per record) and takes half the memory.
 */
export const restoreChangesMax = 5_000
export const restorePartitionBytesMax = 512 * 1024

/** Between two log lines about a restore. */
export const restoreReportMs = 5_000

/** A restore that reads nothing for this long has failed: longer than any transaction may stay open. */
export const restoreStallMsMax = 90_000

/** Rows of one page of a query: a thousand are decoded in about a millisecond, for which the processing stands still. */
export const queryRowsMax = 1_000
export const queryRowsDefault = 100

/** Windows that one page of a query for a key looks up, found or not: one multi-get of some milliseconds on another thread. */
export const queryWindowsMax = 5_000

/** A cursor holds a row's key in base64. */
export const queryCursorCharactersMax = 64 * 1024

/** Between two attempts at building tasks whose restore has failed while others run: the broker has had its own retries by then. */
export const buildAgainMs = 1_000

/** Between two requests of this member for another division, because copies have caught up: each is a rebalance of the whole group. */
export const rejoinIntervalMs = 5_000

/** State of partitions that were given to others is deleted after this long: until then they may come back. Kafka Streams' default. */
export const stateCleanupDelayMsDefault = 600_000

/** Between two looks at what is on disk and how far it lags behind: what the leader of the group is told at the next join. Sooner when state is to be deleted sooner. */
export const keptStateCheckMs = 30_000
export const keptStateCheckMsMin = 10

/** Fetch sizes of standbys: small answers, so that a step takes a few milliseconds. */
export const standbyPartitionBytesMax = 256 * 1024
export const standbyFetchBytesMax = 1024 * 1024

/** While tasks have work, standbys rest for this many times as long as their last step took: they get a fifth of the time at most. */
export const standbyRestFactor = 4

/** Between two readings of what the tasks have committed, by which standbys find rows that are over: a request per number kept. */
export const standbyCommittedLookMs = 30_000

/** Rows that one step of a standby looks at for those that are over; and how far that time moves on, in stream time, between two searches. */
export const standbyExpiredRowsMax = 2_000
export const standbyExpiryIntervalMs = 60_000
