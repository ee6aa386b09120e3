import type { ByteRange } from '../core/murmur2.ts'
import type { ScratchBuffers } from './scratch-buffers.ts'

/**
 * The keys of window stores. `start` is the window's start in milliseconds since the epoch, never negative; `seqnum` is 0 (Kafka Streams
 * uses it for join buffers that keep duplicates).
 *
 *   in the store, ordered by time first (Kafka Streams: TimeFirstWindowKeySchema)
 *     ┌────────────────┬─────────────┬──────────────────┐
 *     │ start int64 BE │ key bytes   │ seqnum int32 BE  │
 *     └────────────────┴─────────────┴──────────────────┘
 *   in the changelog (Kafka Streams: WindowKeySchema)
 *     ┌─────────────┬────────────────┬──────────────────┐
 *     │ key bytes   │ start int64 BE │ seqnum int32 BE  │
 *     └─────────────┴────────────────┴──────────────────┘
 *
 * Rows of one time lie together in the store, so that closed and expired windows are one range. The changelog keeps the key first, as
 * Kafka Streams writes it.
 */
const startBytes = 8
const seqnumBytes = 4

/** Where the record key begins within a row's key, and how many bytes follow it. */
export const windowKeyStart = startBytes
export const windowKeyTail = seqnumBytes

const suffixBytes = startBytes + seqnumBytes

/** The store's key of `key` in the window that starts at `startMs`; in one of the scratch buffers when they are given. */
export function windowRowKey(key: Buffer, startMs: number, scratch?: ScratchBuffers): Buffer {
  const length = key.length + suffixBytes
  const row = scratch === undefined ? Buffer.allocUnsafe(length) : scratch.of(length)
  writeStart(row, startMs, 0)
  row.set(key, startBytes)
  row.writeInt32BE(0, startBytes + key.length)
  return row
}

/** The window's start that a row of a window store belongs to. */
export function windowStartOfRow(rowKey: Buffer): number {
  return readStart(rowKey, 0)
}

/** The record key within a row's key; a view of the same bytes. */
export function keyOfWindowRow(rowKey: Buffer): Buffer {
  return rowKey.subarray(startBytes, rowKey.length - seqnumBytes)
}

/** The smallest possible row key of the window that starts at `startMs`: a bound for ranges. */
export function windowRowBound(startMs: number): Buffer {
  const bound = Buffer.allocUnsafe(startBytes)
  writeStart(bound, startMs, 0)
  return bound
}

/** A row's key as the changelog carries it; all of the bytes, or those of the range. In one of the scratch buffers when they are given. */
export function windowChangelogKey(bytes: Buffer, range?: ByteRange, scratch?: ScratchBuffers): Buffer {
  const start = range?.start ?? 0
  const length = (range?.end ?? bytes.length) - start
  const key = scratch === undefined ? Buffer.allocUnsafe(length) : scratch.of(length)
  const keyLength = key.length - suffixBytes
  // A loop: for so few bytes it is faster than three calls of `copy`.
  for (let i = 0; i < keyLength; i++) key[i] = bytes[start + startBytes + i] ?? 0
  for (let i = 0; i < startBytes; i++) key[keyLength + i] = bytes[start + i] ?? 0
  for (let i = keyLength + startBytes; i < key.length; i++) key[i] = bytes[start + i] ?? 0
  return key
}

/**
 * The row's key of a changelog key: of all of the bytes, or those of the range. In one of the scratch buffers when they are given. Throws a `RangeError` when
 * it is too short.
 */
export function windowRowKeyOfChangelog(bytes: Buffer, range?: ByteRange, scratch?: ScratchBuffers): Buffer {
  const start = range?.start ?? 0
  const length = (range?.end ?? bytes.length) - start
  const keyLength = length - suffixBytes
  if (keyLength < 0) throw new RangeError(`a windowed key takes at least ${suffixBytes} bytes, not ${length}`)
  const row = scratch === undefined ? Buffer.allocUnsafe(length) : scratch.of(length)
  for (let i = 0; i < startBytes; i++) row[i] = bytes[start + keyLength + i] ?? 0
  for (let i = 0; i < keyLength; i++) row[startBytes + i] = bytes[start + i] ?? 0
  for (let i = keyLength + startBytes; i < row.length; i++) row[i] = bytes[start + i] ?? 0
  return row
}

/** The window's start in a changelog key; undefined when the key is too short to hold one. */
export function windowStartOfChangelog(changelogKey: Buffer): number | undefined {
  return changelogKey.length < suffixBytes ? undefined : readStart(changelogKey, changelogKey.length - suffixBytes)
}

/** Two halves: a start stays below 2^53, and a BigInt per row would cost more than the rest. */
function writeStart(bytes: Buffer, startMs: number, at: number): void {
  bytes.writeInt32BE(Math.floor(startMs / 2 ** 32), at)
  bytes.writeUInt32BE(startMs % 2 ** 32, at + 4)
}

function readStart(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)
}
