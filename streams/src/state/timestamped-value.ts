import type { ScratchBuffers } from './scratch-buffers.ts'

/**
 * The value of a row of a timestamped store, as Kafka Streams keeps it. The changelog carries the plain value; the time is the
 * record's own.
 *
 *   ┌────────────────────┬─────────────┐
 *   │ timestamp int64 BE │ value bytes │
 *   └────────────────────┴─────────────┘
 */
export const timestampBytes = 8

/** The row's bytes; in one of the scratch buffers when they are given. */
export function timestampedValue(value: Buffer, timestamp: number, scratch?: ScratchBuffers): Buffer {
  const length = timestampBytes + value.length
  const row = scratch === undefined ? Buffer.allocUnsafe(length) : scratch.of(length)
  row.writeInt32BE(Math.floor(timestamp / 2 ** 32), 0)
  row.writeUInt32BE((timestamp % 2 ** 32) >>> 0, 4)
  row.set(value, timestampBytes)
  return row
}

/** The time in a row's bytes. */
export function timestampOfRow(row: Buffer): number {
  return row.readInt32BE(0) * 2 ** 32 + row.readUInt32BE(4)
}

/** The plain value in a row's bytes; a view of them. */
export function valueOfRow(row: Buffer): Buffer {
  return row.subarray(timestampBytes)
}
