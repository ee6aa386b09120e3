import { crc32c, noHeaders, type OutgoingRecord, type RecordHeader } from '@millrace/streams'

/*
 * The spill log on disk; all numbers big-endian.
 *
 * A segment:  header · entry · entry · …
 *
 *   header    8 bytes  "MRSPILL1"
 *            16        id of the log, the bytes of a UUID
 *             6        sequence of the first entry
 *             4        CRC-32C of the 30 bytes before
 *
 *   entry     4        "MRSE"
 *             4        CRC-32C of everything behind it
 *             4        length of the body
 *             6        sequence
 *             2        length of the topic's name
 *     body:  name of the topic, UTF-8
 *             2        number of floors; 0 when the records were never sent to Kafka
 *             4        number of records
 *      each floor:     8 bytes offset, by partition from 0 on
 *      each record:    4 partition · 8 timestamp (float) · 4 length of the key · 4 length of the value (−1: null) · 2 number of headers
 *                      key · value · each header: 2 length of the name · 4 length of the value (−1: null) · name · value
 */
const segmentMagic = Buffer.from('MRSPILL1', 'latin1')
const entryMagic = Buffer.from('MRSE', 'latin1')
const entryHeaderBytes = 20
const recordHeaderBytes = 22
const headerHeaderBytes = 6

/** Bytes before a segment's first entry. */
export const segmentHeaderBytes = 34

/** What a segment says of itself. */
export interface SegmentHeader {
  /** The log that it belongs to, as a UUID. */
  readonly logId: string
  readonly firstSequence: number
}

/** Records of one request, all of one topic: kept and replayed together or not at all. */
export interface SpillDraft {
  readonly topic: string
  readonly records: readonly OutgoingRecord[]
  /**
   * Set when these records were sent to Kafka without an answer: none of them can lie before these offsets, by partition. Where they are
   * looked for before they are sent again.
   */
  readonly floors?: readonly number[]
}

/** A draft in the log. */
export interface SpillEntry extends SpillDraft {
  readonly sequence: number
  readonly bytes: number
}

/** A segment's first bytes. */
export function encodeSegmentHeader({ logId, firstSequence }: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(segmentHeaderBytes)
  segmentMagic.copy(bytes)
  Buffer.from(logId.replaceAll('-', ''), 'hex').copy(bytes, 8)
  bytes.writeUIntBE(firstSequence, 24, 6)
  bytes.writeUInt32BE(crc32c(bytes.subarray(0, 30)), 30)
  return bytes
}

/** Reads a segment's first bytes; undefined when they are not those of a segment. */
export function decodeSegmentHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.length < segmentHeaderBytes || !bytes.subarray(0, 8).equals(segmentMagic)) return undefined
  if (crc32c(bytes.subarray(0, 30)) !== bytes.readUInt32BE(30)) return undefined
  const hex = bytes.toString('hex', 8, 24)
  const logId = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
  return { logId, firstSequence: bytes.readUIntBE(24, 6) }
}

/** How many bytes a draft takes in the log. */
export function entryBytes({ topic, records, floors = [] }: SpillDraft): number {
  let bytes = entryHeaderBytes + Buffer.byteLength(topic) + 6 + floors.length * 8
  for (const { key, value, headers = noHeaders } of records) {
    bytes += recordHeaderBytes + (key?.length ?? 0) + (value?.length ?? 0)
    for (const header of headers)
      bytes += headerHeaderBytes + Buffer.byteLength(header.key) + (header.value?.length ?? 0)
  }
  return bytes
}

/** A draft as bytes, under its place in the log. */
export function encodeEntry(draft: SpillDraft, sequence: number): Buffer {
  const { topic, records, floors = [] } = draft
  const bytes = Buffer.allocUnsafe(entryBytes(draft))
  entryMagic.copy(bytes)
  bytes.writeUInt32BE(bytes.length - entryHeaderBytes, 8)
  bytes.writeUIntBE(sequence, 12, 6)
  const topicBytes = bytes.write(topic, entryHeaderBytes)
  bytes.writeUInt16BE(topicBytes, 18)
  let at = entryHeaderBytes + topicBytes
  at = bytes.writeUInt16BE(floors.length, at)
  at = bytes.writeUInt32BE(records.length, at)
  for (const floor of floors) at = bytes.writeBigInt64BE(BigInt(floor), at)
  for (const record of records) at = writeRecord(bytes, at, record)
  bytes.writeUInt32BE(crc32c(bytes.subarray(8)), 4)
  return bytes
}

