import { type BatchCodec, type Compression, compressions, plainBatchCodec } from './compression.ts'
import { copyBytes } from './copy-bytes.ts'
import { keyBytes, type OutgoingRecord, SlicedRecord, valueBytes } from './record.ts'
import { attributeBits, batchHeaderBytes, batchPosition, controlType } from './record-batch-layout.ts'
import { uvarintBytes, writeUvarint } from './varint.ts'

/** Who wrote a batch, for the broker's deduplication and for transactions. */
export interface BatchProducer {
  /** −1 for a batch without a producer. */
  readonly id: number
  readonly epoch: number
  /** The sequence number of the batch's first record; it wraps to 0 after 2^31 − 1. */
  readonly baseSequence: number
  readonly transactional: boolean
}

/** A batch of no producer: neither deduplicated nor transactional. */
export const noProducer: BatchProducer = { id: -1, epoch: -1, baseSequence: -1, transactional: false }

/** How a batch is written. */
export interface BatchOptions {
  readonly producer?: BatchProducer
  readonly compression?: Compression
  readonly codec?: BatchCodec
}

/** Room for the first records, when nobody knows how many there will be. */
const roomMin = 512

/**
 * Collects records of one partition into one record batch (layout: `record-batch-layout.ts`). Bytes are written once, into one growing
 * buffer; `build` adds the header and the checksum.
 */
export class RecordBatchBuilder {
  #bytes: Buffer
  #at = batchHeaderBytes
  #count = 0
  #baseTimestamp = 0
  #maxTimestamp = 0

  /** `room`: how large the batch is likely to become; a good guess saves copies. */
  constructor(room = roomMin) {
    this.#bytes = Buffer.allocUnsafe(Math.max(room, roomMin))
  }

  get count(): number {
    return this.#count
  }

  /** The size of the batch, before compression. */
  get bytes(): number {
    return this.#at
  }

