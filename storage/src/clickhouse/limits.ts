/** Rows of one page of events. */
export const pageRowsMax = 1_000

/** Windows of one range: a day of ten-second windows has 8,640. */
export const rangeRowsMax = 20_000

/** A query of the API: longer than this means that the filters are too wide. */
export const querySecondsMax = 10
export const queryMemoryBytesMax = 2 * 1024 ** 3
export const queryThreadsMax = 4
/** A page has 1,001 events and a range 20,001 windows; what reconciles a day reads more, and is bounded by its bytes first. */
export const queryResultRowsMax = 5_000_000
export const queryResultBytesMax = 256 * 1024 ** 2

/** The client gives up after the server should have. */
export const queryGraceMs = 5_000
export const pingTimeoutMs = 2_000
/** A migration may rewrite a table. */
export const commandTimeoutMs = 600_000

/** One insert of some 50,000 rows takes less than a second; a server that merges hard may need many. */
export const insertTimeoutMs = 60_000

/** Sockets of one process. */
export const connectionsMaxDefault = 8

/** How much of an error's text is kept. */
export const errorTextMax = 1_000

/** DateTime64(3)'s last millisecond, 2299-12-31T23:59:59.999Z. */
export const dateTime64MaxMs = 10_413_791_999_999

/** How long one migration run waits for another one: it may be rewriting a table. */
export const migrationLockWaitMs = 900_000
export const migrationLockPollMs = 250
/** The lock's owner touches it this often. */
export const migrationLockRenewMs = 5_000
/** An owner that was silent for this long is dead: twelve times the pause between two touches. */
export const migrationLockStaleSeconds = 60

/** Offsets of one range in which missing ones are looked for: a minute of a partition at 80,000 records a second. A bitmap of them takes 20 MB at most. */
export const reconciledOffsetsMax = 5_000_000
/** Events of one question whether they are stored. */
export const reconciliationIdsMax = 1_000

/** The longest retention that can be set: DateTime64 ends in 2299, and what is kept for a century is kept for ever. */
export const retentionDaysMax = 36_500
