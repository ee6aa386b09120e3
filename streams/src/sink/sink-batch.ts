import type { TopicPartition } from '../core/broker.ts'
import { noHeaders, type RecordHeader } from '../core/record.ts'

/** First sizes, for batches of a few records; both double. */
const firstRows = 64
const firstBytes = 8 * 1024

/** Between two records of a batch lie some ten bytes of framing. Longer gaps, as between small batches, would cost more memory than their copy costs time. */
const gapBytesMax = 32

/** Numbers of one row in `#places`: key start and end, value start and end. */
const placeSize = 4

/** What a batch keeps its records in. Taken over from one that was written, it is as large as batches get: no growing, and no fresh pages. */
export interface BatchStorage {
  readonly bytes: Buffer
  readonly offsets: Float64Array
  readonly timestamps: Float64Array
  readonly places: Int32Array
}

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
 * are in one buffer, and positions kept in typed arrays: no object per record. Records that lie one behind the other in what was fetched are copied
 * together, with the few bytes between them: a copy for each cost half of what taking in a record costs. The writer reads it by index, and may read it
 * again when it repeats a write; nobody changes it once it is sealed.
 */
export class SinkBatch implements TopicPartition {
  readonly topic: string
  readonly partition: number
  readonly firstOffset: number
  /** The offset after the range: past gaps left by compaction and transactions. */
  nextOffset: number
  /** Number of records. */
  count = 0
  #bytes: Buffer
  /** Bytes of `#bytes` that are filled. */
  #filled = 0
  /** What the last records came from, and which part of it is still to be copied, behind what is filled. */
  #source: Buffer | undefined
  #sourceStart = 0
  #sourceEnd = 0
  #offsets: Float64Array
  #timestamps: Float64Array
  #places: Int32Array
  /** Only records that have headers are in it. */
  readonly #headers = new Map<number, readonly RecordHeader[]>()

  constructor(of: TopicPartition, firstOffset: number, storage?: BatchStorage) {
    this.#bytes = storage?.bytes ?? Buffer.allocUnsafeSlow(firstBytes)
    this.#offsets = storage?.offsets ?? new Float64Array(firstRows)
    this.#timestamps = storage?.timestamps ?? new Float64Array(firstRows)
    this.#places = storage?.places ?? new Int32Array(firstRows * placeSize)
    this.topic = of.topic
    this.partition = of.partition
    this.firstOffset = firstOffset
    this.nextOffset = firstOffset
  }

  /** What the positions refer to, valid up to `bytesUsed` and until the next `append`. */
  get bytes(): Buffer {
    this.settle()
    return this.#bytes
  }

  /** Keys and values, and what lay between them. */
  get bytesUsed(): number {
    return this.#filled + this.#sourceEnd - this.#sourceStart
  }

  /** Copies what is not copied yet: the buffers that records came from may change from now on. */
  settle(): void {
    const source = this.#source
    if (source === undefined) return
    this.#source = undefined
    const end = this.bytesUsed
    if (end > this.#bytes.length) this.#growBytes(end)
    source.copy(this.#bytes, this.#filled, this.#sourceStart, this.#sourceEnd)
    this.#filled = end
    this.#sourceStart = this.#sourceEnd = 0
  }

  /** Takes a record behind the others; its offset is higher than theirs. Its buffer must stay as it is until `settle`, or until a record of another one comes. */
  append(record: RecordView): void {
    const row = this.count
    if (row === this.#offsets.length) this.#growRows()
    this.#offsets[row] = record.offset
    this.#timestamps[row] = record.timestamp
    const { bytes, keyStart, keyEnd, valueStart, valueEnd } = record
    const start = keyStart < 0 ? valueStart : keyStart
    const end = valueStart < 0 ? keyEnd : valueEnd
    if (start >= 0) this.#reach(bytes, start, end)
    const at = row * placeSize
    const places = this.#places
    const move = this.#filled - this.#sourceStart
    places[at] = keyStart < 0 ? -1 : keyStart + move
    places[at + 1] = keyStart < 0 ? -1 : keyEnd + move
    places[at + 2] = valueStart < 0 ? -1 : valueStart + move
    places[at + 3] = valueStart < 0 ? -1 : valueEnd + move
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

  /** Fresh storage of this batch's size, for one that is likely to become as large: growing to it step by step would copy everything once more. */
  emptyLike(): BatchStorage {
    return {
      bytes: Buffer.allocUnsafeSlow(this.#bytes.length),
      offsets: new Float64Array(this.#offsets.length),
      timestamps: new Float64Array(this.#timestamps.length),
      places: new Int32Array(this.#places.length),
    }
  }

  /** What its records were kept in, for another batch: this one is over, and so is every view of its keys and values. */
  retire(): BatchStorage {
    this.count = 0
    return { bytes: this.#bytes, offsets: this.#offsets, timestamps: this.#timestamps, places: this.#places }
  }

  #view(at: number): Buffer | null {
    const start = this.#places[at] ?? -1
    return start < 0 ? null : this.bytes.subarray(start, this.#places[at + 1])
  }

  /** Adds a part of a buffer to what is to be copied; one that does not follow soon after the last begins anew. */
  #reach(source: Buffer, start: number, end: number): void {
    if (this.#source !== source || start < this.#sourceEnd || start - this.#sourceEnd > gapBytesMax) {
      this.settle()
      this.#source = source
      this.#sourceStart = start
    }
    this.#sourceEnd = end
  }

  #growRows(): void {
    this.#offsets = doubled(this.#offsets, new Float64Array(this.#offsets.length * 2))
    this.#timestamps = doubled(this.#timestamps, new Float64Array(this.#timestamps.length * 2))
    this.#places = doubled(this.#places, new Int32Array(this.#places.length * 2))
  }

  #growBytes(needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, needed))
    this.#bytes.copy(grown, 0, 0, this.#filled)
    this.#bytes = grown
  }
}

function doubled<A extends Float64Array | Int32Array>(from: A, to: A): A {
  to.set(from)
  return to
}
