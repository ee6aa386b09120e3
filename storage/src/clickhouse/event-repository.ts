import { StorageError } from '../errors.ts'
import type { ClickHouse, Query, Row } from './clickhouse.ts'
import { decodeEventCursor, encodeEventCursor } from './event-cursor.ts'
import { type EventKey, eventKeyOf } from './event-key.ts'
import { dateTime64MaxMs, pageRowsMax } from './limits.ts'
import { nullableNumberOf, numberOf, textOf } from './row.ts'

/** An event as it was sent. */
export interface StoredEvent extends EventKey {
  readonly value: number | null
  /** The metadata object as JSON text. */
  readonly metadata: string
}

/** Which events to read; every filter is optional. */
export interface EventQuery {
  readonly userId?: string | undefined
  readonly eventType?: string | undefined
  /** At or after. */
  readonly fromMs?: number | undefined
  /** Before. */
  readonly toMs?: number | undefined
  readonly limit: number
  /** A `nextCursor` of a page with the same filters. */
  readonly cursor?: string | undefined
  /** Aborted when nobody waits for the page any more: then `CANCELLED` is thrown, and the query ends on the server. */
  readonly signal?: AbortSignal | undefined
}

/** One page of events. */
export interface EventPage {
  readonly events: readonly StoredEvent[]
  /** Where the next page begins; null on the last one. */
  readonly nextCursor: string | null
}

/** An event, and when it was received last. */
export interface StoredIdentity extends EventKey {
  readonly receivedAtMs: number
}

/** Where the record of a stored event lies in Kafka. */
export interface StoredRecord extends StoredIdentity {
  readonly partition: number
  readonly offset: number
}

/** Raw events in ClickHouse. */
export interface EventRepository {
  /**
   * Events newest first, by event time; a resend with the same ids and time appears once. Pages are stable while older events do not arrive.
   * Throws `INVALID_QUERY` for a bad limit, time or cursor, `QUERY_TOO_EXPENSIVE` when the filters are too wide for the time limit.
   */
  page(query: EventQuery): Promise<EventPage>
  /**
   * The rows of an id, the one received last first, at most `limit`. Rows of resends are there until ClickHouse merges them. Throws
   * `QUERY_TOO_EXPENSIVE` when that takes too long.
   */
  receipts(eventId: string, limit: number): Promise<readonly StoredRecord[]>
  /** The events that are stored under one of the ids with a time of the range, both ends included; an id may be used by several users. */
  storedSince(range: {
    readonly eventIds: readonly string[]
    readonly fromMs: number
    readonly toMs: number
  }): Promise<readonly StoredIdentity[]>
}

/** The repository of `events`. */
export function createEventRepository(clickHouse: ClickHouse): EventRepository {
  return {
    async page(query) {
      checkLimit(query.limit)
      const found: StoredEvent[] = []
      let cursor = query.cursor
      // One event more than asked for tells whether there is another page. Only resends make another round necessary, and each brings at least one event.
      while (found.length <= query.limit) {
        const asked = query.limit + 1 - found.length
        const rows = await clickHouse.query('reading events', pageQuery({ ...query, cursor }, asked))
        addDistinct(found, rows)
        const last = found.at(-1)
        if (rows.length < asked || last === undefined) break
        cursor = encodeEventCursor(last)
      }
      const events = found.slice(0, query.limit)
      const last = found.length > query.limit ? events.at(-1) : undefined
      return { events, nextCursor: last === undefined ? null : encodeEventCursor(last) }
    },

    async receipts(eventId, limit) {
      const rows = await clickHouse.query('reading a receipt', {
        // Without any other filter it is the index of ids that makes this cheap.
        sql: `SELECT event_id, user_id, event_type, toUnixTimestamp64Milli(timestamp) AS timestamp_ms,
                toUnixTimestamp64Milli(received_at) AS received_ms, _partition, _offset
              FROM events WHERE event_id = {event_id:String}
              ORDER BY received_at DESC, _partition, _offset DESC
              LIMIT {rows:UInt32}`,
        params: { event_id: eventId, rows: limit },
      })
      return rows.map(toRecord)
    },

    async storedSince({ eventIds, fromMs, toMs }) {
      const rows = await clickHouse.query('looking for events', {
        sql: `SELECT event_id, user_id, event_type, toUnixTimestamp64Milli(timestamp) AS timestamp_ms,
                max(toUnixTimestamp64Milli(received_at)) AS received_ms
              FROM events
              WHERE timestamp BETWEEN fromUnixTimestamp64Milli({from_ms:Int64}) AND fromUnixTimestamp64Milli({to_ms:Int64})
                AND event_id IN {event_ids:Array(String)}
              GROUP BY event_id, user_id, event_type, timestamp`,
        params: { event_ids: eventIds, from_ms: checkedTime(fromMs, 'from'), to_ms: checkedTime(toMs, 'to') },
      })
      return rows.map(toIdentity)
    },
  }
}

