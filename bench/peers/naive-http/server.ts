// What one writes first: Fastify, a schema, and one `producer.send` of kafkajs per request, acks=all, answered when the broker has acknowledged.
// POST /events takes an event, POST /events/batch an array. Settings: NAIVE_BROKER, NAIVE_TOPIC, NAIVE_PORT.
import { createCodec } from '@millrace/schemas'
import { fastify } from 'fastify'
import { Kafka, logLevel, Partitioners } from 'kafkajs'
import { Type } from 'typebox'

const { NAIVE_BROKER = '127.0.0.1:9092', NAIVE_TOPIC = 'naive', NAIVE_PORT = '3900' } = process.env

const EventInput = Type.Object(
  {
    event_id: Type.String({ minLength: 1, maxLength: 128 }),
    user_id: Type.String({ minLength: 1, maxLength: 128 }),
    event_type: Type.String({ minLength: 1, maxLength: 128 }),
    timestamp: Type.Integer({ minimum: 0 }),
    metadata: Type.Object({ value: Type.Optional(Type.Number()) }, { additionalProperties: true }),
  },
  { additionalProperties: false },
)
type EventInput = Type.Static<typeof EventInput>

const codec = createCodec('event', 1)
const kafka = new Kafka({ brokers: [NAIVE_BROKER], clientId: 'naive-http', logLevel: logLevel.ERROR })
const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
await producer.connect()

const app = fastify({ bodyLimit: 8 * 1024 * 1024 })
app.post<{ Body: EventInput }>('/events', { schema: { body: EventInput } }, async ({ body }, reply) => {
  await producer.send({ topic: NAIVE_TOPIC, acks: -1, messages: [messageOf(body)] })
  return reply.code(202).send({ accepted: 1 })
})
app.post<{ Body: EventInput[] }>(
  '/events/batch',
  { schema: { body: Type.Array(EventInput) } },
  async ({ body }, reply) => {
    await producer.send({ topic: NAIVE_TOPIC, acks: -1, messages: body.map(messageOf) })
    return reply.code(202).send({ accepted: body.length })
  },
)
await app.listen({ port: Number(NAIVE_PORT), host: '127.0.0.1' })
process.once('SIGTERM', () => void stop())

async function stop(): Promise<void> {
  await app.close()
  await producer.disconnect()
}

function messageOf({ metadata, timestamp, ...event }: EventInput) {
  const value = codec.encode({
    ...event,
    timestamp: timestamp < 100_000_000_000 ? timestamp * 1_000 : timestamp,
    value: metadata.value ?? null,
    metadata: JSON.stringify(metadata),
    received_at: Date.now(),
    source: 'naive',
  })
  return { key: event.user_id, value }
}
