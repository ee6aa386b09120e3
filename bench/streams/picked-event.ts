import { frameBytes } from '@millrace/schemas'
import { internedUtf8, type Serde } from '@millrace/streams'
import { eventSchemaId } from './input-topic.ts'

/** The fields of an event that the jobs are about. */
export interface PickedEvent {
  readonly event_type: string
  readonly value: number | null
}

/**
 * Reads just these fields of an event, by the layout of `schemas/avro/event.avsc`, and skips the others; lengths and longs are zigzag varints:
 *
 *   0x00 · schema id int32 BE · event_id · user_id · event_type · timestamp long · value: 0, or 1 and float64 LE · metadata · …
 */
export function pickedEvents(): Serde<PickedEvent> {
  const types = internedUtf8()
  let at = 0

  /** A length or a branch: never negative in what a bench wrote. */
  function varint(bytes: Buffer, end: number): number {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      if (at >= end || shift > 28) throw new RangeError('the event is cut off')
      const byte = bytes[at++] ?? 0
      value |= (byte & 127) << shift
      if (byte < 128) return value >>> 1
    }
  }

  function passLong(bytes: Buffer, end: number): void {
    while (at < end && (bytes[at++] ?? 0) >= 128);
  }

  /** Passes a text and returns where it starts. */
  function passText(bytes: Buffer, end: number): number {
    const length = varint(bytes, end)
    at += length
    if (at > end) throw new RangeError('the event is cut off')
    return at - length
  }

  return {
    read(bytes, start, end) {
      if (end - start < frameBytes || bytes[start] !== 0 || bytes.readInt32BE(start + 1) !== eventSchemaId)
        throw new RangeError(`an event begins with 0 and schema id ${eventSchemaId}`)
      at = start + frameBytes
      passText(bytes, end)
      passText(bytes, end)
      const event_type = types.read(bytes, passText(bytes, end), at)
      passLong(bytes, end)
      const hasValue = varint(bytes, end) === 1
      if (hasValue && at + 8 > end) throw new RangeError('the event is cut off')
      return { event_type, value: hasValue ? bytes.readDoubleLE(at) : null }
    },
    write() {
      throw new TypeError('a picked event is only read')
    },
  }
}
