import type { Row } from './clickhouse.ts'
import { numberOf, textOf } from './row.ts'

/** What tells an event from every other: ClickHouse merges the rows of resends, which have the same. */
export interface EventKey {
  readonly eventId: string
  readonly userId: string
  readonly eventType: string
  readonly timestampMs: number
}

/** One text for all events that ClickHouse merges into one row: a producer that sends an event again sends the same. */
export function eventKeyText({ eventId, userId, eventType, timestampMs }: EventKey): string {
  return JSON.stringify([eventId, userId, eventType, timestampMs])
}

/** The key of a row of `events`, its time selected as `timestamp_ms`. */
export function eventKeyOf(row: Row): EventKey {
  return {
    eventId: textOf(row, 'event_id'),
    userId: textOf(row, 'user_id'),
    eventType: textOf(row, 'event_type'),
    timestampMs: numberOf(row, 'timestamp_ms'),
  }
}
