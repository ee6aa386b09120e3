import type { FetchedBatches } from './broker.ts'
import { type BatchCodec, compressions, plainBatchCodec } from './compression.ts'
import { StreamsError } from './errors.ts'
import { noHeaders, type RecordHeader } from './record.ts'
import { attributeBits, batchHeaderBytes, batchPosition, controlType } from './record-batch-layout.ts'

const noBytes = Buffer.alloc(0)

/**
 * Reads the records of what a fetch brought, one after the other, without making an object per record: the fields of this one reused
 * object are the current record, and are valid until the next call of `next` or `reset`. Skips records before the asked offset, control
 * batches and the batches of aborted transactions; checks each batch's CRC.
 *
 *     cursor.reset(batches)
 *     while (cursor.next()) if (cursor.valueStart >= 0) read(cursor.bytes, cursor.valueStart, cursor.valueEnd)
 *     commit(cursor.nextOffset)
 */
export class RecordCursor {
  /** What the positions below refer to; another buffer for each compressed batch, so take it again after every `next`. */
  bytes: Buffer = noBytes
  offset = -1
  /** Milliseconds: the producer's time, or the broker's for a topic with `LogAppendTime`; −1 when there is none. */
  timestamp = -1
  /** −1 when the key is null. */
  keyStart = -1
  keyEnd = -1
  /** −1 when the value is null. */
  valueStart = -1
  valueEnd = -1
  /**
   * The offset to go on from after the current record; it is past compacted gaps, and when `next` has returned false also past the control
   * and aborted batches at the end.
   */
  nextOffset = 0

  #fetched: FetchedBatches | undefined
  #endOffset = Number.POSITIVE_INFINITY
  #codec: BatchCodec = plainBatchCodec
  #batchAt = 0
  #batchBaseOffset = 0
  #batchLastOffset = 0
  #batchTimestamp = 0
  #appendTime = false
  #recordsLeft = 0
  #recordAt = 0
  #recordsEnd = 0
  #headersAt = 0
  #recordEnd = 0
  #varintEnd = 0
  #abortedAt = 0
  readonly #abortedProducers = new Set<bigint>()

  /** Starts over with what a fetch brought; `next` moves to its first record. */
  reset(fetched: FetchedBatches): void {
    this.#fetched = fetched
    this.#codec = fetched.codec ?? plainBatchCodec
    this.bytes = fetched.bytes
    this.offset = -1
    this.nextOffset = fetched.fetchOffset
    this.#endOffset = fetched.endOffset ?? Number.POSITIVE_INFINITY
    this.#batchAt = 0
    this.#recordsLeft = 0
    this.#abortedAt = 0
    this.#abortedProducers.clear()
  }

