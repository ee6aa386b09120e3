import { gzipSync, zstdCompressSync } from 'node:zlib'
import { createCodec, type Event, frameBytes, schemaText } from '@millrace/schemas'
import { writeUvarint } from '@millrace/streams'
import { EventDraw, fullEvent } from '../streams/event-shape.ts'

/** One event as JSON has some 280 bytes: ids, and metadata of seven members. */
export type SentEvent = Pick<Event, 'event_id' | 'user_id' | 'event_type' | 'timestamp'> & {
  readonly metadata: Readonly<Record<string, unknown>>
}

const eventsMax = 16_000

/** Draws the same events for the same count, around now; their ids are of this run. */
export function drawEvents(count: number, run: string): readonly SentEvent[] {
  const draw = new EventDraw('random-users', eventsMax)
  const startMs = Date.now() - 60_000
  const events: SentEvent[] = []
  while (events.length < count && draw.next()) {
    const { event_id, user_id, event_type, timestamp } = fullEvent(draw.event, startMs, events.length)
    const value = Math.round(draw.event.value * 100) / 100
    const metadata = {
      page: '/pricing/plans',
      ref: 'google',
      session: event_id.slice(0, 18),
      value,
      plan: 'team',
      country: 'DE',
      tests: ['a', 'b'],
    }
    events.push({ event_id: `${run}-${event_id}`, user_id, event_type, timestamp, metadata })
  }
  return events
}

/** An array. */
export function jsonArray(events: readonly SentEvent[]): Buffer {
  return Buffer.from(JSON.stringify(events))
}

/** One event per line. */
export function ndjson(events: readonly SentEvent[]): Buffer {
  return Buffer.from(events.map((event) => JSON.stringify(event)).join('\n'))
}

/** One event per line, compressed. */
export function ndjsonGzip(events: readonly SentEvent[]): Buffer {
  return gzipSync(ndjson(events))
}

/** The same with Zstandard. */
export function ndjsonZstd(events: readonly SentEvent[]): Buffer {
  return zstdCompressSync(ndjson(events))
}

/** An object container of the product's own schema, with one block that is not compressed. */
export function avroContainer(events: readonly SentEvent[]): Buffer {
  const codec = createCodec('event', 0)
  const records = events.map(({ metadata, ...event }) => {
    const value = typeof metadata.value === 'number' ? metadata.value : null
    return codec
      .encode({ ...event, value, metadata: JSON.stringify(metadata), received_at: 0, source: '' })
      .subarray(frameBytes)
  })
  const sync = Buffer.alloc(16, 0x6d)
  const data = Buffer.concat(records)
  const head = [Buffer.from('Obj\u0001'), long(1), text('avro.schema'), text(schemaText('event')), long(0), sync]
  return Buffer.concat([...head, long(events.length), long(data.length), data, sync])
}

function text(of: string): Buffer {
  const bytes = Buffer.from(of)
  return Buffer.concat([long(bytes.length), bytes])
}

/** Of a number that is not negative: zigzag, then a varint. */
function long(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  return bytes.subarray(0, writeUvarint(bytes, value * 2, 0))
}
