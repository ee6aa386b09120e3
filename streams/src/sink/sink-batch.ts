import type { TopicPartition } from '../core/broker.ts'
import { noHeaders, type RecordHeader } from '../core/record.ts'

/** First sizes, for batches of a few records; both double. */
const firstRows = 64
const firstBytes = 8 * 1024

/** Numbers of one row in `#places`: key start and end, value start and end. */
const placeSize = 4

/** A record in a buffer, as `RecordCursor` shows its current one; positions are −1 where key or value is null. */
export interface RecordView {
  readonly bytes: Buffer
  readonly offset: number
  readonly timestamp: number
  readonly keyStart: number
  readonly keyEnd: number
  readonly valueStart: number
  readonly valueEnd: number
  headers(): readonly RecordHeader[]
}

/**
 * Records of one partition, in order: every visible record of the offsets from `firstOffset` up to, and without, `nextOffset`. Keys and values
 * are copied into one buffer, and positions kept in typed arrays: no object per record. The writer reads it by index, and may read it again when it
 * repeats a write; nobody changes it once it is sealed.
 */
export class SinkBatch implements TopicPartition {
  readonly topic: string
  readonly partition: number
  readonly firstOffset: number
  /** The offset after the range: past gaps left by compaction and transactions. */
  nextOffset: number
  /** Number of records. */
  count = 0
  /** Keys and values, end to end; valid up to `bytesUsed`. */
  bytes: Buffer = Buffer.allocUnsafeSlow(firstBytes)
  bytesUsed = 0

  #offsets = new Float64Array(firstRows)
  #timestamps = new Float64Array(firstRows)
  #places = new Int32Array(firstRows * placeSize)
  /** Only records that have headers are in it. */
  readonly #headers = new Map<number, readonly RecordHeader[]>()

  constructor(of: TopicPartition, firstOffset: number) {
    this.topic = of.topic
    this.partition = of.partition
    this.firstOffset = firstOffset
    this.nextOffset = firstOffset
  }

  /** Copies a record behind the others; its offset is higher than theirs. */
  append(record: RecordView): void {
    const row = this.count
    if (row === this.#offsets.length) this.#growRows()
    this.#offsets[row] = record.offset
    this.#timestamps[row] = record.timestamp
    const at = row * placeSize
    this.#copy(record.bytes, record.keyStart, record.keyEnd, at)
    this.#copy(record.bytes, record.valueStart, record.valueEnd, at + 2)
    const headers = record.headers()
    if (headers.length > 0) this.#headers.set(row, headers)
    this.count = row + 1
    this.nextOffset = record.offset + 1
  }

  /** Offset of record `row`. */
  offset(row: number): number {
    return this.#offsets[row] ?? -1
  }

  /** Milliseconds; −1 when the record has none. */
  timestamp(row: number): number {
    return this.#timestamps[row] ?? -1
  }

  /** Where the value of record `row` begins in `bytes`; −1 when it is null. */
  valueStart(row: number): number {
    return this.#places[row * placeSize + 2] ?? -1
  }

  /** Where the value of record `row` ends in `bytes`. */
  valueEnd(row: number): number {
    return this.#places[row * placeSize + 3] ?? -1
  }

  /** The key of record `row`, a view into `bytes`. */
  key(row: number): Buffer | null {
    return this.#view(row * placeSize)
  }

  /** The value of record `row`, a view into `bytes`. */
  value(row: number): Buffer | null {
    return this.#view(row * placeSize + 2)
  }

  /** The headers of record `row`. */
  headers(row: number): readonly RecordHeader[] {
    return this.#headers.get(row) ?? noHeaders
  }

  #view(at: number): Buffer | null {
    const start = this.#places[at] ?? -1
    return start < 0 ? null : this.bytes.subarray(start, this.#places[at + 1])
  }

  #copy(source: Buffer, start: number, end: number, place: number): void {
    if (start < 0) {
      this.#places[place] = -1
      this.#places[place + 1] = -1
      return
    }
    const at = this.bytesUsed
    const next = at + end - start
    if (next > this.bytes.length) this.#growBytes(next)
    source.copy(this.bytes, at, start, end)
    this.#places[place] = at
    this.#places[place + 1] = next
    this.bytesUsed = next
  }

  #growRows(): void {
    this.#offsets = doubled(this.#offsets, new Float64Array(this.#offsets.length * 2))
    this.#timestamps = doubled(this.#timestamps, new Float64Array(this.#timestamps.length * 2))
    this.#places = doubled(this.#places, new Int32Array(this.#places.length * 2))
  }

  #growBytes(needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, needed))
    this.bytes.copy(grown, 0, 0, this.bytesUsed)
    this.bytes = grown
  }
}

function doubled<A extends Float64Array | Int32Array>(from: A, to: A): A {
  to.set(from)
  return to
}
