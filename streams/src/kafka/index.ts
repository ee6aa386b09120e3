/** The adapter for Apache Kafka. */
export { connectKafka, type KafkaOptions } from './broker.ts'
export type { SaslOptions } from './cluster.ts'
export { defaultPartition, murmur2 } from './partitioner.ts'
