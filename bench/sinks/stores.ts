import { type ClickHouse, openClickHouse } from '@millrace/storage/clickhouse'
import mysql from 'mysql2/promise'
import { BenchError } from '../bench-error.ts'
import { mysqlOptions, numberOf } from '../mysql-options.ts'

/** Where the records of one topic end, as a measurement needs it. */
export interface MeasuredStore {
  readonly topic: string
  empty(): Promise<void>
  /** How many records are stored. Cheap enough to be asked again and again while the sink works. */
  stored(): Promise<number>
  /** Throws a `BenchError` unless every one of `records` is stored, once. */
  check(records: number): Promise<void>
  close(): Promise<void>
}

type Variables = Readonly<Record<string, string | undefined>>

/** The table `events` in ClickHouse. */
export function eventStore(variables: Variables): MeasuredStore {
  const clickHouse = openClickHouse({
    url: variables.MILLRACE_CLICKHOUSE_URL ?? '',
    user: variables.MILLRACE_CLICKHOUSE_USER ?? '',
    password: variables.MILLRACE_CLICKHOUSE_PASSWORD ?? '',
    database: variables.MILLRACE_CLICKHOUSE_DATABASE ?? '',
  })
  return {
    topic: 'events',
    empty: () => clickHouse.command('emptying events', 'TRUNCATE TABLE events'),
    stored: async () => Number((await firstRow(clickHouse, 'SELECT count() AS found FROM events')).found),
    async check(records) {
      const row = await firstRow(
        clickHouse,
        'SELECT count() AS found, uniqExact(_partition, _offset) AS places, uniqExact(event_id) AS ids FROM events',
      )
      if (Number(row.found) === records && Number(row.places) === records && Number(row.ids) === records) return
      throw new BenchError(`events should hold ${records} rows, places and ids, and holds ${JSON.stringify(row)}.`)
    },
    close: () => clickHouse.close(),
  }
}

async function firstRow(clickHouse: ClickHouse, sql: string): Promise<Readonly<Record<string, unknown>>> {
  return (await clickHouse.query('counting', { sql }))[0] ?? {}
}

/** Both tables of the API's log in MySQL: a record is a row in each. */
export async function logStore(variables: Variables): Promise<MeasuredStore> {
  const connection = await mysql.createConnection(mysqlOptions(variables))
  // Without locks, and not exact while rows come in: that is what `check` is for.
  const count = (table: string) => numberOf(connection, `SELECT COUNT(*) AS found FROM ${table}`)
  return {
    topic: 'api-logs',
    async empty() {
      for (const table of logTables) await connection.query(`TRUNCATE TABLE ${table}`)
    },
    stored: () => count('api_response_logs'),
    async check(records) {
      for (const table of logTables) {
        const found = await count(table)
        if (found !== records) throw new BenchError(`${table} should hold ${records} rows, and holds ${found}.`)
      }
    },
    close: () => connection.end(),
  }
}

const logTables = ['api_request_logs', 'api_response_logs'] as const
