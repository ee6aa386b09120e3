import { StorageError } from '../errors.ts'
import type { ClickHouse, Row } from './clickhouse.ts'
import { type EventKey, eventKeyOf, eventKeyText } from './event-key.ts'
import { reconciledOffsetsMax, reconciliationIdsMax } from './limits.ts'
import { numberOf } from './row.ts'

/** A partition of `events`, and where its minutes begin: rising offsets, the last one being the end of the last minute. */
export interface EventBounds {
  readonly partition: number
  readonly bounds: readonly number[]
}

/** What is stored of one range of offsets, by the minute in which it was received. */
export interface StoredCount {
  readonly partition: number
  /** The bound that the range begins with. */
  readonly firstOffset: number
  readonly minuteMs: number
  /** Different offsets. */
  readonly records: number
  /** Rows of these offsets: more than `records` while a repeated insert is not merged. */
  readonly rows: number
}

/** A range of offsets of a partition. */
export interface OffsetRange {
  readonly partition: number
  readonly firstOffset: number
  /** The offset after the last one. */
  readonly nextOffset: number
}

/** What ClickHouse has of Kafka's offsets. Every query is bounded in time and memory; throws `QUERY_TOO_EXPENSIVE` beyond. */
export interface ReconciliationRepository {
  /**
   * Counts the events from the first bound of each partition on, which were received at or after `receivedFromMs`. With `timestamps`, only those whose own time is within: the table is ordered by it,
   * so that days outside are not read; whoever asks so must expect others to be missing.
   */
  eventCounts(query: {
    readonly partitions: readonly EventBounds[]
    readonly receivedFromMs: number
    readonly timestamps?: { readonly fromMs: number; readonly toMs: number } | undefined
    readonly signal?: AbortSignal | undefined
  }): Promise<readonly StoredCount[]>
  /** The lowest offsets of the range that no event has, at most `limit`; conditions as for `eventCounts`. Throws `INVALID_QUERY` for a range that is too long. */
  missingEvents(
    query: OffsetRange & {
      readonly receivedFromMs: number
      readonly timestamps?: { readonly fromMs: number; readonly toMs: number } | undefined
      readonly limit: number
      readonly signal?: AbortSignal | undefined
    },
  ): Promise<readonly number[]>
  /** Which of the events are stored, under whatever offset: a resend of one becomes one row with it. As `eventKeyText` writes them. */
  knownEvents(events: readonly EventKey[], signal?: AbortSignal): Promise<ReadonlySet<string>>
  /** The offsets of the range whose records are in a dead-letter topic. */
  deadLetterOffsets(
    query: OffsetRange & { readonly topic: string; readonly signal?: AbortSignal | undefined },
  ): Promise<readonly number[]>
}

