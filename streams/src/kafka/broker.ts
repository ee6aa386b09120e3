import type {
  Admin,
  Broker,
  Fetcher,
  FetcherOptions,
  GroupMember,
  GroupMemberOptions,
  Producer,
  ProducerOptions,
  TransactionalProducer,
  TransactionalProducerOptions,
} from '../core/broker.ts'
import { KafkaAdmin } from './admin.ts'
import { Cluster, type ClusterOptions, type GroupTimeouts } from './cluster.ts'
import { KafkaFetcher } from './fetcher.ts'
import { groupTimeouts, KafkaGroupMember } from './group.ts'
import { KafkaProducer } from './producer.ts'
import { KafkaTransactionalProducer } from './transactional-producer.ts'

/** How to reach a cluster: brokers as `host:port`, a client id for administration, TLS and SASL. */
export type KafkaOptions = ClusterOptions

/**
 * The way to a Kafka cluster (3.3 and newer). Opens no connection by itself: whatever is opened has connections of its own, and is closed by whoever
 * opened it. Throws `INVALID_CONFIG` when a broker's address cannot be read.
 */
export function connectKafka(options: KafkaOptions): Broker {
  const cluster = (clientId: string, group?: GroupTimeouts) => new Cluster({ ...options, clientId }, group)
  cluster(options.clientId)
  return {
    openFetcher: async (fetcher: FetcherOptions): Promise<Fetcher> =>
      new KafkaFetcher(cluster(fetcher.clientId), fetcher),
    openGroupMember: async (member: GroupMemberOptions): Promise<GroupMember> =>
      new KafkaGroupMember(cluster(member.clientId, groupTimeouts(member)), member),
    openProducer: (producer: ProducerOptions): Promise<Producer> =>
      opened(cluster(producer.clientId), (own) => KafkaProducer.open(own, producer)),
    openTransactionalProducer: (producer: TransactionalProducerOptions): Promise<TransactionalProducer> =>
      opened(cluster(producer.clientId), (own) => KafkaTransactionalProducer.open(own, producer)),
    openAdmin: async (): Promise<Admin> => new KafkaAdmin(cluster(options.clientId)),
  }
}

/** Closes the connections again when opening fails. */
async function opened<T>(cluster: Cluster, open: (cluster: Cluster) => Promise<T>): Promise<T> {
  try {
    return await open(cluster)
  } catch (error) {
    await cluster.close()
    throw error
  }
}
