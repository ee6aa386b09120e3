import { type Broker, type Fetcher, partitionKey, RecordCursor } from '@millrace/streams'
import type { Consumer } from './consumers.ts'
import { lagPollMs } from './limits.ts'

/** How far a group is behind. */
export interface GroupLag {
  readonly group: string
  readonly topic: string
  /** Offsets between what it has come to and the end; markers of transactions count. */
  readonly records: number
  /** The age of the oldest record that it has not come to; 0 when there is none. */
  readonly seconds: number
  readonly partitions: readonly PartitionLag[]
}

/** One partition of it. */
export interface PartitionLag {
  readonly partition: number
  /** Null when the group has come to nothing yet. */
  readonly position: number | null
  readonly end: number
  readonly records: number
}

/** Reads how far everybody is behind. Topics that do not exist are left out. Throws what Kafka and MySQL throw. */
export async function readLags(
  { broker, nowMs }: { readonly broker: Broker; readonly nowMs: () => number },
  consumers: readonly Consumer[],
): Promise<readonly GroupLag[]> {
  const admin = await broker.openAdmin()
  const fetcher = await broker.openFetcher({ clientId: 'millrace-operations', partitionBytesMax: 1_024 })
  try {
    const described = await admin.describeTopics([...new Set(consumers.map(({ topic }) => topic))])
    const all = [...described.values()].flatMap(({ name, partitions }) =>
      Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition })),
    )
    const starts = await admin.listOffsets(all, 'earliest')
    const ends = await admin.listOffsets(all, 'latestCommitted')
    const lags: GroupLag[] = []
    for (const consumer of consumers) {
      const partitions = described.get(consumer.topic)?.partitions
      if (partitions === undefined) continue
      const positions = await consumer.positions(partitions)
      const lagged = Array.from({ length: partitions }, (_, partition): PartitionLag => {
        const key = partitionKey({ topic: consumer.topic, partition })
        const position = positions.get(partition) ?? null
        const end = ends.get(key) ?? 0
        return { partition, position, end, records: Math.max(end - Math.max(position ?? 0, starts.get(key) ?? 0), 0) }
      })
      const oldestMs = await oldestOf(fetcher, consumer.topic, lagged)
      lags.push({
        group: consumer.group,
        topic: consumer.topic,
        records: lagged.reduce((sum, { records }) => sum + records, 0),
        seconds: oldestMs === undefined ? 0 : Math.max(nowMs() - oldestMs, 0) / 1_000,
        partitions: lagged,
      })
    }
    return lags
  } finally {
    await Promise.all([fetcher.close(), admin.close()])
  }
}

/** The time of the oldest record that was not come to; undefined when only markers are left, or nothing came in time. */
async function oldestOf(fetcher: Fetcher, topic: string, lagged: readonly PartitionLag[]): Promise<number | undefined> {
  const behind = new Map(lagged.filter(({ records }) => records > 0).map((of) => [of.partition, of]))
  if (behind.size === 0) return undefined
  fetcher.assign(
    [...behind.values()].map(({ partition, end, records }) => ({ topic, partition, offset: end - records })),
  )
  const cursor = new RecordCursor()
  let oldestMs: number | undefined
  const deadlineMs = performance.now() + lagPollMs
  while (behind.size > 0 && performance.now() < deadlineMs) {
    for (const fetched of await fetcher.poll(lagPollMs)) {
      cursor.reset(fetched)
      if (fetched.topic !== topic || !behind.has(fetched.partition) || !cursor.next()) continue
      behind.delete(fetched.partition)
      oldestMs = Math.min(oldestMs ?? cursor.timestamp, cursor.timestamp)
    }
    for (const { partition, end } of behind.values()) {
      if ((fetcher.position({ topic, partition }) ?? 0) >= end) behind.delete(partition)
    }
  }
  return oldestMs
}
