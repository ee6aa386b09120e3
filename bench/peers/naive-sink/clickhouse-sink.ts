import { createClient } from '@clickhouse/client'
import { SchemaRegistry } from '@kafkajs/confluent-schema-registry'
import { Kafka, logLevel } from 'kafkajs'

// What one writes first: kafkajs and the registry's client decode every record, and ClickHouse's own client inserts what came with one fetch as JSON, or row by row.

const environment = process.env
const isSingle = environment.NAIVE_SINGLE_ROWS === 'true'
const topic = environment.NAIVE_TOPIC ?? ''

const registry = new SchemaRegistry({ host: environment.MILLRACE_REGISTRY_URL ?? '' })
const clickHouse = createClient({
  url: environment.MILLRACE_CLICKHOUSE_URL ?? '',
  username: environment.MILLRACE_CLICKHOUSE_USER ?? '',
  password: environment.MILLRACE_CLICKHOUSE_PASSWORD ?? '',
  database: environment.MILLRACE_CLICKHOUSE_DATABASE ?? '',
  clickhouse_settings: { async_insert: 0 },
})
const kafka = new Kafka({
  clientId: 'naive-sink',
  brokers: (environment.MILLRACE_KAFKA_BROKERS ?? '').split(','),
  logLevel: logLevel.NOTHING,
})
// As large as one of ours: kafkajs would fetch a megabyte of each partition, and insert some thousand rows.
const consumer = kafka.consumer({
  groupId: environment.NAIVE_GROUP ?? '',
  maxBytesPerPartition: 8 * 1024 * 1024,
  maxBytes: 32 * 1024 * 1024,
})

process.on('SIGTERM', () => process.exit(0))

await consumer.connect()
await consumer.subscribe({ topics: [topic], fromBeginning: true })
await consumer.run({
  eachBatch: async ({ batch, heartbeat }) => {
    const values = []
    for (const { value, offset } of batch.messages) {
      if (value === null) continue
      const event = await registry.decode(value)
      values.push({ ...event, _partition: batch.partition, _offset: offset })
    }
    if (isSingle) {
      for (const value of values) {
        await insert([value])
        await heartbeat()
      }
    } else await insert(values)
  },
})

async function insert(values: readonly unknown[]): Promise<void> {
  await clickHouse.insert({ table: 'events', values, format: 'JSONEachRow' })
}
