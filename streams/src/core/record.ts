const noBytes = Buffer.alloc(0)

/** A record header; the order of headers counts and names may repeat. */
export interface RecordHeader {
  readonly key: string
  readonly value: Buffer | null
}

/** No headers: shared, so that records without any cost nothing. */
export const noHeaders: readonly RecordHeader[] = Object.freeze([])

/** A decoded record on its way through a topology. */
export interface StreamRecord<K, V> {
  readonly key: K
  readonly value: V
  /** Event time, milliseconds since the UNIX epoch. */
  readonly timestamp: number
  readonly headers: readonly RecordHeader[]
}

/** A record as it was read, with its place. */
export interface OriginalRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly timestamp: number
  readonly headers: readonly RecordHeader[]
}

/** A record to be produced, already in bytes. */
export interface OutgoingRecord {
  readonly topic: string
  /** Chosen by the caller; see `core/murmur2.ts` for Kafka's default. */
  readonly partition: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  /** Milliseconds since the UNIX epoch. */
  readonly timestamp: number
  readonly headers?: readonly RecordHeader[]
}

/**
 * Records to be produced, in order. An array is one; others make no object for each, and hand the same one on again and again: it is valid during its
 * visit.
 */
export interface OutgoingRecords {
  readonly length: number
  forEach(visit: (record: OutgoingRecord) => void): void
}

/**
 * A record whose key and value lie in one buffer with those of others. It costs one object: two buffers more for each would be most of what a garbage
 * collection has to move. They are made when somebody reads `key` or `value`; whoever only copies takes the bytes from their places.
 */
export class SlicedRecord implements OutgoingRecord {
  topic: string
  partition: number
  timestamp: number
  headers: readonly RecordHeader[] = noHeaders
  /** Holds key and value; never written again. */
  bytes: Buffer = noBytes
  keyStart = 0
  keyEnd = 0
  valueStart = 0
  valueEnd = 0

  /** Whoever makes it sets the places before anybody reads them. An end that lies before its start: the key or value is null. */
  constructor(topic: string, partition: number, timestamp: number) {
    this.topic = topic
    this.partition = partition
    this.timestamp = timestamp
  }

  get key(): Buffer | null {
    return this.keyEnd < this.keyStart ? null : this.bytes.subarray(this.keyStart, this.keyEnd)
  }

  get value(): Buffer | null {
    return this.valueEnd < this.valueStart ? null : this.bytes.subarray(this.valueStart, this.valueEnd)
  }
}

/** Bytes of a record's key; −1 when it has none. */
export function keyBytes(record: OutgoingRecord): number {
  return record instanceof SlicedRecord ? record.keyEnd - record.keyStart : (record.key?.length ?? -1)
}

/** Bytes of a record's value; −1 when it has none. */
export function valueBytes(record: OutgoingRecord): number {
  return record instanceof SlicedRecord ? record.valueEnd - record.valueStart : (record.value?.length ?? -1)
}
