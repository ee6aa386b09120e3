import { randomUUID } from 'node:crypto'
import { SchemaRegistry } from '@kafkajs/confluent-schema-registry'
import { type Consumer, Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually, GatewayClient, required } from '../e2e/gateway-client.ts'

const run = randomUUID().slice(0, 8)
const type = `subscribed-${run}`
const seen: { key: string; value: Record<string, unknown> }[] = []
let consumer: Consumer

beforeAll(async () => {
  const registry = new SchemaRegistry({ host: required('MILLRACE_REGISTRY_URL') })
  // Every retry number is given: kafkajs changes its defaults when NODE_ENV is "test".
  const retry = {
    retries: 8,
    initialRetryTime: 300,
    maxRetryTime: 5_000,
    factor: 0.2,
    multiplier: 2,
    restartOnFailure: () => Promise.resolve(true),
  }
  const kafka = new Kafka({
    clientId: 'subscriber',
    brokers: required('MILLRACE_KAFKA_BROKERS').split(','),
    logLevel: logLevel.NOTHING,
    retry,
  })
  consumer = kafka.consumer({ groupId: `subscriber-${run}`, readUncommitted: false, retry })
  await consumer.connect()
  // From the end: tests before this one have left a million records. Where that is, is known once it has fetched.
  await consumer.subscribe({ topic: 'stats', fromBeginning: false })
  const fetched = new Promise<void>((resolve) => {
    consumer.on(consumer.events.FETCH, () => resolve())
  })
  await consumer.run({
    eachMessage: async ({ message }) => {
      // Another test may put records into the topic that nobody can read.
      const value = message.value && (await registry.decode(message.value).catch(() => undefined))
      if (!value) return
      if (value.event_type === type) seen.push({ key: String(message.key), value })
    },
  })
  await fetched
}, 60_000)
afterAll(() => consumer?.disconnect())

it('a kafkajs consumer with the registry client decodes the statistics', async () => {
  const producer = await GatewayClient.as('producer')
  const timestamp = Date.UTC(2024, 4, 5, 6, 7, 8)
  const events = [1, 2, 6].map((value, index) => ({
    event_id: `${run}-${index}`,
    user_id: 'u',
    event_type: type,
    timestamp,
    metadata: { value },
  }))
  expect((await producer.post('/events', events)).status).toBe(202)
  await eventually(
    60_000,
    () => Promise.resolve(seen.filter((record) => record.value.interval === '1h').at(-1)),
    (last) =>
      expect(last).toMatchObject({
        key: `${type}@1h@${Date.UTC(2024, 4, 5, 6)}`,
        value: { count: 3, value_count: 3, sum: 9, avg: 3, min: 1, max: 6, window_end: Date.UTC(2024, 4, 5, 7) },
      }),
  )
}, 90_000)
