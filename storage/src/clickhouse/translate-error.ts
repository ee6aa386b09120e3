import { StorageError, type StorageErrorCode } from '../errors.ts'
import { errorTextMax } from './limits.ts'

/** ClickHouse's error codes that mean something to us. Source: ClickHouse `src/Common/ErrorCodes.cpp`. */
const codeByNumber: ReadonlyMap<number, StorageErrorCode> = new Map<number, StorageErrorCode>([
  // Too many queries, memory, disk, too many parts.
  ...numbered('OVERLOADED', [202, 241, 243, 252]),
  ...numbered('QUERY_TOO_EXPENSIVE', [158, 159, 160, 307, 396]),
  // Network, keeper, read-only replica, a disk that cannot be written, a query ended from outside or by the server's end, an insert whose fate is
  // unknown (its token makes it repeatable).
  ...numbered('UNAVAILABLE', [75, 76, 209, 210, 225, 236, 242, 279, 319, 394, 999]),
  ...numbered('ACCESS_DENIED', [192, 193, 194, 497, 516]),
  ...numbered('SCHEMA_MISMATCH', [16, 36, 47, 60, 81]),
  // The body is not what the table takes.
  ...numbered('ROW_REFUSED', [6, 26, 27, 32, 33, 53, 69, 70, 117, 349]),
])

/** Statuses of a proxy, or of a server that is starting or stopping. */
const unavailableStatuses: ReadonlySet<number> = new Set([408, 429, 502, 503, 504])

/** What ClickHouse answered instead of a result. */
export interface ClickHouseFailure {
  readonly status?: number
  readonly databaseCode: number | undefined
  readonly text: string
  readonly cause?: unknown
}

/** Translates an answer of ClickHouse, given while doing `what`. */
export function answeredError(failure: ClickHouseFailure, what: string): StorageError {
  const { databaseCode, status, cause } = failure
  const byNumber = databaseCode === undefined ? undefined : codeByNumber.get(databaseCode)
  const byStatus = status !== undefined && unavailableStatuses.has(status) ? 'UNAVAILABLE' : undefined
  const code = byNumber ?? byStatus ?? 'FAILED'
  const text = failure.text.slice(0, errorTextMax).trim()
  return new StorageError(code, `ClickHouse failed while ${what}: ${text}`, { cause, databaseCode })
}

/** Translates what the client or the network threw while doing `what`. Idempotent. */
export function translateClickHouseError(thrown: unknown, what: string): StorageError {
  if (thrown instanceof StorageError) return thrown
  if (!(thrown instanceof Error))
    return new StorageError('FAILED', `ClickHouse failed while ${what}: ${String(thrown)}`)
  if (thrown.name === 'TimeoutError' || thrown.name === 'AbortError') {
    return new StorageError('TIMED_OUT', `ClickHouse did not answer in time while ${what}`, { cause: thrown })
  }
  const databaseCode = numberOf(thrown)
  if (databaseCode !== undefined) return answeredError({ databaseCode, text: thrown.message, cause: thrown }, what)
  // What is left is the network: nothing listens, the connection broke, the name is unknown.
  const reason = thrown.cause instanceof Error ? `${thrown.message}: ${thrown.cause.message}` : thrown.message
  return new StorageError('UNAVAILABLE', `ClickHouse cannot be reached while ${what}: ${reason}`, { cause: thrown })
}

/** The client's errors carry ClickHouse's number as text. */
function numberOf(error: Error): number | undefined {
  if (!('code' in error) || typeof error.code !== 'string' || !/^\d+$/.test(error.code)) return undefined
  return Number(error.code)
}

function numbered(code: StorageErrorCode, numbers: readonly number[]): [number, StorageErrorCode][] {
  return numbers.map((number) => [number, code])
}
