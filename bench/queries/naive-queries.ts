import { type ClickHouse, clickHouseMigrations, type EventQuery } from '@millrace/storage/clickhouse'
import { BenchError } from '../bench-error.ts'

/** The table of events as it was at first: ordered by the filters of the API, from few values to many. */
export const oldTable = 'events_by_type'

/** Makes the table of the old order, from the migration that made it, and gives it the same events. */
export async function copyToOldOrder(clickHouse: ClickHouse): Promise<void> {
  const create = clickHouseMigrations()[0]?.statements.find((sql) => sql.includes('EXISTS events ('))
  if (create === undefined) throw new BenchError('The first migration does not make the table events any more.')
  await clickHouse.command('making the old table', create.replace('EXISTS events (', `EXISTS ${oldTable} (`))
  await clickHouse.command('copying events', `INSERT INTO ${oldTable} SELECT * FROM events`)
  await clickHouse.command('merging events', `OPTIMIZE TABLE ${oldTable} FINAL`)
}

/** Other ways to ask for a page. */
export interface NaiveWay {
  readonly table: 'events' | typeof oldTable
  /** Against resends: `final` merges while it reads, `limit-by` leaves repeated rows out. */
  readonly once: 'final' | 'limit-by'
  /** In place of a cursor. */
  readonly offset?: number
}

/** A page as one writes it first. Returns how many rows came. */
export async function naivePage(clickHouse: ClickHouse, query: EventQuery, way: NaiveWay): Promise<number> {
  const { userId, eventType, fromMs, toMs, limit } = query
  const conditions = [
    ...(userId === undefined ? [] : ['user_id = {user_id:String}']),
    ...(eventType === undefined ? [] : ['event_type = {event_type:String}']),
    ...(fromMs === undefined ? [] : ['timestamp >= fromUnixTimestamp64Milli({from_ms:Int64})']),
    ...(toMs === undefined ? [] : ['timestamp < fromUnixTimestamp64Milli({to_ms:Int64})']),
  ]
  const rows = await clickHouse.query('asking naively', {
    sql: `SELECT event_id, user_id, event_type, toUnixTimestamp64Milli(timestamp) AS timestamp_ms, value, metadata
          FROM ${way.table} ${way.once === 'final' ? 'FINAL' : ''}
          ${conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`}
          ORDER BY timestamp DESC, event_id DESC, user_id DESC, event_type DESC
          ${way.once === 'final' ? '' : 'LIMIT 1 BY timestamp, event_id, user_id, event_type'}
          LIMIT {rows:UInt32} OFFSET {skipped:UInt32}`,
    params: {
      user_id: userId ?? '',
      event_type: eventType ?? '',
      from_ms: fromMs ?? 0,
      to_ms: toMs ?? 0,
      rows: limit,
      skipped: way.offset ?? 0,
    },
  })
  return rows.length
}
