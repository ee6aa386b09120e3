import type { Admin, ProducedBatch } from '@millrace/streams'
import { partitionKey } from '@millrace/streams'

/** Where the partitions of some topics end, as far as this process knows: what it sends from now on lies at these offsets or behind them. */
export interface TopicEnds {
  /** By partition; the caller may keep it. */
  of(topic: string): readonly number[]
  /** Notes what Kafka has acknowledged. */
  note(batches: readonly ProducedBatch[]): void
  /** Asks Kafka: others write to these topics, too. */
  refresh(admin: Admin): Promise<void>
}

/** Makes the ends of topics with so many partitions each; all are 0 until they are asked for. */
export function createTopicEnds(partitions: ReadonlyMap<string, number>): TopicEnds {
  const ends = new Map([...partitions].map(([topic, count]) => [topic, new Array<number>(count).fill(0)]))
  const raise = (topic: string, partition: number, end: number) => {
    const known = ends.get(topic)
    if (known !== undefined && end > (known[partition] ?? 0)) known[partition] = end
  }
  return {
    of: (topic) => ends.get(topic)?.slice() ?? [],
    note(batches) {
      for (const { topic, partition, baseOffset, count } of batches) raise(topic, partition, baseOffset + count)
    },
    async refresh(admin) {
      const all = [...ends].flatMap(([topic, offsets]) => offsets.map((_, partition) => ({ topic, partition })))
      const found = await admin.listOffsets(all, 'latest')
      for (const of of all) raise(of.topic, of.partition, found.get(partitionKey(of)) ?? 0)
    },
  }
}
