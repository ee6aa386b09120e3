import { copyBytes } from './copy-bytes.ts'
import { noHeaders, type OutgoingRecord, type OutgoingRecords, type RecordHeader, SlicedRecord } from './record.ts'

/** Numbers kept of each record: its topic, partition, where its bytes start, and the lengths of key and value (−1: null). */
const columns = 5

/** For the first records, when nobody knows how many there will be. */
const bytesMin = 1_024
const recordsMin = 16

/**
 * Records that wait to be sent, their bytes one behind the other. With 100,000 keys a commit has tens of thousands of records: as objects, each with two
 * buffers, they lived long enough for the garbage collector to copy them, which took more time than making them.
 *
 * `forEach` hands on the same object again and again. Records may only be added, so that a list can be read while it waits for room.
 */
export class PackedRecords implements OutgoingRecords {
  #length = 0
  #numbers: Int32Array
  #timestamps: Float64Array
  #bytes: Buffer
  #at = 0
  readonly #topics: string[] = []
  /** Of the few records that have any. */
  readonly #headers = new Map<number, readonly RecordHeader[]>()

  /** `like`: a list that this one is likely to become as long as; a good guess saves copies. */
  constructor(like?: PackedRecords) {
    const records = Math.max(recordsMin, like?.length ?? 0)
    this.#numbers = new Int32Array(records * columns)
    this.#timestamps = new Float64Array(records)
    this.#bytes = Buffer.allocUnsafeSlow(Math.max(bytesMin, like?.bytes ?? 0))
  }

  get length(): number {
    return this.#length
  }

  /** Of keys and values. */
  get bytes(): number {
    return this.#at
  }

  /** Adds a copy of the record; its headers are kept as they are. */
  push({ topic, partition, key, value, timestamp, headers }: OutgoingRecord): void {
    const keyLength = key === null ? -1 : key.length
    const valueLength = value === null ? -1 : value.length
    this.#reserve(Math.max(keyLength, 0) + Math.max(valueLength, 0))
    const index = this.#length++
    const numbers = this.#numbers
    const at = index * columns
    numbers[at] = this.#topicOf(topic)
    numbers[at + 1] = partition
    numbers[at + 2] = this.#at
    numbers[at + 3] = keyLength
    numbers[at + 4] = valueLength
    this.#timestamps[index] = timestamp
    if (key !== null) this.#append(key)
    if (value !== null) this.#append(value)
    if (headers !== undefined && headers.length > 0) this.#headers.set(index, headers)
  }

  forEach(visit: (record: OutgoingRecord) => void): void {
    const record = new SlicedRecord('', 0, 0)
    const hasHeaders = this.#headers.size > 0
    record.bytes = this.#bytes
    for (let index = 0; index < this.#length; index++) {
      const at = index * columns
      const start = this.#numbers[at + 2] ?? 0
      const keyLength = this.#numbers[at + 3] ?? -1
      const valueStart = start + Math.max(keyLength, 0)
      record.topic = this.#topics[this.#numbers[at] ?? 0] ?? ''
      record.partition = this.#numbers[at + 1] ?? 0
      record.timestamp = this.#timestamps[index] ?? 0
      record.keyStart = start
      record.keyEnd = start + keyLength
      record.valueStart = valueStart
      record.valueEnd = valueStart + (this.#numbers[at + 4] ?? -1)
      record.headers = hasHeaders ? (this.#headers.get(index) ?? noHeaders) : noHeaders
      visit(record)
    }
  }

  /** Records of one task go to few topics. */
  #topicOf(topic: string): number {
    const known = this.#topics.indexOf(topic)
    return known >= 0 ? known : this.#topics.push(topic) - 1
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(this.#at + bytes, this.#bytes.length * 2))
      this.#bytes.copy(grown, 0, 0, this.#at)
      this.#bytes = grown
    }
    if (this.#length < this.#timestamps.length) return
    const numbers = new Int32Array(this.#numbers.length * 2)
    numbers.set(this.#numbers)
    this.#numbers = numbers
    const timestamps = new Float64Array(this.#timestamps.length * 2)
    timestamps.set(this.#timestamps)
    this.#timestamps = timestamps
  }

  #append(from: Buffer): void {
    this.#at = copyBytes(from, this.#bytes, this.#at)
  }
}

/** Records of their own, for whoever keeps them longer than a visit. */
export function unpacked(records: OutgoingRecords): readonly OutgoingRecord[] {
  const own: OutgoingRecord[] = []
  records.forEach(({ topic, partition, key, value, timestamp, headers = noHeaders }) => {
    own.push({ topic, partition, key, value, timestamp, headers })
  })
  return own
}
