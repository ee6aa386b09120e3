import { decodeLearning, type Event, type RecordCodec, type Registry, SchemaError } from '@millrace/schemas'
import {
  type EventKey,
  eventKeyText,
  type ReconciliationRepository,
  reconciledOffsetsMax,
  type StoredCount,
} from '@millrace/storage/clickhouse'
import type { RecordCursor } from '@millrace/streams'
import { eventTimeSlackMs, missingBeforeWideMax, missingPerRangeMax, outOfOrderMs } from '../limits.ts'
import type { MinuteRange } from './minute-bounds.ts'
import { boundsByPartition, gapsOf, placeKey, type StoreQuestion, type StoreSide } from './store-side.ts'

/** What the side of events needs. */
export interface EventsSideParts {
  readonly clickHouse: ReconciliationRepository
  readonly codec: RecordCodec<Event>
  readonly registry: Registry
  readonly committed: StoreSide['committed']
}

/**
 * Events in ClickHouse, which keeps partition and offset of each. The table is ordered by the events' own times, so it is asked about those near the minutes first; when more than a few are missing then,
 * about events of every time.
 */
export function createEventsSide({ clickHouse, codec, registry, committed }: EventsSideParts): StoreSide {
  const keys = new Map<string, EventKey>()
  let timestamps: { readonly fromMs: number; readonly toMs: number } | undefined

  async function counts({ ranges, fromMs, signal }: StoreQuestion): Promise<readonly StoredCount[]> {
    const partitions = boundsByPartition(ranges)
    return clickHouse.eventCounts({ partitions, receivedFromMs: fromMs - outOfOrderMs, timestamps, signal })
  }

  return {
    topic: 'events',
    store: 'clickhouse',
    foundAs: 'resent',
    routes: ['/api/v1/events', '/events'],
    committed,

    async count(question) {
      keys.clear()
      timestamps = { fromMs: question.fromMs - eventTimeSlackMs, toMs: question.toMs + eventTimeSlackMs }
      let found = toMinutes(question, await counts(question))
      const missing = question.ranges.reduce(
        (sum, { minuteMs, firstOffset, nextOffset }, index) =>
          minuteMs < question.settledMs ? sum + nextOffset - firstOffset - (found.ranges[index]?.records ?? 0) : sum,
        0,
      )
      if (missing > missingBeforeWideMax) {
        timestamps = undefined
        found = toMinutes(question, await counts(question))
      }
      return found
    },

    async missing(range, { fromMs, signal }) {
      const { partition, firstOffset, nextOffset } = range
      if (nextOffset - firstOffset > reconciledOffsetsMax) return { gaps: [{ partition, firstOffset, nextOffset }] }
      const receivedFromMs = fromMs - outOfOrderMs
      const limit = missingPerRangeMax + 1
      const query = { partition, firstOffset, nextOffset, receivedFromMs, timestamps, limit, signal }
      const offsets = await clickHouse.missingEvents(query)
      const gaps = gapsOf(partition, offsets.slice(0, missingPerRangeMax))
      // What lies behind so many is not told apart any more.
      const rest = offsets[missingPerRangeMax]
      return { gaps: rest === undefined ? gaps : [...gaps, { partition, firstOffset: rest, nextOffset }] }
    },

    async keyOf(cursor) {
      const event = await decode(cursor, codec, registry)
      if (event === undefined) return undefined
      const { event_id: eventId, user_id: userId, event_type: eventType, timestamp: timestampMs } = event
      const key = { eventId, userId, eventType, timestampMs }
      const text = eventKeyText(key)
      keys.set(text, key)
      return text
    },

    known: (texts, { signal }) =>
      clickHouse.knownEvents(
        texts.flatMap((text) => keys.get(text) ?? []),
        signal,
      ),

    async deadLettered(range, signal) {
      return new Set(await clickHouse.deadLetterOffsets({ topic: 'events', ...range, signal }))
    },
  }
}

function toMinutes({ ranges }: StoreQuestion, counts: readonly StoredCount[]) {
  const byPlace = new Map<string, { records: number; rows: number }>()
  const byReception = new Map<number, number>()
  for (const { partition, firstOffset, minuteMs, records, rows } of counts) {
    const place = placeKey(partition, firstOffset)
    const before = byPlace.get(place)
    byPlace.set(place, { records: (before?.records ?? 0) + records, rows: (before?.rows ?? 0) + rows })
    byReception.set(minuteMs, (byReception.get(minuteMs) ?? 0) + records)
  }
  const inRange = ({ partition, firstOffset, nextOffset }: MinuteRange) => {
    // Of minutes that begin at one offset, only the last one has records.
    const found = nextOffset > firstOffset ? byPlace.get(placeKey(partition, firstOffset)) : undefined
    if (found === undefined) return { records: 0, doubled: 0 }
    return { records: Math.min(found.records, nextOffset - firstOffset), doubled: found.rows - found.records }
  }
  return { ranges: ranges.map(inRange), byReception }
}

/** Undefined for what no codec reads: then it is a dead letter, or lost. A registry that is away is thrown. */
async function decode(cursor: RecordCursor, codec: RecordCodec<Event>, registry: Registry) {
  if (cursor.valueStart < 0) return undefined
  try {
    return await decodeLearning(codec, registry, cursor.bytes.subarray(cursor.valueStart, cursor.valueEnd))
  } catch (error) {
    if (error instanceof SchemaError && !error.retryable) return undefined
    throw error
  }
}
