/** The adapter for Apache Kafka. */
export { connectKafka, type KafkaOptions } from './broker.ts'
export type { SaslOptions } from './cluster.ts'
