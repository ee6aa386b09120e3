import { createLogger } from '@millrace/kit'
import {
  openRegistry,
  type RecordCodec,
  type RecordTypes,
  type SchemaName,
  type TopicName,
  topics,
} from '@millrace/schemas'
import { migrateClickHouse, openClickHouse } from '@millrace/storage/clickhouse'
import { migrateMysql, openMysql } from '@millrace/storage/mysql'
import type { Broker, Producer } from '@millrace/streams'
import { connectKafka, defaultPartition } from '@millrace/streams/kafka'
import { followTopic, type TopicFollower } from '../src/kafka/topic-follower.ts'

/** A variable that names a real server; a test fails without it instead of passing unseen. */
export function required(name: string): string {
  const value = process.env[name]
  if (value === undefined || value === '') {
    throw new Error(`${name} is not set: these tests need the real servers (npm test starts them)`)
  }
  return value
}

/** The real servers, ready for a gateway: topics, schemas and tables are there. */
export interface RealServers {
  readonly broker: Broker
  readonly clickHouse: ReturnType<typeof openClickHouse>
  readonly mysql: ReturnType<typeof openMysql>
  codec<N extends SchemaName>(topic: TopicName, schema: N): Promise<RecordCodec<RecordTypes[N]>>
  /** Follows a topic from now on, or from its beginning, and collects what matches. */
  collect<N extends SchemaName>(
    topic: TopicName,
    schema: N,
    from: 'earliest' | 'latest',
  ): Promise<Collected<RecordTypes[N]>>
  /** Produces values to a topic, by the default partition of `key`. */
  produce<N extends SchemaName>(
    topic: TopicName,
    schema: N,
    values: readonly { key: string; value: RecordTypes[N] }[],
  ): Promise<void>
  close(): Promise<void>
}

/** What a follower has seen so far. */
export interface Collected<T> {
  readonly records: { readonly value: T; readonly partition: number; readonly offset: number }[]
  readonly follower: TopicFollower
  onRecord: (value: T) => void
}

/** Opens the servers that the environment names, and brings them to the state that a gateway expects. Repeating it changes nothing. */
export async function openServers(): Promise<RealServers> {
  const logger = createLogger({ service: 'gateway-test', level: 'fatal' })
  const broker = connectKafka({ brokers: required('MILLRACE_KAFKA_BROKERS').split(','), clientId: 'gateway-test' })
  const registry = openRegistry(required('MILLRACE_REGISTRY_URL'))
  const mysqlOptions = {
    host: required('MILLRACE_MYSQL_HOST'),
    port: Number(required('MILLRACE_MYSQL_PORT')),
    user: required('MILLRACE_MYSQL_USER'),
    password: required('MILLRACE_MYSQL_PASSWORD'),
    database: required('MILLRACE_MYSQL_DATABASE'),
  }
  const clickHouseOptions = {
    url: required('MILLRACE_CLICKHOUSE_URL'),
    user: required('MILLRACE_CLICKHOUSE_USER'),
    password: required('MILLRACE_CLICKHOUSE_PASSWORD'),
    database: required('MILLRACE_CLICKHOUSE_DATABASE'),
  }
  const admin = await broker.openAdmin()
  const wanted = topics.map(({ name, partitions, config }) => ({ name, partitions, replicationFactor: 1, config }))
  await admin.createTopics(wanted)
  await admin.close()
  await registry.registerAll()
  await migrateClickHouse(clickHouseOptions)
  const mysql = openMysql(mysqlOptions)
  await migrateMysql(mysql)
  const clickHouse = openClickHouse(clickHouseOptions)
  const producer: Producer = await broker.openProducer({ clientId: 'gateway-test' })
  const followers: TopicFollower[] = []
  const partitionsOf = (name: TopicName) => topics.find((spec) => spec.name === name)?.partitions ?? 1

  return {
    broker,
    clickHouse,
    mysql,
    codec: (topic, schema) => registry.codecFor(topic, schema),
    async collect(topic, schema, from) {
      const records: { value: RecordTypes[typeof schema]; partition: number; offset: number }[] = []
      const collected = { records, onRecord: (_value: RecordTypes[typeof schema]) => {} }
      const follower = followTopic({
        broker,
        clientId: 'gateway-test',
        topic,
        from,
        codec: await registry.codecFor(topic, schema),
        schemaById: (id) => registry.schemaById(id),
        onRecord: (value, { partition, offset }) => {
          records.push({ value, partition, offset })
          collected.onRecord(value)
        },
        onUndecodable: (error) => {
          throw error
        },
        logger,
      })
      followers.push(follower)
      await follower.positioned
      return Object.assign(collected, { follower })
    },
    async produce(topic, schema, values) {
      const codec = await registry.codecFor(topic, schema)
      await producer.send(
        values.map(({ key, value }) => {
          const bytes = Buffer.from(key)
          const partition = defaultPartition(bytes, partitionsOf(topic))
          return { topic, partition, key: bytes, value: codec.encode(value), timestamp: Date.now() }
        }),
      )
    },
    async close() {
      await Promise.all(followers.map((follower) => follower.close()))
      await producer.close()
      await mysql.close()
      await clickHouse.close()
    },
  }
}
