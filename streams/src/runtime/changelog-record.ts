import type { TopicPartition } from '../core/broker.ts'
import type { OutgoingRecord } from '../core/record.ts'
import type { RecordCursor } from '../core/record-cursor.ts'
import type { ScratchBuffers } from '../state/scratch-buffers.ts'
import type { Change, ChangelogEntry } from '../state/store.ts'
import { timestampedValue } from '../state/timestamped-value.ts'
import { windowRowKeyOfChangelog } from '../state/window-key.ts'
import type { StoreSpec } from '../topology/topology.ts'
import { changelogAgeMsMax } from './limits.ts'

/**
 * A store's change as a record of its changelog, as Kafka Streams writes it:
 *
 *   key        the row's key; of a window store `key ‖ start int64 BE ‖ seqnum int32 BE` (state/window-key.ts)
 *   value      the plain value; null when the row is deleted
 *   timestamp  the row's own, which a restore puts before the value of a timestamped store
 *
 * With one exception. The changelog of a window store is deleted by age, and the broker reckons age from now: rows of a replay of last
 * year's input would be deleted as soon as they were written, and the state be gone with the disk. A row that is old when it is written gets
 * the present time instead, and its own in the header `millrace.timestamp` (int64 BE).
 */
export function changelogRecord(
  entry: ChangelogEntry,
  to: TopicPartition & { readonly spec: StoreSpec; readonly nowMs: number },
): OutgoingRecord {
  const { topic, partition, spec, nowMs } = to
  const { key, value, timestamp } = entry
  if (spec.kind !== 'window' || nowMs - timestamp <= changelogAgeMsMax)
    return { topic, partition, key, value, timestamp }
  const own = Buffer.allocUnsafe(8)
  own.writeBigInt64BE(BigInt(timestamp))
  return { topic, partition, key, value, timestamp: nowMs, headers: [{ key: timestampHeader, value: own }] }
}

/** Where changes are made, one after the other, for whoever copies them; two, as a key and a value may be of the same length. */
export interface ChangeBuffers {
  readonly keys: ScratchBuffers
  readonly values: ScratchBuffers
}

/**
 * The change of a store that a changelog's current record stands for; undefined when it is none, because it has no key. With `scratch` it is valid
 * until the next one is asked for.
 */
export function changeOf(cursor: RecordCursor, spec: StoreSpec, scratch?: ChangeBuffers): Change | undefined {
  const { bytes, keyStart, keyEnd } = cursor
  if (keyStart < 0) return undefined
  const key =
    spec.kind === 'window'
      ? windowRowKeyOfChangelog(bytes, { start: keyStart, end: keyEnd }, scratch?.keys)
      : Buffer.from(bytes.subarray(keyStart, keyEnd))
  return { key, value: rowValue(cursor, spec, scratch?.values) }
}

const timestampHeader = 'millrace.timestamp'

function rowValue(cursor: RecordCursor, spec: StoreSpec, scratch?: ScratchBuffers): Buffer | null {
  if (cursor.valueStart < 0) return null
  const value = cursor.bytes.subarray(cursor.valueStart, cursor.valueEnd)
  return spec.timestamped ? timestampedValue(value, rowTimestamp(cursor), scratch) : Buffer.from(value)
}

function rowTimestamp(cursor: RecordCursor): number {
  for (const { key, value } of cursor.headers()) {
    if (key === timestampHeader && value?.length === 8) return Number(value.readBigInt64BE())
  }
  return cursor.timestamp
}
