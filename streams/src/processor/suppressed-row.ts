import { noHeaders, type RecordHeader } from '../core/record.ts'
import type { Serde } from '../core/serde.ts'
import { UvarintReader, uvarintBytes, writeUvarint } from '../core/varint.ts'

/** A change that is held back. */
export interface SuppressedChange<V> {
  /** Null: the row is deleted. */
  readonly value: V | null
  /** What was handed on before, if anybody asked for it. */
  readonly old: V | null
  readonly final: boolean
  /** Of the last update, as are the headers. */
  readonly timestamp: number
  readonly headers: readonly RecordHeader[]
}

/** The layout's version; another one is refused. */
const version = 1
const hasValue = 1
const hasOld = 2
const isFinal = 4
const timeBytes = 8
const fixedBytes = 2 + timeBytes

/**
 * The key of a change that is held back, so that the store's order is that in which they leave.
 *
 *   ┌──────────────────────┬───────────┐
 *   │ buffer time int64 BE │ key bytes │
 *   └──────────────────────┴───────────┘
 */
export function suppressedRowKey(keyBytes: Buffer, timeMs: number): Buffer {
  const rowKey = Buffer.allocUnsafe(timeBytes + keyBytes.length)
  writeTime(rowKey, timeMs, 0)
  keyBytes.copy(rowKey, timeBytes)
  return rowKey
}

/** The buffer time in a row's key. */
export function suppressedTimeOfRow(rowKey: Buffer): number {
  return readTime(rowKey, 0)
}

/** The record key in a row's key; a view of it. */
export function suppressedKeyOfRow(rowKey: Buffer): Buffer {
  return rowKey.subarray(timeBytes)
}

/**
 * The change as a row's value. Flags: 1 has a value, 2 has an old value, 4 final. A header's value has length 0 when it is null, else its
 * length and one more.
 *
 *   ┌──────────┬──────────────┬────────────────────┬─────────────────────────────┐
 *   │ 1 (int8) │ flags (int8) │ timestamp int64 BE │ number of headers, uvarint  │
 *   ├──────────┴──────────────┼────────────────────┴──────┬──────────────────────┤
 *   │ per header: name length │ name │ value length + 1   │ value                │
 *   ├─────────────────────────┼──────┴────────────────────┴──────────────────────┤
 *   │ value length, uvarint   │ value │ old value, to the end                    │
 *   └─────────────────────────┴───────┴──────────────────────────────────────────┘
 */
export function suppressedRow<V>(change: SuppressedChange<V>, serde: Serde<V>): Buffer {
  const { value, old, final, timestamp, headers } = change
  const head = Buffer.allocUnsafe(fixedBytes)
  head[0] = version
  head[1] = (value === null ? 0 : hasValue) | (old === null ? 0 : hasOld) | (final ? isFinal : 0)
  writeTime(head, timestamp, 2)
  const parts = [head, uvarint(headers.length)]
  for (const header of headers) {
    const name = Buffer.from(header.key)
    parts.push(uvarint(name.length), name, uvarint(header.value === null ? 0 : header.value.length + 1))
    if (header.value !== null) parts.push(header.value)
  }
  if (value !== null) {
    const bytes = serde.write(value)
    parts.push(uvarint(bytes.length), bytes)
  }
  if (old !== null) parts.push(serde.write(old))
  return Buffer.concat(parts)
}

/** Reads what `suppressedRow` wrote. Throws `RangeError` for another version, and what the serde throws. */
export function readSuppressedRow<V>(row: Buffer, serde: Serde<V>): SuppressedChange<V> {
  if (row[0] !== version) throw new RangeError(`a row of a suppression has version ${version}, not ${row[0]}`)
  const flags = row[1] ?? 0
  const reader = new UvarintReader()
  reader.reset(row, fixedBytes, row.length)
  const headers = readHeaders(row, reader)
  let value: V | null = null
  if ((flags & hasValue) !== 0) {
    const length = reader.next()
    value = serde.read(row, reader.at, reader.at + length)
    reader.at += length
  }
  const old = (flags & hasOld) === 0 ? null : serde.read(row, reader.at, row.length)
  return { value, old, final: (flags & isFinal) !== 0, timestamp: readTime(row, 2), headers }
}

function readHeaders(row: Buffer, reader: UvarintReader): readonly RecordHeader[] {
  const count = reader.next()
  if (count === 0) return noHeaders
  return Array.from({ length: count }, () => {
    const nameLength = reader.next()
    const key = row.toString('utf8', reader.at, reader.at + nameLength)
    reader.at += nameLength
    const length = reader.next()
    if (length === 0) return { key, value: null }
    const value = Buffer.from(row.subarray(reader.at, reader.at + length - 1))
    reader.at += length - 1
    return { key, value }
  })
}

function uvarint(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(uvarintBytes(value))
  writeUvarint(bytes, value, 0)
  return bytes
}

/** Two halves, as in window keys: times stay below 2^53. */
function writeTime(bytes: Buffer, timeMs: number, at: number): void {
  bytes.writeInt32BE(Math.floor(timeMs / 2 ** 32), at)
  bytes.writeUInt32BE(timeMs % 2 ** 32, at + 4)
}

function readTime(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)
}