  /**
   * Moves to the next record; false when there is none, also when the last batch is cut off.
   * Throws `CORRUPT_BATCH` with topic, partition and the batch's offset.
   */
  next(): boolean {
    while (this.#recordsLeft > 0 || this.#nextBatch()) {
      this.#readRecord()
      if (this.offset >= this.#endOffset) return this.#end()
      if (this.offset >= this.nextOffset) {
        this.nextOffset = this.#recordsLeft === 0 ? this.#afterBatch() : this.offset + 1
        return true
      }
      if (this.#recordsLeft === 0) this.#passBatch()
    }
    return false
  }

  /** The current record's headers, in order; values are copies. Valid until the next call of `next`. */
  headers(): readonly RecordHeader[] {
    let count = this.#varint(this.#headersAt)
    if (count === 0) return noHeaders
    if (count < 0) throw this.#corrupt(`record ${this.offset} has ${count} headers`)
    const headers: RecordHeader[] = []
    for (; count > 0; count--) {
      const keyLength = this.#varint(this.#varintEnd)
      const keyStart = this.#varintEnd
      const valueLength = this.#varint(keyStart + keyLength)
      const valueStart = this.#varintEnd
      const valueEnd = valueStart + Math.max(valueLength, 0)
      if (keyLength < 0 || valueEnd > this.#recordEnd)
        throw this.#corrupt(`the headers of record ${this.offset} pass its end`)
      headers.push({
        key: this.bytes.toString('utf8', keyStart, keyStart + keyLength),
        value: valueLength < 0 ? null : Buffer.from(this.bytes.subarray(valueStart, valueEnd)),
      })
      this.#varintEnd = valueEnd
    }
    return headers
  }

  #readRecord(): void {
    const bytes = this.bytes
    const length = this.#varint(this.#recordAt)
    const recordEnd = this.#varintEnd + length
    const timestampDelta = this.#varint(this.#varintEnd + 1) // past the attributes, which are unused
    const offsetDelta = this.#varint(this.#varintEnd)
    const keyLength = this.#varint(this.#varintEnd)
    let at = this.#varintEnd
    if (keyLength < 0) {
      this.keyStart = this.keyEnd = -1
    } else {
      this.keyStart = at
      at += keyLength
      this.keyEnd = at
    }
    const valueLength = this.#varint(at)
    at = this.#varintEnd
    if (valueLength < 0) {
      this.valueStart = this.valueEnd = -1
    } else {
      this.valueStart = at
      at += valueLength
      this.valueEnd = at
    }
    if (length < 0 || at > recordEnd || recordEnd > this.#recordsEnd) {
      throw this.#corrupt(
        `record ${this.#batchBaseOffset + offsetDelta} passes the end of its batch (${recordEnd} of ${bytes.length} bytes)`,
      )
    }
    this.offset = this.#batchBaseOffset + offsetDelta
    this.timestamp = this.#appendTime ? this.#batchTimestamp : this.#batchTimestamp + timestampDelta
    this.#headersAt = at
    this.#recordEnd = recordEnd
    this.#recordAt = recordEnd
    this.#recordsLeft--
  }

  /** Moves to the next batch that has records to return; false at the end. */
  #nextBatch(): boolean {
    const fetched = this.#fetched
    if (fetched === undefined) return false
    const bytes = fetched.bytes
    for (;;) {
      const start = this.#batchAt
      if (start + batchHeaderBytes > bytes.length) return false
      this.#batchBaseOffset = readInt64(bytes, start + batchPosition.baseOffset)
      const end = start + batchPosition.afterLength + bytes.readInt32BE(start + batchPosition.length)
      if (bytes[start + batchPosition.magic] !== 2)
        throw this.#corrupt(`magic ${bytes[start + batchPosition.magic]} is not 2`)
      if (end < start + batchHeaderBytes) throw this.#corrupt(`the batch has a length of ${end - start} bytes`)
      if (end > bytes.length) return false
      this.#batchAt = end
      this.#batchLastOffset = this.#batchBaseOffset + bytes.readInt32BE(start + batchPosition.lastOffsetDelta)
      if (this.#batchBaseOffset >= this.#endOffset) return this.#end()
      if (this.#batchLastOffset < this.nextOffset) continue
      this.#checkCrc(bytes, start, end)
      if (this.#isVisible(bytes, start, fetched) && this.#openBatch(bytes, start, end)) return true
      this.#passBatch()
    }
  }

  #passBatch(): void {
    if (this.#batchLastOffset >= this.nextOffset) this.nextOffset = this.#afterBatch()
  }

  #afterBatch(): number {
    return Math.min(this.#batchLastOffset + 1, this.#endOffset)
  }

  /** What is behind `endOffset` is not looked at. */
  #end(): false {
    this.nextOffset = this.#endOffset
    this.#fetched = undefined
    this.#recordsLeft = 0
    return false
  }

  #openBatch(bytes: Buffer, start: number, end: number): boolean {
    const attributes = bytes.readInt16BE(start + batchPosition.attributes)
    this.#appendTime = (attributes & attributeBits.logAppendTime) !== 0
    this.#batchTimestamp = readInt64(
      bytes,
      start + (this.#appendTime ? batchPosition.maxTimestamp : batchPosition.baseTimestamp),
    )
    this.#recordsLeft = bytes.readInt32BE(start + batchPosition.recordCount)
    const compression = compressions[attributes & attributeBits.compression]
    if (compression === undefined)
      throw this.#corrupt(`compression type ${attributes & attributeBits.compression} is unknown`)
    if (compression === 'none') {
      this.bytes = bytes
      this.#recordAt = start + batchHeaderBytes
      this.#recordsEnd = end
    } else {
      this.bytes = this.#codec.decompress(compression, bytes.subarray(start + batchHeaderBytes, end))
      this.#recordAt = 0
      this.#recordsEnd = this.bytes.length
    }
    return this.#recordsLeft > 0
  }

  /** False for control batches and for batches of aborted transactions; keeps track of which producers are in one. */
  #isVisible(bytes: Buffer, start: number, fetched: FetchedBatches): boolean {
    const attributes = bytes.readInt16BE(start + batchPosition.attributes)
    const isControl = (attributes & attributeBits.control) !== 0
    const aborted = fetched.abortedTransactions
    if (aborted.length === 0) return !isControl
    for (
      let next = aborted[this.#abortedAt];
      next !== undefined && next.firstOffset <= this.#batchLastOffset;
      next = aborted[this.#abortedAt]
    ) {
      this.#abortedProducers.add(next.producerId)
      this.#abortedAt++
    }
    if ((attributes & attributeBits.transactional) === 0) return !isControl
    const producerId = bytes.readBigInt64BE(start + batchPosition.producerId)
    if (!isControl) return !this.#abortedProducers.has(producerId)
    if (this.#controlTypeAt(bytes, start) === controlType.abort) this.#abortedProducers.delete(producerId)
    return false
  }

  /** A control record's key is `int16 version · int16 type`. */
  #controlTypeAt(bytes: Buffer, start: number): number {
    this.bytes = bytes
    this.#varint(start + batchHeaderBytes) // length
    this.#varint(this.#varintEnd + 1) // timestamp delta, past the attributes
    this.#varint(this.#varintEnd) // offset delta
    const keyLength = this.#varint(this.#varintEnd)
    if (keyLength < 4 || this.#varintEnd + 4 > this.#batchAt)
      throw this.#corrupt(`a control record has a key of ${keyLength} bytes`)
    return bytes.readInt16BE(this.#varintEnd + 2)
  }

  #checkCrc(bytes: Buffer, start: number, end: number): void {
    const expected = bytes.readUInt32BE(start + batchPosition.crc)
    const actual = this.#codec.crc32c(bytes.subarray(start + batchPosition.attributes, end))
    if (actual !== expected)
      throw this.#corrupt(`its CRC-32C is ${actual.toString(16)} and should be ${expected.toString(16)}`)
  }

  #corrupt(what: string): StreamsError {
    const { topic, partition } = this.#fetched ?? { topic: '', partition: -1 }
    return new StreamsError(
      'CORRUPT_BATCH',
      `the record batch at ${topic}-${partition} offset ${this.#batchBaseOffset} is corrupt: ${what}`,
      {
        topic,
        partition,
        offset: this.#batchBaseOffset,
      },
    )
  }

  /** A zigzag varint of at most 53 bits at `at`; its end goes to `#varintEnd`. Plain numbers: a BigInt per field costs more than the rest. */
  #varint(at: number): number {
    const bytes = this.bytes
    let byte = bytes[at++] ?? 0
    if (byte < 128) {
      this.#varintEnd = at
      return (byte >>> 1) ^ -(byte & 1)
    }
    let value = byte & 127
    let shift = 7
    do {
      byte = bytes[at++] ?? 0
      value |= (byte & 127) << shift
      shift += 7
    } while (byte > 127 && shift < 28)
    if (byte < 128) {
      this.#varintEnd = at
      return (value >>> 1) ^ -(value & 1)
    }
    let wide = value
    let factor = 2 ** 28
    do {
      byte = bytes[at++] ?? 0
      wide += (byte & 127) * factor
      factor *= 128
    } while (byte > 127)
    this.#varintEnd = at
    return wide % 2 === 1 ? -(wide + 1) / 2 : wide / 2
  }
}

/** An int64 as a number: offsets and times stay far below 2^53. */
function readInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)
}
