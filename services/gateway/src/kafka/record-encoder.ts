import { SlicedRecord } from '@millrace/streams'
import type { RecordPlan } from './topic-writer.ts'

/** Kafka's default partitioner, for a key that is only a range of the bytes. */
export type PartitionOf = (
  bytes: Buffer,
  partitions: number,
  key: { readonly start: number; readonly end: number },
) => number

/** First guess of a record: a sealed lead has 530 bytes. A slab that is too small costs one more allocation, nothing else. */
const recordBytesGuess = 640
/** Where nobody knows how many values will come, slabs hold about a hundred. */
const slabBytesUnknown = 64 * 1024
const slabBytesMax = 1024 * 1024

/**
 * Encodes values one after the other, each behind its key, into few large buffers: one allocation per key and value would cost more than writing them.
 */
export class RecordEncoder<T> {
  readonly records: SlicedRecord[] = []
  readonly #plan: RecordPlan<T>
  readonly #partitionOf: PartitionOf
  readonly #slabBytes: number
  #slab: Buffer
  #at = 0
  #bytes = 0

  /** `count` values, at least one, are expected; undefined when that is not known. */
  constructor(plan: RecordPlan<T>, partitionOf: PartitionOf, count?: number) {
    this.#plan = plan
    this.#partitionOf = partitionOf
    this.#slabBytes = count === undefined ? slabBytesUnknown : Math.min(slabBytesMax, count * recordBytesGuess)
    // From Node's pool when the values are few, as in requests that wait for their answer.
    this.#slab = Buffer.allocUnsafe(this.#slabBytes)
  }

  /** Of all keys and values. */
  get bytes(): number {
    return this.#bytes
  }

  /** Throws `NOT_ENCODABLE` for a value that does not fit the schema. */
  add(value: T): void {
    const { topic, partitions, codec } = this.#plan
    const key = this.#plan.key(value)
    let keyEnd = writeKey(this.#slab, key, this.#at)
    let end = keyEnd < 0 ? -1 : codec.encodeInto(value, this.#slab, keyEnd)
    for (let size = this.#slabBytes; end < 0; size *= 2) {
      this.#slab = Buffer.allocUnsafe(size)
      this.#at = 0
      keyEnd = writeKey(this.#slab, key, 0)
      end = keyEnd < 0 ? -1 : codec.encodeInto(value, this.#slab, keyEnd)
    }
    const partition = this.#partitionOf(this.#slab, partitions, { start: this.#at, end: keyEnd })
    const record = new SlicedRecord(topic, partition, this.#plan.timestampMs(value))
    record.bytes = this.#slab
    record.keyStart = this.#at
    record.keyEnd = keyEnd
    record.valueStart = keyEnd
    record.valueEnd = end
    this.records.push(record)
    this.#bytes += end - this.#at
    this.#at = end
  }
}

/** Returns the position after the key, or −1 when it may not fit: no UTF-16 unit takes more than three bytes. */
function writeKey(slab: Buffer, key: string, at: number): number {
  return at + key.length * 3 > slab.length ? -1 : at + slab.write(key, at)
}
