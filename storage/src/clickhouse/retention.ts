import { StorageError } from '../errors.ts'
import type { ClickHouse } from './clickhouse.ts'
import { retentionDaysMax } from './limits.ts'
import { textOf } from './row.ts'

/**
 * Lets ClickHouse delete events this many days after they happened; 0 keeps them for ever. It deletes whole parts, which costs nothing and rewrites nothing; a part
 * has at most a month, so that an event is gone between `days` and `days` + 31 days after it happened. Does nothing when that is so already. Throws `INVALID_QUERY`.
 */
export async function setEventsRetention(clickHouse: ClickHouse, days: number): Promise<void> {
  if (!Number.isInteger(days) || days < 0 || days > retentionDaysMax) {
    throw new StorageError('INVALID_QUERY', `events are kept for 0 (for ever) to ${retentionDaysMax} days; got ${days}`)
  }
  const wanted = days === 0 ? undefined : days
  if ((await eventsRetention(clickHouse)) === wanted) return
  const change = wanted === undefined ? 'REMOVE TTL' : `MODIFY TTL timestamp + toIntervalDay(${wanted})`
  await clickHouse.command('setting how long events are kept', `ALTER TABLE events ${change}`)
}

/** For how many days events are kept; undefined for ever. */
export async function eventsRetention(clickHouse: ClickHouse): Promise<number | undefined> {
  const [row] = await clickHouse.query('reading how long events are kept', {
    sql: `SELECT engine_full FROM system.tables WHERE database = {database:String} AND name = 'events'`,
    params: { database: clickHouse.database },
  })
  const days = row && /\bTTL timestamp \+ toIntervalDay\((\d+)\)/.exec(textOf(row, 'engine_full'))?.[1]
  return days === undefined ? undefined : Number(days)
}
