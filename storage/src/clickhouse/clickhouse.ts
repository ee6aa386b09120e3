import { ClickHouseLogLevel, type ClickHouseSettings, createClient } from '@clickhouse/client'
import { StorageError } from '../errors.ts'
import {
  commandTimeoutMs,
  connectionsMaxDefault,
  insertTimeoutMs,
  pingTimeoutMs,
  queryGraceMs,
  queryMemoryBytesMax,
  queryResultBytesMax,
  queryResultRowsMax,
  querySecondsMax,
  queryThreadsMax,
} from './limits.ts'
import { createPoster } from './post.ts'
import { textOf } from './row.ts'
import { answeredError, translateClickHouseError } from './translate-error.ts'

/** Where ClickHouse is. */
export interface ClickHouseOptions {
  /** Its HTTP interface, for instance `http://127.0.0.1:8123`. */
  readonly url: string
  readonly user: string
  readonly password: string
  readonly database: string
  /** Default 8. */
  readonly connectionsMax?: number
}

/** One row as JSON. */
export type Row = Readonly<Record<string, unknown>>

/** A query whose values are bound: `{name:Type}` in the text, never pasted into it. */
export interface Query {
  readonly sql: string
  readonly params?: Readonly<Record<string, string | number | readonly string[]>>
  /** Aborted when nobody waits for the answer any more: the query then ends on the server, too. */
  readonly signal?: AbortSignal | undefined
  /** Default 10, which is what somebody who asks the API waits for. */
  readonly secondsMax?: number
}

/** An Avro object container on its way into a table. */
export interface AvroInsert {
  readonly table: string
  readonly body: Buffer
  /** An insert with a token that the table has seen is acknowledged and ignored. */
  readonly token: string
  readonly signal?: AbortSignal
}

/** ClickHouse over HTTP. Every error it throws is a `StorageError`. `what` completes "ClickHouse failed while …". */
export interface ClickHouse {
  readonly database: string
  /** Rows of a bounded query: time, memory and threads are limited on the server. Throws `CANCELLED` when its signal is aborted. */
  query(what: string, query: Query): Promise<readonly Row[]>
  /** A statement without a result. */
  command(what: string, sql: string): Promise<void>
  /**
   * Inserts one finite body; resolved means that ClickHouse has the rows. May be repeated with the same body and token after any retryable
   * error: the rows appear once. Each partition of the table is written atomically, the whole insert is not: a repetition adds what is missing.
   */
  insertAvro(insert: AvroInsert): Promise<void>
  /** Names of the columns that an insert into the table may bring, in the order of the table; empty when there is no such table. */
  columns(table: string): Promise<readonly string[]>
  /** Resolves when the database answers a query. */
  ping(): Promise<void>
  /** Closes idle connections; idempotent. */
  close(): Promise<void>
}

/** What is read whole into memory here is bounded there: an error, not a part of the answer. */
const resultBounds: ClickHouseSettings = {
  max_result_rows: String(queryResultRowsMax),
  max_result_bytes: String(queryResultBytesMax),
  result_overflow_mode: 'throw',
}

/** Sent with every query. */
const querySettings: ClickHouseSettings = {
  max_execution_time: querySecondsMax,
  max_memory_usage: String(queryMemoryBytesMax),
  max_threads: queryThreadsMax,
  output_format_json_quote_64bit_integers: 0,
  // Without it a query goes on when nobody listens any more.
  cancel_http_readonly_queries_on_client_close: 1,
}

/**
 * Sent with every insert. Asynchronous inserts are on by default from 26.3 and would acknowledge before the rows are written; parallel parsing may commit a part
 * of a body whose sender was killed; what decides how a body is cut into blocks must be the same when an insert is repeated.
 */
const insertSettings: Readonly<Record<string, string>> = {
  async_insert: '0',
  insert_deduplicate: '1',
  input_format_parallel_parsing: '0',
  max_insert_block_size: '1048449',
  min_insert_block_size_rows: '1048449',
  min_insert_block_size_bytes: '268402944',
  // A replay of many months at once is slow, and not refused.
  max_partitions_per_insert_block: '0',
  // Records of an older schema version lack newer columns.
  input_format_avro_allow_missing_fields: '1',
  wait_end_of_query: '1',
}

