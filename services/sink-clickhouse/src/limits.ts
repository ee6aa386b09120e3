import { dateTime64MaxMs } from '@millrace/storage/clickhouse'

/** Rows of one insert: one block of ClickHouse (65,409), so that it is one part per month and its token covers it. */
export const batchRowsMax = 50_000
export const batchBytesMax = 16 * 1024 * 1024
/** How fresh ClickHouse is, and how soon a poisoned record is a dead letter: within a second, with the way there. Every insert makes a part that has to be merged. */
export const batchAgeMaxMs = 750
/** Batches of both topics in memory; their containers come on top while they are inserted. */
export const bufferBytesMax = 64 * 1024 * 1024
/** Inserts at the same time, per topic. */
export const writesMax = 2
/** Buffers of inserted containers that are kept for new ones, each as large as a batch: one per insert of the busiest topic. */
export const spareBuffersMax = writesMax

/** Repetitions while ClickHouse is away. */
export const retryBaseMs = 200
export const retryMaxMs = 10_000

/** How deep records may nest in a schema: ours are flat. */
export const schemaDepthMax = 32
/** How long an id that the registry does not know is not asked for again: whoever registers a schema, and puts its records back, need not wait long. */
export const unknownSchemaTtlMs = 5_000
/** Ids whose schemas are kept: a topic has a handful over years. */
export const schemasMax = 1_000

/** DateTime64(3) wraps around outside of this, without an error. */
export const timestampMinMs = 0
export const timestampMaxMs = dateTime64MaxMs

/** Writing out what is held, when the service stops. */
export const closeFlushMs = 5_000

/** One wait of a replay for records. */
export const replayPollMs = 500
/** A topic that brings nothing for this long before the end of a replay's range has a broker that is away, or a transaction that nobody ends. */
export const replaySilenceMsMax = 60_000
/** Attempts of a replay at one batch: some minutes of a database that is away, and then somebody should look. */
export const replayAttemptsMax = 30