function writeRecord(bytes: Buffer, start: number, record: OutgoingRecord): number {
  const { partition, timestamp, key, value, headers = noHeaders } = record
  let at = bytes.writeUInt32BE(partition, start)
  at = bytes.writeDoubleBE(timestamp, at)
  at = bytes.writeInt32BE(key?.length ?? -1, at)
  at = bytes.writeInt32BE(value?.length ?? -1, at)
  at = bytes.writeUInt16BE(headers.length, at)
  at += key?.copy(bytes, at) ?? 0
  at += value?.copy(bytes, at) ?? 0
  for (const header of headers) {
    const nameAt = at + headerHeaderBytes
    const nameBytes = bytes.write(header.key, nameAt)
    bytes.writeUInt16BE(nameBytes, at)
    bytes.writeInt32BE(header.value?.length ?? -1, at + 2)
    at = nameAt + nameBytes
    at += header.value?.copy(bytes, at) ?? 0
  }
  return at
}

/** Where an entry begins and ends, once its checksum is known to hold. */
export interface EntryPlace {
  readonly sequence: number
  readonly start: number
  readonly end: number
}

/** The entry that begins at `start`; undefined when none does that is whole. */
export function entryAt(bytes: Buffer, start: number): EntryPlace | undefined {
  if (start + entryHeaderBytes > bytes.length || entryMagic.compare(bytes, start, start + 4) !== 0) return undefined
  const end = start + entryHeaderBytes + bytes.readUInt32BE(start + 8)
  if (end > bytes.length) return undefined
  if (crc32c(bytes.subarray(start + 8, end)) !== bytes.readUInt32BE(start + 4)) return undefined
  return { sequence: bytes.readUIntBE(start + 12, 6), start, end }
}

/** The next whole entry at or after `from`, whatever lies before it. */
export function nextEntry(bytes: Buffer, from: number): EntryPlace | undefined {
  for (let at = bytes.indexOf(entryMagic, from); at >= 0; at = bytes.indexOf(entryMagic, at + 1)) {
    const found = entryAt(bytes, at)
    if (found !== undefined) return found
  }
  return undefined
}

/** Bytes of the entry at `start` as its header has them; undefined when the header is not all there. */
export function entryLengthAt(bytes: Buffer, start: number): number | undefined {
  return start + entryHeaderBytes > bytes.length ? undefined : entryHeaderBytes + bytes.readUInt32BE(start + 8)
}

/** Reads an entry whose checksum holds. Keys and values are views of `bytes`. */
export function decodeEntry(bytes: Buffer, { sequence, start, end }: EntryPlace): SpillEntry {
  let at = start + entryHeaderBytes
  const topicEnd = at + bytes.readUInt16BE(start + 18)
  const topic = bytes.toString('utf8', at, topicEnd)
  const floors: number[] = new Array(bytes.readUInt16BE(topicEnd))
  const records: OutgoingRecord[] = new Array(bytes.readUInt32BE(topicEnd + 2))
  at = topicEnd + 6
  for (let i = 0; i < floors.length; i++, at += 8) floors[i] = Number(bytes.readBigInt64BE(at))
  for (let i = 0; i < records.length; i++) {
    const partition = bytes.readUInt32BE(at)
    const timestamp = bytes.readDoubleBE(at + 4)
    const keyLength = bytes.readInt32BE(at + 12)
    const valueLength = bytes.readInt32BE(at + 16)
    const headerCount = bytes.readUInt16BE(at + 20)
    at += recordHeaderBytes
    const key = slice(bytes, at, keyLength)
    at += key?.length ?? 0
    const value = slice(bytes, at, valueLength)
    at += value?.length ?? 0
    const headers: RecordHeader[] = []
    for (let left = headerCount; left > 0; left--) {
      const nameAt = at + headerHeaderBytes
      const nameEnd = nameAt + bytes.readUInt16BE(at)
      const content = slice(bytes, nameEnd, bytes.readInt32BE(at + 2))
      headers.push({ key: bytes.toString('utf8', nameAt, nameEnd), value: content })
      at = nameEnd + (content?.length ?? 0)
    }
    records[i] = { topic, partition, timestamp, key, value, headers: headers.length === 0 ? noHeaders : headers }
  }
  const entry = { topic, records, sequence, bytes: end - start }
  return floors.length === 0 ? entry : { ...entry, floors }
}

function slice(bytes: Buffer, start: number, length: number): Buffer | null {
  return length < 0 ? null : bytes.subarray(start, start + length)
}
