import type { ApiLog } from '@millrace/schemas'
import { eq, sql } from 'drizzle-orm'
import { isDateTimeMs } from './lead-repository.ts'
import type { Database, Mysql } from './mysql.ts'
import { apiRequestLogs, apiResponseLogs } from './schema.ts'
import { type Placed, type Rejection, type SinkRange, storeRange } from './sink-range.ts'

/** The API's own log in MySQL. */
export interface ApiLogRepository {
  /**
   * Stores a range of log records, each into both tables, and the partition's next offset in one transaction. May be repeated: what an earlier attempt stored is left
   * alone. Returns the records that were refused, earlier attempts' included.
   */
  storeBatch(range: SinkRange, logs: readonly Placed<ApiLog>[]): Promise<readonly Rejection[]>
  /** The request and the response with this id. */
  byRequestId(requestId: string): Promise<StoredApiLog | undefined>
}

/** A request and its response, as MySQL keeps them. */
export interface StoredApiLog {
  readonly request: typeof apiRequestLogs.$inferSelect
  readonly response: typeof apiResponseLogs.$inferSelect
}

/** The repository of `api_request_logs` and `api_response_logs`. */
export function createApiLogRepository(mysql: Mysql, now: () => Date = () => new Date()): ApiLogRepository {
  return {
    storeBatch(range, logs) {
      return mysql.transaction('storing API logs', async (database, insertNew) => {
        const storedAt = now()
        const insert = (rows: readonly Placed<ApiLog>[]) =>
          inSavepoint(database, async () => {
            await insertNew(
              apiRequestLogs,
              rows.map(({ value }) => toRequestRow(value, storedAt)),
            )
            await insertNew(
              apiResponseLogs,
              rows.map(({ value }) => toResponseRow(value, storedAt)),
            )
          })
        const { rejections } = await storeRange(database, range, logs, { check: checkLog, insert, now: storedAt })
        return rejections
      })
    },

    async byRequestId(requestId) {
      const [row] = await mysql.run('reading an API log', (database) =>
        database
          .select({ request: apiRequestLogs, response: apiResponseLogs })
          .from(apiRequestLogs)
          .innerJoin(apiResponseLogs, eq(apiResponseLogs.requestId, apiRequestLogs.requestId))
          .where(eq(apiRequestLogs.requestId, requestId))
          .limit(1),
      )
      return row
    },
  }
}

function checkLog(log: ApiLog): string | undefined {
  if (!isDateTimeMs(log.received_at)) return 'received_at: value out of range'
  if (!isDateTimeMs(log.responded_at)) return 'responded_at: value out of range'
  if (!Number.isFinite(log.duration_ms)) return 'duration_ms: value is not a number'
  return undefined
}

/** Makes two statements all or nothing: a row refused by the second table must not stay in the first. */
async function inSavepoint(database: Database, work: () => Promise<void>): Promise<void> {
  await database.execute(sql`SAVEPOINT api_logs`)
  try {
    await work()
  } catch (error) {
    await database.execute(sql`ROLLBACK TO SAVEPOINT api_logs`)
    throw error
  }
}

function toRequestRow(log: ApiLog, storedAt: Date): typeof apiRequestLogs.$inferInsert {
  return {
    requestId: log.request_id,
    method: log.method,
    route: log.route,
    principal: log.principal,
    role: log.role,
    receivedAt: new Date(log.received_at),
    requestBytes: log.request_bytes,
    contentType: log.content_type,
    storedAt,
  }
}

function toResponseRow(log: ApiLog, storedAt: Date): typeof apiResponseLogs.$inferInsert {
  return {
    requestId: log.request_id,
    respondedAt: new Date(log.responded_at),
    status: log.status,
    responseBytes: log.response_bytes,
    durationMs: log.duration_ms,
    errorCode: log.error_code,
    accepted: log.accepted,
    rejected: log.rejected,
    storedAt,
  }
}
