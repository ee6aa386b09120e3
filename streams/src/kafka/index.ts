/** The adapter for Apache Kafka. */

export { partitionOfKey as defaultPartition } from '../core/murmur2.ts'
export { connectKafka, type KafkaOptions } from './broker.ts'
export type { SaslOptions } from './cluster.ts'
