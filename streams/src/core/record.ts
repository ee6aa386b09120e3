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
