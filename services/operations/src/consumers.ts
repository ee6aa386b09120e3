import { type TopicName, topics } from '@millrace/schemas'
import type { SinkOffsetRepository } from '@millrace/storage/mysql'
import { type Broker, partitionKey } from '@millrace/streams'

/** The names under which the services read, as they are configured. */
export interface ConsumerNames {
  /** The processor's application id. */
  readonly processor: string
  /** Groups are `<prefix>-<topic>`. */
  readonly sinkClickHouse: string
  readonly sinkMysql: string
}

/** Who reads a topic, and how far. */
export interface Consumer {
  readonly group: string
  readonly topic: TopicName
  /** By partition: the next offset to be read; partitions of which nothing was read are absent. */
  positions(partitions: number): Promise<ReadonlyMap<number, number>>
}

/** What the consumers' positions are read from. */
export interface ConsumerParts {
  readonly broker: Broker
  /** The sink of MySQL keeps its offsets there, together with the rows. */
  readonly sinkOffsets: Pick<SinkOffsetRepository, 'read'>
  readonly names: ConsumerNames
}

const inMysql: readonly TopicName[] = ['leads', 'api-logs']

/** Everybody who reads the topics of the catalogue. */
export function consumersOf({ broker, sinkOffsets, names }: ConsumerParts): readonly Consumer[] {
  const inKafka = (group: string, topic: TopicName): Consumer => ({
    group,
    topic,
    positions: (partitions) => committedOffsets(broker, group, { topic, partitions }),
  })
  const letters = topics.map(({ name }) => name).filter((name) => name.endsWith('.dlq'))
  const stored: readonly TopicName[] = ['events', 'stats', ...letters]
  return [
    inKafka(names.processor, 'events'),
    ...stored.map((topic) => inKafka(`${names.sinkClickHouse}-${topic}`, topic)),
    ...inMysql.map((topic): Consumer => {
      const group = `${names.sinkMysql}-${topic}`
      return {
        group,
        topic,
        async positions() {
          const offsets = await sinkOffsets.read(group, topic)
          return new Map([...offsets].map(([partition, { nextOffset }]) => [partition, nextOffset]))
        },
      }
    }),
  ]
}

/** What a group has committed, by partition. Reads only: nobody joins it. */
export async function committedOffsets(
  broker: Broker,
  groupId: string,
  { topic, partitions }: { readonly topic: string; readonly partitions: number },
): Promise<ReadonlyMap<number, number>> {
  const member = await broker.openGroupMember({ clientId: 'millrace-operations', groupId })
  try {
    const all = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
    const committed = await member.committed(all)
    return new Map(
      all.flatMap(({ partition }) => {
        const found = committed.get(partitionKey({ topic, partition }))
        return found === undefined ? [] : [[partition, found.offset] as const]
      }),
    )
  } finally {
    await member.close()
  }
}
