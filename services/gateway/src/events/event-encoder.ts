import { frameBytes } from '@millrace/schemas'
import { SlicedRecord, writeUvarint } from '@millrace/streams'
import { eventSlabBytes } from '../limits.ts'

/** The topic that events go to, and the id of the schema that they are written by. */
export interface EventTopic {
  readonly topic: string
  readonly partitions: number
  readonly schemaId: number
  /** Kafka's default partitioner, for a key that is only a range of the bytes. */
  readonly partitionOf: (
    bytes: Buffer,
    partitions: number,
    key: { readonly start: number; readonly end: number },
  ) => number
}

/** What every event of a request gets from the gateway. */
export interface Reception {
  readonly receivedAtMs: number
  /** The principal that sent it. */
  readonly source: string
}

/** A piece of somebody's bytes: UTF-8 text that nobody has to decode. */
export class TextBytes {
  bytes: Buffer = Buffer.alloc(0)
  start = 0
  end = 0

  set(bytes: Buffer, start: number, end: number): void {
    this.bytes = bytes
    this.start = start
    this.end = end
  }

  get length(): number {
    return this.end - this.start
  }
}

/** One checked event, as it is handed to the encoder. Reused: the encoder copies what it needs. */
export class EventFields {
  readonly eventId = new TextBytes()
  readonly userId = new TextBytes()
  readonly eventType = new TextBytes()
  /** A JSON object's text. */
  readonly metadata = new TextBytes()
  timestampMs = 0
  value: number | null = null
}

/** A varint of 53 bits has 8 bytes, doubled by zigzag. */
const varintBytesMax = 8
/** Everything of a record but its texts: frame, four lengths, two times, the branch of the value and the value. */
const fixedBytesMax = frameBytes + 4 * varintBytesMax + 2 * varintBytesMax + 1 + 8

/** From here on a native copy is faster than a loop: 24 bytes take 23 ns in the loop and 34 in the copy, 64 take 60 and 33. */
const copyFrom = 32

/*
 * A record's value, by schemas/avro/event.avsc in Confluent's framing:
 *
 *   0 · schema id int32 · event_id · user_id · event_type · timestamp · value · metadata · received_at · source
 *
 * where a text is its length and its UTF-8, a length or time a zigzag varint, and the value 0x00, or 0x02 and a 64-bit float, little endian.
 */

/**
 * Writes events as records of Kafka, from the bytes of a request into a large shared buffer: no text is decoded, no object is made of an event,
 * and the record's key is a part of its value. Reading and encoding an event of 270 bytes takes 1.5 µs so; with strings, objects and avsc it took 2.6.
 * Buffers are never written twice, so records stay what they are for as long as somebody has them.
 */
export class EventEncoder {
  readonly #topic: EventTopic
  #slab = Buffer.alloc(0)
  #at = 0
  /** What ends every value of the request: received_at and source. */
  #tail = Buffer.alloc(0)
  #receivedAtMs = 0

  constructor(topic: EventTopic) {
    this.#topic = topic
  }

  /** The events that follow are of this request. */
  begin({ receivedAtMs, source }: Reception): void {
    this.#receivedAtMs = receivedAtMs
    const sourceBytes = Buffer.from(source)
    const tail = Buffer.allocUnsafe(2 * varintBytesMax + sourceBytes.length)
    const at = writeUvarint(tail, sourceBytes.length * 2, writeUvarint(tail, receivedAtMs * 2, 0))
    this.#tail = tail.subarray(0, at + sourceBytes.copy(tail, at))
  }

  /** The record of an event; its fields must have been checked. */
  encode({ eventId, userId, eventType, metadata, timestampMs, value }: EventFields): SlicedRecord {
    const textBytes = eventId.length + userId.length + eventType.length + metadata.length
    this.#reserve(fixedBytesMax + textBytes + this.#tail.length)
    const slab = this.#slab
    const start = this.#at
    const { topic, partitions, partitionOf, schemaId } = this.#topic
    // The time is when the event was taken in, never its own: by this one retention deletes.
    const record = new SlicedRecord(topic, partitionOf(userId.bytes, partitions, userId), this.#receivedAtMs)
    slab[start] = 0
    slab.writeInt32BE(schemaId, start + 1)
    let at = writeText(slab, eventId, start + frameBytes)
    at = writeText(slab, userId, at)
    record.bytes = slab
    record.keyStart = at - userId.length
    record.keyEnd = at
    at = writeText(slab, eventType, at)
    at = writeUvarint(slab, timestampMs * 2, at)
    at = this.#writeValue(value, at)
    at = writeText(slab, metadata, at)
    at += this.#tail.copy(slab, at)
    this.#at = at
    record.valueStart = start
    record.valueEnd = at
    return record
  }

  #writeValue(value: number | null, at: number): number {
    const slab = this.#slab
    if (value === null) {
      slab[at] = 0
      return at + 1
    }
    slab[at] = 2
    slab.writeDoubleLE(value, at + 1)
    return at + 9
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#slab.length) return
    this.#slab = Buffer.allocUnsafeSlow(Math.max(eventSlabBytes, bytes))
    this.#at = 0
  }
}

function writeText(slab: Buffer, { bytes, start, end }: TextBytes, position: number): number {
  const length = end - start
  let at = writeUvarint(slab, length * 2, position)
  if (length >= copyFrom) return at + bytes.copy(slab, at, start, end)
  for (let from = start; from < end; from++) slab[at++] = bytes[from] ?? 0
  return at
}
