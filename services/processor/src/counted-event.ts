import { type Event, frameBytes, type RecordCodec } from '@millrace/schemas'
import { internedUtf8, type Serde } from '@millrace/streams'

/** The fields of an event that the statistics are made of. */
export type CountedEvent = Pick<Event, 'event_type' | 'timestamp' | 'value'>

/**
 * Reads just these fields of an event: what is before them is skipped, what is behind them is not looked at. Events that another version
 * of the schema wrote are decoded by the codec.
 *
 * An event's frame and body, as `schemas/avro/event.avsc` orders it; lengths and longs are zigzag varints:
 *
 *   0x00 · schema id int32 BE · event_id · user_id · event_type · timestamp long · value: 0, or 1 and float64 LE · metadata · …
 */
export function countedEvents(codec: RecordCodec<Event>): Serde<CountedEvent> {
  const eventTypes = internedUtf8()
  let at = 0

  function varint(bytes: Buffer, end: number): number {
    let value = 0
    let factor = 1
    for (;;) {
      if (at >= end) throw new RangeError('the event is cut off')
      const byte = bytes[at++] ?? 0
      value += (byte & 127) * factor
      if (byte < 128) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
      factor *= 128
    }
  }

  function skipText(bytes: Buffer, end: number): number {
    const length = varint(bytes, end)
    at += length
    if (length < 0 || at > end) throw new RangeError('the event is cut off')
    return at - length
  }

  return {
    read(bytes, start, end) {
      if (end - start < frameBytes || bytes[start] !== 0 || bytes.readInt32BE(start + 1) !== codec.schemaId)
        return codec.decode(bytes.subarray(start, end))
      at = start + frameBytes
      skipText(bytes, end)
      skipText(bytes, end)
      const typeStart = skipText(bytes, end)
      const event_type = eventTypes.read(bytes, typeStart, at)
      const timestamp = varint(bytes, end)
      const hasValue = varint(bytes, end) === 1
      if (hasValue && at + 8 > end) throw new RangeError('the event is cut off')
      return { event_type, timestamp, value: hasValue ? bytes.readDoubleLE(at) : null }
    },
    write() {
      throw new TypeError('a counted event is only read')
    },
  }
}
