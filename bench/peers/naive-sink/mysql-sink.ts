import { SchemaRegistry } from '@kafkajs/confluent-schema-registry'
import { Kafka, logLevel } from 'kafkajs'
import mysql from 'mysql2/promise'

// What one writes first: kafkajs and the registry's client decode every record, and each is inserted as it comes, one row into either table of the API's log.

const environment = process.env
const topic = environment.NAIVE_TOPIC ?? ''

const registry = new SchemaRegistry({ host: environment.MILLRACE_REGISTRY_URL ?? '' })
const database = mysql.createPool({
  host: environment.MILLRACE_MYSQL_HOST ?? '',
  port: Number(environment.MILLRACE_MYSQL_PORT),
  user: environment.MILLRACE_MYSQL_USER ?? '',
  password: environment.MILLRACE_MYSQL_PASSWORD ?? '',
  database: environment.MILLRACE_MYSQL_DATABASE ?? '',
  timezone: 'Z',
})
const kafka = new Kafka({
  clientId: 'naive-sink',
  brokers: (environment.MILLRACE_KAFKA_BROKERS ?? '').split(','),
  logLevel: logLevel.NOTHING,
})
const consumer = kafka.consumer({ groupId: environment.NAIVE_GROUP ?? '' })

process.on('SIGTERM', () => process.exit(0))

await consumer.connect()
await consumer.subscribe({ topics: [topic], fromBeginning: true })
await consumer.run({
  eachBatch: async ({ batch, heartbeat }) => {
    for (const { value } of batch.messages) {
      if (value === null) continue
      await insert(await registry.decode(value))
      await heartbeat()
    }
  },
})

async function insert(log: Readonly<Record<string, unknown>>): Promise<void> {
  const storedAt = new Date()
  await database.execute(
    `INSERT INTO api_request_logs (request_id, method, route, principal, role, received_at, request_bytes, content_type, stored_at)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    [
      ...[log.request_id, log.method, log.route, log.principal, log.role].map(textOf),
      timeOf(log.received_at),
      Number(log.request_bytes),
      textOf(log.content_type),
      storedAt,
    ],
  )
  await database.execute(
    `INSERT INTO api_response_logs (request_id, responded_at, status, response_bytes, duration_ms, error_code, accepted, rejected, stored_at)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    [
      textOf(log.request_id),
      timeOf(log.responded_at),
      ...[log.status, log.response_bytes, log.duration_ms].map(Number),
      textOf(log.error_code),
      ...[log.accepted, log.rejected].map((count) => (count === null ? null : Number(count))),
      storedAt,
    ],
  )
}

function textOf(value: unknown): string | null {
  return value === null || value === undefined ? null : String(value)
}

function timeOf(value: unknown): Date {
  return value instanceof Date ? value : new Date(Number(value))
}