/** The repository of what reconciliation asks. */
export function createReconciliationRepository(clickHouse: ClickHouse): ReconciliationRepository {
  return {
    async eventCounts({ partitions, receivedFromMs, timestamps, signal }) {
      const filled = partitions.filter(({ bounds }) => bounds.length > 0)
      if (filled.length === 0) return []
      // Numbers of this program: nothing of them comes from outside.
      const by = (value: (of: EventBounds) => string) =>
        `multiIf(${filled.map((of) => `_partition = ${of.partition}, ${value(of)}`).join(', ')}, toInt64(-1))`
      const rows = await clickHouse.query('counting events', {
        sql: `SELECT _partition AS partition,
                ${by(({ bounds }) => `toInt64(roundDown(_offset, CAST([${[...new Set(bounds)]}], 'Array(Int64)')))`)} AS first_offset,
                intDiv(toUnixTimestamp64Milli(received_at), 60000) AS minute,
                count() AS rows,
                groupBitmap(toUInt32(_offset - ${by(({ bounds }) => `toInt64(${bounds[0]})`)})) AS records
              FROM events
              WHERE (${filled.map(({ partition, bounds }) => `(_partition = ${partition} AND _offset >= ${bounds[0]})`).join(' OR ')})
                AND ${conditionOf(timestamps)}
              GROUP BY partition, first_offset, minute`,
        params: { received_from: receivedFromMs },
        signal,
      })
      return rows.map(toCount)
    },

    async missingEvents({ partition, firstOffset, nextOffset, receivedFromMs, timestamps, limit, signal }) {
      const length = nextOffset - firstOffset
      if (length > reconciledOffsetsMax) {
        throw new StorageError('INVALID_QUERY', `${length} offsets are too many: at most ${reconciledOffsetsMax}`)
      }
      const rows = await clickHouse.query('looking for missing events', {
        sql: `SELECT arrayJoin(bitmapToArray(bitmapSubsetLimit(bitmapAndnot(
                bitmapBuild(range(toUInt32({length:UInt32}))), groupBitmapState(toUInt32(_offset - {first:Int64}))
              ), 0, toUInt32({limit:UInt32})))) AS missing
              FROM events
              WHERE _partition = {partition:Int32} AND _offset >= {first:Int64} AND _offset < {next:Int64}
                AND ${conditionOf(timestamps)}`,
        params: { partition, first: firstOffset, next: nextOffset, length, limit, received_from: receivedFromMs },
        signal,
      })
      return rows.map((row) => firstOffset + numberOf(row, 'missing'))
    },

    async knownEvents(events, signal) {
      const known = new Set<string>()
      // Events of one time lie together: each question then reads little of the table.
      const sorted = [...events].sort((a, b) => a.timestampMs - b.timestampMs)
      for (let at = 0; at < sorted.length; at += reconciliationIdsMax) {
        const chunk = sorted.slice(at, at + reconciliationIdsMax)
        const first = chunk[0]?.timestampMs ?? 0
        const last = chunk.at(-1)?.timestampMs ?? 0
        const rows = await clickHouse.query('looking for events', {
          sql: `SELECT event_id, user_id, event_type, toUnixTimestamp64Milli(timestamp) AS timestamp_ms
                FROM events
                WHERE timestamp >= fromUnixTimestamp64Milli({from_ms:Int64}) AND timestamp < fromUnixTimestamp64Milli({to_ms:Int64})
                  AND event_id IN {event_ids:Array(String)}`,
          params: {
            event_ids: chunk.map(({ eventId }) => eventId),
            from_ms: first,
            to_ms: last + 1,
          },
          signal,
        })
        for (const row of rows) known.add(eventKeyText(eventKeyOf(row)))
      }
      return known
    },

    async deadLetterOffsets({ topic, partition, firstOffset, nextOffset, signal }) {
      const rows = await clickHouse.query('reading dead letters', {
        sql: `SELECT DISTINCT offset FROM dead_letters
              WHERE topic = {topic:String} AND partition = {partition:Int32}
                AND offset >= {first:Int64} AND offset < {next:Int64} AND kind = 'letter'
              LIMIT {limit:UInt32}`,
        params: { topic, partition, first: firstOffset, next: nextOffset, limit: reconciledOffsetsMax },
        signal,
      })
      return rows.map((row) => numberOf(row, 'offset'))
    },
  }
}

/** Rows of a topic that was made anew have offsets of the present one: the time at which they were received tells them apart. */
function conditionOf(timestamps: { readonly fromMs: number; readonly toMs: number } | undefined): string {
  const received = 'received_at >= fromUnixTimestamp64Milli({received_from:Int64})'
  if (timestamps === undefined) return received
  const { fromMs, toMs } = timestamps
  return `${received} AND timestamp >= fromUnixTimestamp64Milli(${Math.trunc(fromMs)}) AND timestamp < fromUnixTimestamp64Milli(${Math.trunc(toMs)})`
}

function toCount(row: Row): StoredCount {
  return {
    partition: numberOf(row, 'partition'),
    firstOffset: numberOf(row, 'first_offset'),
    minuteMs: numberOf(row, 'minute') * 60_000,
    records: numberOf(row, 'records'),
    rows: numberOf(row, 'rows'),
  }
}