/**
 * In the order of the table, read from its end: as many rows as the page needs, however many there are. Anything more would have ClickHouse read on: with
 * `LIMIT 1 BY` for what `addDistinct` does, or one more column in the order, such a page took ten times as long.
 */
function pageQuery(query: EventQuery, rows: number): Query {
  const { conditions, params } = planPage(query)
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
  return {
    sql: `SELECT event_id, user_id, event_type, toUnixTimestamp64Milli(timestamp) AS timestamp_ms, value, metadata
          FROM events ${where}
          ORDER BY timestamp DESC, event_id DESC, user_id DESC, event_type DESC
          LIMIT {rows:UInt32}`,
    params: { ...params, rows },
    signal: query.signal,
  }
}

/** Adds rows in the order of the page. Resends that are not merged yet follow each other: one of them is enough. */
function addDistinct(found: StoredEvent[], rows: readonly Row[]): void {
  for (const row of rows) {
    const next = toEvent(row)
    const last = found.at(-1)
    if (last === undefined || !isSame(last, next)) found.push(next)
  }
}

function isSame(a: EventKey, b: EventKey): boolean {
  return (
    a.timestampMs === b.timestampMs && a.eventId === b.eventId && a.userId === b.userId && a.eventType === b.eventType
  )
}

function toEvent(row: Row): StoredEvent {
  return { ...eventKeyOf(row), value: nullableNumberOf(row, 'value'), metadata: textOf(row, 'metadata') }
}

function toIdentity(row: Row): StoredIdentity {
  return { ...eventKeyOf(row), receivedAtMs: numberOf(row, 'received_ms') }
}

function toRecord(row: Row): StoredRecord {
  return { ...toIdentity(row), partition: numberOf(row, '_partition'), offset: numberOf(row, '_offset') }
}

function checkLimit(limit: number): void {
  if (Number.isInteger(limit) && limit >= 1 && limit <= pageRowsMax) return
  throw new StorageError('INVALID_QUERY', `limit must be from 1 to ${pageRowsMax}; got ${limit}`)
}

function planPage(query: EventQuery): { conditions: readonly string[]; params: Record<string, string | number> } {
  const { userId, eventType, fromMs, toMs, cursor } = query
  const conditions: string[] = []
  const params: Record<string, string | number> = {}
  if (eventType !== undefined) {
    conditions.push('event_type = {event_type:String}')
    params.event_type = eventType
  }
  if (userId !== undefined) {
    conditions.push('user_id = {user_id:String}')
    params.user_id = userId
  }
  if (fromMs !== undefined) {
    conditions.push('timestamp >= fromUnixTimestamp64Milli({from_ms:Int64})')
    params.from_ms = checkedTime(fromMs, 'from')
  }
  if (toMs !== undefined) {
    conditions.push('timestamp < fromUnixTimestamp64Milli({to_ms:Int64})')
    params.to_ms = checkedTime(toMs, 'to')
  }
  if (cursor !== undefined) {
    const after = decodeEventCursor(cursor)
    conditions.push(
      // The first condition is implied by the second; it is the one that lets whole parts be skipped.
      'timestamp <= fromUnixTimestamp64Milli({after_ms:Int64})',
      `(timestamp, event_id, user_id, event_type)
         < (fromUnixTimestamp64Milli({after_ms:Int64}), {after_event:String}, {after_user:String}, {after_type:String})`,
    )
    params.after_ms = checkedTime(after.timestampMs, 'cursor')
    params.after_event = after.eventId
    params.after_user = after.userId
    params.after_type = after.eventType
  }
  return { conditions, params }
}

/** A time that DateTime64 can hold; an earlier or later one would wrap around without an error. */
export function checkedTime(ms: number, name: string): number {
  if (Number.isInteger(ms) && ms >= 0 && ms <= dateTime64MaxMs) return ms
  throw new StorageError('INVALID_QUERY', `${name} must be a time from 1970 to 2299`)
}
