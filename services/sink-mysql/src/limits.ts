/** Leads of one transaction: some 20 ms, and locks held no longer. */
export const leadBatchRowsMax = 2_000
export const leadBatchBytesMax = 4 * 1024 * 1024
/** A synchronous lead waits for this: a batch is written as soon as the one before is, and so grows with the load alone. */
export const leadBatchAgeMaxMs = 0

/** As long as the topic keeps leads: a database that is filled from the topic again flags the same ones. */
export const leadDuplicateWindowSecondsDefault = 30 * 86_400
/** Ten years: beyond it nobody remembers having asked. */
export const leadDuplicateWindowSecondsMax = 10 * 365 * 86_400

/** Log records of one transaction; nobody waits for them, but a poisoned one is to be a dead letter within a second. */
export const apiLogBatchRowsMax = 5_000
export const apiLogBatchBytesMax = 4 * 1024 * 1024
export const apiLogBatchAgeMaxMs = 750

/** Longer than anybody looks for a request; the topic keeps them for days. */
export const apiLogRetentionDaysDefault = 90
/** Each day is a partition of both tables, which is a file of the server that is looked into when a request is asked for by its id. */
export const apiLogRetentionDaysMax = 1_000
/** How often the days of the API's log are looked after. They are made a week ahead: what fails has time. */
export const retentionIntervalMs = 3_600_000
export const retentionRetryMs = 60_000

/** Batches of one topic in memory. */
export const bufferBytesMax = 32 * 1024 * 1024
/** Transactions at the same time, per topic. */
export const writesMax = 4
/** A connection per transaction, for leads one more to read their keys meanwhile, and two for offsets and probes. */
export const connectionsMax = 3 * writesMax + 2

/** Repetitions while MySQL is away. */
export const retryBaseMs = 100
export const retryMaxMs = 5_000

/** How long an id that the registry does not know is not asked for again: whoever registers a schema, and puts its records back, need not wait long. */
export const unknownSchemaTtlMs = 5_000
/** Unknown ids that are remembered. */
export const unknownSchemasMax = 1_000

/** Writing out what is held, when the service stops. */
export const closeFlushMs = 5_000
