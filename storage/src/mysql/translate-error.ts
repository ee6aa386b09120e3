import { DrizzleQueryError } from 'drizzle-orm'
import { getTableConfig } from 'drizzle-orm/mysql-core'
import { StorageError, type StorageErrorCode } from '../errors.ts'
import { apiRequestLogs, apiResponseLogs, leads, users } from './schema.ts'

/** MySQL's and MariaDB's error numbers that mean something to us. Source: both manuals' error references. */
const codeByNumber: ReadonlyMap<number, StorageErrorCode> = new Map<number, StorageErrorCode>([
  // The last one: a table whose partitions changed while a transaction was on its way to it.
  ...numbered('WRITE_CONFLICT', [1205, 1213, 1412]),
  ...numbered('ACCESS_DENIED', [1044, 1045, 1142, 1143, 1227, 1698]),
  ...numbered('SCHEMA_MISMATCH', [1049, 1054, 1146]),
  // Too many connections or threads, full disk, full table.
  ...numbered('OVERLOADED', [3, 1021, 1040, 1041, 1114, 1135, 1203]),
  // Shutdown, killed connection, gone server, read-only replica after a failover.
  ...numbered('UNAVAILABLE', [1047, 1053, 1077, 1079, 1290, 1792, 1836, 1927, 2006, 2013]),
  ...numbered('QUERY_TOO_EXPENSIVE', [1317, 1969, 3024]),
  // Null, range, truncation, wrong date, wrong characters, length, duplicate of another unique key, CHECK, invalid JSON.
  ...numbered('ROW_REFUSED', [1048, 1062, 1264, 1265, 1292, 1300, 1366, 1406, 1411, 3140, 3819, 4025]),
])

/** What the network or the driver says when there is no connection to be had, or when it was lost. */
const networkCodes: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'PROTOCOL_CONNECTION_LOST',
  'PROTOCOL_SEQUENCE_TIMEOUT',
])

/** Only a known column's name is taken out of a database's message, never anything else. */
const columns: ReadonlySet<string> = new Set(
  [leads, apiRequestLogs, apiResponseLogs, users].flatMap((table) =>
    getTableConfig(table).columns.map(({ name }) => name),
  ),
)
const columnPattern = /column (?:`[^`]*`\.)*[`']([a-z_]+)[`']/i

/** Translates what Drizzle or mysql2 threw while doing `what`. Idempotent. */
export function translateMysqlError(thrown: unknown, what: string): StorageError {
  // Drizzle's own message holds the statement's parameters, personal data among them: only its cause is kept.
  const cause = thrown instanceof DrizzleQueryError ? thrown.cause : thrown
  if (cause instanceof StorageError) return cause
  const number = numberOf(cause)
  const code = codeOf(cause, number)
  if (code === 'ROW_REFUSED') {
    const refusal = refusalOf(cause, number)
    return new StorageError(code, `MySQL refused a row while ${what}: ${refusal}`, { databaseCode: number, refusal })
  }
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new StorageError(code, `MySQL failed while ${what}: ${reason}`, { cause, databaseCode: number })
}

/** What was wrong with a refused row, without any of its content: `first_name: value too long`. */
function refusalOf(cause: unknown, number: number | undefined): string {
  const column = columnPattern.exec(cause instanceof Error ? cause.message : '')?.[1]
  const fault = (number === undefined ? undefined : faults.get(number)) ?? `refused by the database (${number})`
  return column === undefined || !columns.has(column) ? fault : `${column}: ${fault}`
}

const faults: ReadonlyMap<number, string> = new Map([
  [1048, 'value missing'],
  [1062, 'value must be unique'],
  [1264, 'value out of range'],
  [1265, 'value would be truncated'],
  [1292, 'value is not a valid date or number'],
  [1300, 'value is not valid text'],
  [1366, 'value has characters that the column cannot hold'],
  [1406, 'value too long'],
  [1411, 'value is not a valid date'],
  [3140, 'value is not valid JSON'],
  [3819, 'value breaks a rule of the table'],
  [4025, 'value breaks a rule of the table'],
])

function codeOf(cause: unknown, number: number | undefined): StorageErrorCode {
  const byNumber = number === undefined ? undefined : codeByNumber.get(number)
  if (byNumber !== undefined) return byNumber
  if (!(cause instanceof Error)) return 'FAILED'
  if ('code' in cause && typeof cause.code === 'string' && networkCodes.has(cause.code)) return 'UNAVAILABLE'
  // The driver marks errors after which the connection is of no use.
  if ('fatal' in cause && cause.fatal === true) return 'UNAVAILABLE'
  return 'FAILED'
}

function numberOf(cause: unknown): number | undefined {
  return cause instanceof Error && 'errno' in cause && typeof cause.errno === 'number' && cause.errno > 0
    ? cause.errno
    : undefined
}

function numbered(code: StorageErrorCode, numbers: readonly number[]): [number, StorageErrorCode][] {
  return numbers.map((number) => [number, code])
}