  /** Adds a record unless the batch would then be larger than `bytesMax`; a first record larger than that is refused as well. */
  append(record: OutgoingRecord, bytesMax: number): boolean {
    const baseTimestamp = this.#count === 0 ? record.timestamp : this.#baseTimestamp
    const timestampDelta = record.timestamp - baseTimestamp
    const bodyBytes = recordBodyBytes(record, timestampDelta, this.#count)
    const end = this.#at + varintBytes(bodyBytes) + bodyBytes
    if (end > bytesMax) return false
    if (end > this.#bytes.length) this.#grow(end)
    this.#write(record, bodyBytes, timestampDelta)
    this.#baseTimestamp = baseTimestamp
    if (this.#count === 0 || record.timestamp > this.#maxTimestamp) this.#maxTimestamp = record.timestamp
    this.#count++
    return true
  }

  /** The finished batch, with base offset 0; the builder is not to be used afterwards. */
  build({ producer = noProducer, compression = 'none', codec = plainBatchCodec }: BatchOptions = {}): Buffer {
    let batch = this.#bytes.subarray(0, this.#at)
    if (compression !== 'none')
      batch = Buffer.concat([
        batch.subarray(0, batchHeaderBytes),
        codec.compress(compression, batch.subarray(batchHeaderBytes)),
      ])
    writeInt64(batch, 0, batchPosition.baseOffset)
    batch.writeInt32BE(batch.length - batchPosition.afterLength, batchPosition.length)
    batch.writeInt32BE(-1, batchPosition.leaderEpoch)
    batch.writeInt8(2, batchPosition.magic)
    batch.writeInt16BE(compressions.indexOf(compression), batchPosition.attributes)
    batch.writeInt32BE(this.#count - 1, batchPosition.lastOffsetDelta)
    writeInt64(batch, this.#baseTimestamp, batchPosition.baseTimestamp)
    writeInt64(batch, this.#maxTimestamp, batchPosition.maxTimestamp)
    batch.writeInt32BE(this.#count, batchPosition.recordCount)
    stampProducer(batch, producer, codec)
    return batch
  }

  #write(record: OutgoingRecord, bodyBytes: number, timestampDelta: number): void {
    const bytes = this.#bytes
    let at = writeVarint(bytes, bodyBytes, this.#at)
    bytes[at++] = 0
    at = writeVarint(bytes, timestampDelta, at)
    at = writeVarint(bytes, this.#count, at)
    if (record instanceof SlicedRecord) {
      at = writeSlices(bytes, record, at)
    } else {
      at = writeNullable(bytes, record.key, at)
      at = writeNullable(bytes, record.value, at)
    }
    const headers = record.headers
    if (headers === undefined) {
      bytes[at++] = 0
    } else {
      at = writeVarint(bytes, headers.length, at)
      for (const header of headers) {
        at = writeVarint(bytes, Buffer.byteLength(header.key), at)
        at += bytes.write(header.key, at)
        at = writeNullable(bytes, header.value, at)
      }
    }
    this.#at = at
  }

  #grow(bytesNeeded: number): void {
    const grown = Buffer.allocUnsafe(Math.max(bytesNeeded, this.#bytes.length * 2))
    this.#bytes.copy(grown, 0, 0, this.#at)
    this.#bytes = grown
  }
}

/** Writes the producer's fields of a finished batch and its checksum: also for a batch that is sent again under a new producer id. */
export function stampProducer(batch: Buffer, producer: BatchProducer, codec: BatchCodec): void {
  const attributes = batch.readInt16BE(batchPosition.attributes) & ~attributeBits.transactional
  batch.writeInt16BE(
    producer.transactional ? attributes | attributeBits.transactional : attributes,
    batchPosition.attributes,
  )
  writeInt64(batch, producer.id, batchPosition.producerId)
  batch.writeInt16BE(producer.epoch, batchPosition.producerEpoch)
  batch.writeInt32BE(producer.baseSequence, batchPosition.baseSequence)
  batch.writeUInt32BE(codec.crc32c(batch.subarray(batchPosition.attributes)), batchPosition.crc)
}

/** Places a finished batch in a log, as a broker does; the checksum does not cover this. */
export function placeBatch(batch: Buffer, baseOffset: number): void {
  writeInt64(batch, baseOffset, batchPosition.baseOffset)
}

/** All records in one batch, however large. */
export function encodeRecordBatch(records: readonly OutgoingRecord[], options: BatchOptions = {}): Buffer {
  const builder = new RecordBatchBuilder()
  for (const record of records) builder.append(record, Number.MAX_SAFE_INTEGER)
  return builder.build(options)
}

/** The control batch that ends a producer's transaction in one partition: what a broker writes, and so a test double. */
export function encodeControlBatch(
  type: keyof typeof controlType,
  producer: Pick<BatchProducer, 'id' | 'epoch'>,
  timestamp: number,
): Buffer {
  const key = Buffer.alloc(4)
  key.writeInt16BE(controlType[type], 2)
  const value = Buffer.alloc(6) // version and the coordinator's epoch
  const batch = encodeRecordBatch([{ topic: '', partition: 0, key, value, timestamp }])
  batch.writeInt16BE(attributeBits.control, batchPosition.attributes)
  stampProducer(
    batch,
    { id: producer.id, epoch: producer.epoch, baseSequence: -1, transactional: true },
    plainBatchCodec,
  )
  return batch
}

/** Bytes of a batch that holds this record alone: what is compared with the broker's `max.message.bytes`. */
export function soloBatchBytes(record: OutgoingRecord): number {
  const bodyBytes = recordBodyBytes(record, 0, 0)
  return batchHeaderBytes + varintBytes(bodyBytes) + bodyBytes
}

function recordBodyBytes(record: OutgoingRecord, timestampDelta: number, offsetDelta: number): number {
  let bytes =
    1 +
    varintBytes(timestampDelta) +
    varintBytes(offsetDelta) +
    nullableBytes(keyBytes(record)) +
    nullableBytes(valueBytes(record))
  const headers = record.headers
  if (headers === undefined) return bytes + 1
  bytes += varintBytes(headers.length)
  for (const header of headers) {
    const nameBytes = Buffer.byteLength(header.key)
    bytes += varintBytes(nameBytes) + nameBytes + nullableBytes(header.value?.length ?? -1)
  }
  return bytes
}

/** With its length before it; −1 for what is null. */
function nullableBytes(length: number): number {
  return length < 0 ? 1 : varintBytes(length) + length
}

function writeSlices(bytes: Buffer, record: SlicedRecord, position: number): number {
  const { bytes: from, keyStart, keyEnd, valueStart, valueEnd } = record
  let at = writeVarint(bytes, keyEnd - keyStart, position)
  at = copyBytes(from, bytes, at, keyStart, keyEnd)
  at = writeVarint(bytes, valueEnd - valueStart, at)
  return copyBytes(from, bytes, at, valueStart, valueEnd)
}

function writeNullable(bytes: Buffer, value: Buffer | null, at: number): number {
  if (value === null) {
    bytes[at] = 1 // zigzag of −1
    return at + 1
  }
  const start = writeVarint(bytes, value.length, at)
  bytes.set(value, start)
  return start + value.length
}

function varintBytes(value: number): number {
  return uvarintBytes(zigzag(value))
}

function writeVarint(bytes: Buffer, value: number, at: number): number {
  return writeUvarint(bytes, zigzag(value), at)
}

/** Small numbers of either sign as small numbers without one; at most 52 bits. */
function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value
}

function writeInt64(bytes: Buffer, value: number, at: number): void {
  bytes.writeInt32BE(Math.floor(value / 2 ** 32), at)
  bytes.writeUInt32BE(value - Math.floor(value / 2 ** 32) * 2 ** 32, at + 4)
}
