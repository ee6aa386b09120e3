import { SlicedRecord } from '@millrace/streams'
import type { RecordPlan } from './topic-writer.ts'

/** Kafka's default partitioner, for a key that is only a range of the bytes. */
export type PartitionOf = (
  bytes: Buffer,
  partitions: number,
  key: { readonly start: number; readonly end: number },
) => number

/** First guess of a record: a sealed lead has 530 bytes. A slab that is too small costs one more allocation, nothing else. */
const recordBytesGuess = 640
const slabBytesMax = 1024 * 1024

/**
 * Encodes values one after the other, each behind its key, into few large buffers: one allocation per key and value would cost more than writing them. `bytes` is the size of all keys
 * and values. Throws `NOT_ENCODABLE` at the first value that does not fit the schema.
 */
export function encodeRecords<T>(
  plan: RecordPlan<T>,
  values: readonly T[],
  partitionOf: PartitionOf,
): { readonly records: readonly SlicedRecord[]; readonly bytes: number } {
  const { topic, partitions, codec } = plan
  const records: SlicedRecord[] = new Array(values.length)
  // From Node's pool when the values are few, as in requests that wait for their answer.
  let slab = Buffer.allocUnsafe(Math.min(slabBytesMax, values.length * recordBytesGuess))
  let at = 0
  let bytes = 0
  for (const [index, value] of values.entries()) {
    const key = plan.key(value)
    let keyEnd = writeKey(slab, key, at)
    let end = keyEnd < 0 ? -1 : codec.encodeInto(value, slab, keyEnd)
    for (let size = slab.length; end < 0; size *= 2) {
      slab = Buffer.allocUnsafe(Math.max(size, recordBytesGuess))
      at = 0
      keyEnd = writeKey(slab, key, at)
      end = keyEnd < 0 ? -1 : codec.encodeInto(value, slab, keyEnd)
    }
    const partition = partitionOf(slab, partitions, { start: at, end: keyEnd })
    const record = new SlicedRecord(topic, partition, plan.timestampMs(value))
    record.bytes = slab
    record.keyStart = at
    record.keyEnd = keyEnd
    record.valueStart = keyEnd
    record.valueEnd = end
    records[index] = record
    bytes += end - at
    at = end
  }
  return { records, bytes }
}

/** Returns the position after the key, or −1 when it may not fit: no UTF-16 unit takes more than three bytes. */
function writeKey(slab: Buffer, key: string, at: number): number {
  return at + key.length * 3 > slab.length ? -1 : at + slab.write(key, at)
}
