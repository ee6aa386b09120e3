import type { SenderWire } from './batch-sender.ts'
import type { Cluster } from './cluster.ts'
import { kafkaLimits } from './limits.ts'
import { rawProduce } from './raw-produce.ts'

/** The cluster as a batch sender sees it. */
export function produceWire(
  cluster: Cluster,
  version: keyof typeof rawProduce,
  transactionalId: string | null,
): SenderWire {
  // The broker gives up waiting for its replicas a moment before we give up waiting for the broker.
  const timeoutMs = Math.floor(kafkaLimits.produceTimeoutMs * 0.8)
  return {
    signal: cluster.signal,
    random: cluster.random,
    leaderOf: (partition) => cluster.leaderOf(partition),
    exists: ({ topic, partition }) => cluster.known(topic)?.partitions[partition] !== undefined,
    refresh: (topics) => cluster.refresh(topics),
    connect: async (leader) => {
      const connection = await cluster.connection(leader, 'produce')
      return (entries) => rawProduce[version].async(connection, transactionalId, timeoutMs, entries)
    },
  }
}