/** An insert that ran into a limit of time was not refused: a server that merges hard, or whose disk is slow, takes it later. */
function repeatable(error: StorageError): StorageError {
  if (error.code !== 'QUERY_TOO_EXPENSIVE') return error
  const { message, databaseCode } = error
  return new StorageError('TIMED_OUT', message.replace(/^\[\w+\] /, ''), { cause: error, databaseCode })
}

function isOver(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}

/** Nobody waits for the answer any more: that is no failure of the server. */
function cancelled(what: string, cause: unknown): StorageError {
  return new StorageError('CANCELLED', `nobody waited any more while ${what}`, { cause })
}

const tablePattern = /^[a-z_][a-z0-9_]*$/

/** Makes a client. No request is made yet. */
export function openClickHouse(options: ClickHouseOptions): ClickHouse {
  const { url, user, password, database } = options
  const client = createClient({
    url,
    username: user,
    password,
    database,
    application: 'millrace',
    max_open_connections: options.connectionsMax ?? connectionsMaxDefault,
    request_timeout: commandTimeoutMs,
    // Every failure is thrown, and logged by whoever decides what to do about it.
    log: { level: ClickHouseLogLevel.OFF },
    clickhouse_settings: querySettings,
  })
  const poster = createPoster(url)
  let closed: Promise<void> | undefined

  return {
    database,

    async query(what, { sql, params = {}, signal, secondsMax = querySecondsMax }) {
      // The client looks at a signal only when it changes.
      if (isOver(signal)) throw cancelled(what, signal?.reason)
      const timeout = AbortSignal.timeout(secondsMax * 1_000 + queryGraceMs)
      try {
        const result = await client.query({
          query: sql,
          query_params: params,
          format: 'JSONEachRow',
          clickhouse_settings: { ...resultBounds, max_execution_time: secondsMax },
          abort_signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
        })
        return await result.json<Row>()
      } catch (error) {
        if (isOver(signal)) throw cancelled(what, error)
        throw translateClickHouseError(error, what)
      }
    },

    async command(what, sql) {
      try {
        await client.command({ query: sql, clickhouse_settings: { max_execution_time: 0, wait_end_of_query: 1 } })
      } catch (error) {
        throw translateClickHouseError(error, what)
      }
    },

    async insertAvro({ table, body, token, signal }) {
      if (!tablePattern.test(table)) throw new StorageError('INVALID_QUERY', `"${table}" is not a table's name`)
      const what = `inserting into ${table}`
      const query = `INSERT INTO ${table} FORMAT Avro`
      const search = new URLSearchParams({ ...insertSettings, database, insert_deduplication_token: token, query })
      const timeout = AbortSignal.timeout(insertTimeoutMs)
      try {
        const { status, headers, text } = await poster.post(`${url}/?${search}`, {
          // A body is sent with its length: the server knows when it was cut off.
          body,
          headers: {
            'X-ClickHouse-User': user,
            'X-ClickHouse-Key': password,
            'Content-Type': 'application/octet-stream',
          },
          signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
        })
        const databaseCode = Number(headers['x-clickhouse-exception-code'] ?? Number.NaN)
        if (status < 200 || status > 299 || Number.isInteger(databaseCode)) {
          const failure = { status, text: text === '' ? `status ${status}` : text }
          throw answeredError(
            { ...failure, databaseCode: Number.isInteger(databaseCode) ? databaseCode : undefined },
            what,
          )
        }
      } catch (error) {
        throw repeatable(translateClickHouseError(error, what))
      }
    },

    async columns(table) {
      const rows = await this.query('reading columns', {
        // Computed columns take no values.
        sql: `SELECT name FROM system.columns WHERE database = {database:String} AND table = {table:String}
                AND default_kind NOT IN ('MATERIALIZED', 'ALIAS') ORDER BY position`,
        params: { database, table },
      })
      return rows.map((row) => textOf(row, 'name'))
    },

    async ping() {
      try {
        const result = await client.query({
          query: 'SELECT 1 AS one',
          format: 'JSONEachRow',
          abort_signal: AbortSignal.timeout(pingTimeoutMs),
        })
        await result.text()
      } catch (error) {
        throw translateClickHouseError(error, 'answering a ping')
      }
    },

    close() {
      closed ??= client.close()
      poster.close()
      return closed
    },
  }
}
