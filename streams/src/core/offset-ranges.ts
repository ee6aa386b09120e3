import type { OffsetRange } from './bounded-broker.ts'
import { type Broker, partitionKey } from './broker.ts'
import { StreamsError } from './errors.ts'

/**
 * What arrived in a topic from `fromMs` to before `toMs` (UNIX milliseconds), by partition in ascending order: from the first record that has the one time or a later one, to before the first that has the
 * other. Ranges may be empty. Throws `TOPIC_MISSING`.
 */
export async function offsetRanges(
  broker: Broker,
  topic: string,
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
): Promise<readonly OffsetRange[]> {
  const admin = await broker.openAdmin()
  try {
    const partitions = (await admin.describeTopics([topic])).get(topic)?.partitions
    if (partitions === undefined) throw new StreamsError('TOPIC_MISSING', `topic ${topic} does not exist`, { topic })
    const all = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
    const ends = await admin.listOffsets(all, 'latestCommitted')
    const first = await admin.listOffsets(all, { timeMs: fromMs })
    const next = await admin.listOffsets(all, { timeMs: toMs })
    return all.map((of) => {
      const end = ends.get(partitionKey(of)) ?? 0
      const at = (offsets: ReadonlyMap<string, number>) => Math.min(offsets.get(partitionKey(of)) ?? end, end)
      return { ...of, firstOffset: at(first), nextOffset: Math.max(at(next), at(first)) }
    })
  } finally {
    await admin.close()
  }
}
