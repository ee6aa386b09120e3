import { type ApiLog, createCodec, openRegistry, type RecordCodec } from '@millrace/schemas'
import { type Broker, type OutgoingRecord, partitionOfKey } from '@millrace/streams'
import { EventDraw, fullEvent } from '../streams/event-shape.ts'

const partitions = 4
const sendRecords = 5_000
const routes = ['/api/v1/events', '/api/v1/stats', '/api/v1/leads', '/api/v1/leads/:id'] as const

/** One record to be made. */
interface Input {
  readonly key: string
  readonly value: Buffer
}

/** Fills the empty topic `events`: what the gateway would have written there. */
export async function fillEvents(broker: Broker, registryUrl: string, count: number): Promise<void> {
  const { schemaId } = await openRegistry(registryUrl).codecFor('events', 'event')
  await fill(broker, 'events', events(createCodec('event', schemaId), count))
}

/** Fills the empty topic `api-logs`: requests of the last hour. */
export async function fillLogs(broker: Broker, registryUrl: string, count: number): Promise<void> {
  const { schemaId } = await openRegistry(registryUrl).codecFor('api-logs', 'api-log')
  await fill(broker, 'api-logs', logs(createCodec('api-log', schemaId), count))
}

function* events(codec: Pick<RecordCodec<ReturnType<typeof fullEvent>>, 'encode'>, count: number): Generator<Input> {
  const draw = new EventDraw('random-users', count)
  const startMs = Date.now() - 3_600_000
  for (let index = 0; draw.next(); index++) {
    const event = fullEvent(draw.event, startMs, index)
    yield { key: event.user_id, value: codec.encode(event) }
  }
}

function* logs(codec: Pick<RecordCodec<ApiLog>, 'encode'>, count: number): Generator<Input> {
  const startMs = Date.now() - 3_600_000
  for (let index = 0; index < count; index++) {
    const receivedAtMs = startMs + Math.floor(index / 100)
    const value = codec.encode({
      request_id: crypto.randomUUID(),
      method: 'POST',
      route: routes[index % routes.length] ?? '',
      principal: `00000000-0000-4000-8000-${String(index % 500).padStart(12, '0')}`,
      role: 'user',
      received_at: receivedAtMs,
      request_bytes: 130_000 + (index % 1_000),
      content_type: 'application/json',
      responded_at: receivedAtMs + 7,
      status: 202,
      response_bytes: 61,
      duration_ms: 6.5 + (index % 100) / 10,
      error_code: null,
      accepted: 500,
      rejected: 0,
    })
    yield { key: crypto.randomUUID(), value }
  }
}

async function fill(broker: Broker, topic: string, inputs: Iterable<Input>): Promise<void> {
  const producer = await broker.openProducer({ clientId: 'bench-input' })
  let records: OutgoingRecord[] = []
  try {
    for (const input of inputs) {
      const key = Buffer.from(input.key)
      const partition = partitionOfKey(key, partitions)
      records.push({ topic, partition, key, value: input.value, timestamp: Date.now() })
      if (records.length < sendRecords) continue
      await producer.send(records)
      records = []
    }
    if (records.length > 0) await producer.send(records)
  } finally {
    await producer.close()
  }
}
