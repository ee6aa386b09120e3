import { copyBytes } from '../core/copy-bytes.ts'

/**
 * The keys of a column family, which holds one store of all this process's partitions:
 *
 *   ┌────────────────────┬──────────┬──────────────────────────┐
 *   │ partition int32 BE │ kind 0   │ "changelog-offset"       │  value: int64 BE, the next changelog offset
 *   ├────────────────────┼──────────┼──────────────────────────┤
 *   │ partition int32 BE │ kind 1   │ the row's key            │  value: the row's value
 *   └────────────────────┴──────────┴──────────────────────────┘
 *
 * A partition's rows lie together, so that it is ranged and removed as one; its offset lies among them, so that both are one atomic batch.
 */

/** Bytes before a row's own key. */
export const rowPrefixBytes = 5
const metaKind = 0
const rowKind = 1

/** The key under which a partition's changelog offset is kept. */
export function offsetKey(partition: number): Buffer {
  return Buffer.concat([prefix(partition, metaKind), Buffer.from('changelog-offset', 'latin1')])
}

/** The database key of a row. */
export function rowKey(partition: number, key: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(rowPrefixBytes + key.length)
  rowKeyInto(bytes, partition, key)
  return bytes
}

/** The same in a buffer of the right length. */
export function rowKeyInto(bytes: Buffer, partition: number, key: Buffer): void {
  bytes.writeInt32BE(partition, 0)
  bytes[4] = rowKind
  copyBytes(key, bytes, rowPrefixBytes)
}

/** The row's key within a database key; a view of the same bytes. */
export function keyOfRow(databaseKey: Buffer): Buffer {
  return databaseKey.subarray(rowPrefixBytes)
}

/** The smallest database key of a partition; that of the next partition is the exclusive end of this one. */
export function partitionBound(partition: number): Buffer {
  return prefix(partition, metaKind)
}

/** The partition that a database key belongs to. */
export function partitionOfKey(databaseKey: Buffer): number {
  return databaseKey.readInt32BE(0)
}

/** A changelog offset as it is stored. Two halves: offsets stay below 2^53. */
export function encodeOffset(offset: number): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeInt32BE(Math.floor(offset / 2 ** 32), 0)
  bytes.writeUInt32BE(offset % 2 ** 32, 4)
  return bytes
}

/** Undefined when the bytes are not an offset. */
export function decodeOffset(bytes: Buffer): number | undefined {
  return bytes.length === 8 ? bytes.readInt32BE(0) * 2 ** 32 + bytes.readUInt32BE(4) : undefined
}

function prefix(partition: number, kind: number): Buffer {
  const bytes = Buffer.allocUnsafe(rowPrefixBytes)
  bytes.writeInt32BE(partition, 0)
  bytes[4] = kind
  return bytes
}
