import { type RecordView, SinkBatch } from '@millrace/streams/sink'

/** A batch of `partition` whose records have these values, at offsets from `firstOffset` on. */
export function batchOf(
  values: readonly (Buffer | null)[],
  {
    topic = 'events',
    partition = 3,
    firstOffset = 0,
  }: { topic?: string; partition?: number; firstOffset?: number } = {},
): SinkBatch {
  const batch = new SinkBatch({ topic, partition }, firstOffset)
  for (const [index, value] of values.entries()) {
    const record: RecordView = {
      bytes: value ?? Buffer.alloc(0),
      offset: firstOffset + index,
      timestamp: 1_700_000_000_000,
      keyStart: -1,
      keyEnd: -1,
      valueStart: value === null ? -1 : 0,
      valueEnd: value === null ? -1 : value.length,
      headers: () => [],
    }
    batch.append(record)
  }
  return batch
}
