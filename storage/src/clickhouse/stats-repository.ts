import type { StatsInterval } from '@millrace/schemas'
import { StorageError } from '../errors.ts'
import type { ClickHouse, Row } from './clickhouse.ts'
import { checkedTime } from './event-repository.ts'
import { rangeRowsMax } from './limits.ts'
import { booleanOf, nullableNumberOf, numberOf, textOf } from './row.ts'

/** The statistics of one event type in one window. */
export interface StoredStats {
  readonly eventType: string
  readonly interval: string
  readonly windowStartMs: number
  readonly windowEndMs: number
  readonly count: number
  readonly valueCount: number
  readonly sum: number
  readonly avg: number | null
  readonly min: number | null
  readonly max: number | null
  readonly final: boolean
  readonly updatedAtMs: number
}

/** Which windows to read. */
export interface StatsQuery {
  /** All types when it is absent. */
  readonly eventType?: string | undefined
  readonly interval: StatsInterval
  /** Windows that start at or after. */
  readonly fromMs: number
  /** Windows that start before. */
  readonly toMs: number
  readonly limit: number
  /** Which windows count when there are more than `limit`; the answer is in the same order either way. Default `oldest`. */
  readonly keep?: 'oldest' | 'newest' | undefined
  /** Aborted when nobody waits for the answer any more: then `CANCELLED` is thrown, and the query ends on the server. */
  readonly signal?: AbortSignal | undefined
}

/** Window statistics in ClickHouse. */
export interface StatsRepository {
  /** The newest state of each window, oldest window first, then by event type. Throws `INVALID_QUERY`, `QUERY_TOO_EXPENSIVE`. */
  range(query: StatsQuery): Promise<readonly StoredStats[]>
}

/** The repository of `stats`. */
export function createStatsRepository(clickHouse: ClickHouse): StatsRepository {
  return {
    async range({ eventType, interval, fromMs, toMs, limit, keep = 'oldest', signal }) {
      if (!Number.isInteger(limit) || limit < 1 || limit > rangeRowsMax) {
        throw new StorageError('INVALID_QUERY', `limit must be from 1 to ${rangeRowsMax}; got ${limit}`)
      }
      const order = keep === 'oldest' ? 'window_start, event_type' : 'window_start DESC, event_type DESC'
      const byType = eventType === undefined ? '' : 'AND event_type = {event_type:String}'
      const rows = await clickHouse.query('reading stats', {
        sql: `SELECT event_type, interval, toUnixTimestamp64Milli(window_start) AS window_start_ms,
                toUnixTimestamp64Milli(window_end) AS window_end_ms, count, value_count, sum, avg, min, max, final,
                toUnixTimestamp64Milli(updated_at) AS updated_at_ms
              FROM stats FINAL
              WHERE interval = {interval:String} ${byType}
                AND window_start >= fromUnixTimestamp64Milli({from_ms:Int64})
                AND window_start < fromUnixTimestamp64Milli({to_ms:Int64})
              ORDER BY ${order}
              LIMIT {rows:UInt32}`,
        params: {
          interval,
          from_ms: checkedTime(fromMs, 'from'),
          to_ms: checkedTime(toMs, 'to'),
          rows: limit,
          ...(eventType === undefined ? {} : { event_type: eventType }),
        },
        signal,
      })
      const found = rows.map(toStats)
      return keep === 'oldest' ? found : found.reverse()
    },
  }
}

function toStats(row: Row): StoredStats {
  return {
    eventType: textOf(row, 'event_type'),
    interval: textOf(row, 'interval'),
    windowStartMs: numberOf(row, 'window_start_ms'),
    windowEndMs: numberOf(row, 'window_end_ms'),
    count: numberOf(row, 'count'),
    valueCount: numberOf(row, 'value_count'),
    sum: numberOf(row, 'sum'),
    avg: nullableNumberOf(row, 'avg'),
    min: nullableNumberOf(row, 'min'),
    max: nullableNumberOf(row, 'max'),
    final: booleanOf(row, 'final'),
    updatedAtMs: numberOf(row, 'updated_at_ms'),
  }
}
