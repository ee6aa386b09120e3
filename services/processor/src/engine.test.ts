import { createLogger } from '@millrace/kit'
import { createCodec, type Event, type EventStats, SchemaError, schemaText, statsKey } from '@millrace/schemas'
import { memoryStores, type Serde } from '@millrace/streams'
import { FakeBroker } from '@millrace/streams/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { countedEvents } from './counted-event.ts'
import { Engine } from './engine.ts'
import { buildTopology } from './topology.ts'

const schemaId = 1
const nowMs = Date.now()
const event: Event = {
  event_id: 'e',
  user_id: 'u',
  event_type: 'click',
  timestamp: nowMs,
  value: 2,
  metadata: '{}',
  received_at: nowMs,
  source: 'test',
}

let broker: FakeBroker
let engine: Engine
let asked: number[]
const schemas = new Map<number, string | SchemaError>()

beforeEach(() => {
  broker = new FakeBroker()
  for (const topic of ['events', 'stats']) broker.createTopic(topic, 2)
  broker.createTopic('events.dlq', 1)
  asked = []
  schemas.clear()
  const events = createCodec('event', schemaId)
  const codec = createCodec('event-stats', 4)
  const stats: Serde<EventStats> = {
    read: (bytes, start, end) => codec.decode(bytes.subarray(start, end)),
    write: (value) => codec.encode(value),
  }
  engine = new Engine({
    topology: buildTopology({ events: countedEvents(events), stats, graceMs: 1_000, retentionMs: 2 * 86_400_000 }),
    broker,
    stores: memoryStores('test'),
    events,
    registry: {
      async schemaById(id) {
        asked.push(id)
        const found = schemas.get(id)
        if (typeof found === 'string') return found
        throw found ?? new SchemaError('NOT_REGISTERED', `no schema ${id}`)
      },
    },
    logger: createLogger({ service: 'test', level: 'silent' }),
    probes: {},
    registryWaitMs: 100,
    unknownSchemaRetryMs: 5,
    settings: {
      applicationId: 'test',
      guarantee: 'exactly_once',
      commitIntervalMs: 5,
      idleMs: 100,
      sessionTimeoutMs: 10_000,
      replicationFactor: 1,
      stateBytesMax: 16 * 1024 * 1024,
    },
  })
})
afterEach(() => engine.close())

function send(value: Buffer): void {
  broker.append([{ topic: 'events', partition: 0, key: Buffer.from('u'), value, timestamp: nowMs }])
}

/** The last count of today's clicks. */
function clicks(): number | undefined {
  const codec = createCodec('event-stats', 4)
  const key = statsKey('click', '1d', nowMs - (nowMs % 86_400_000))
  const last = broker.read('stats').findLast((record) => record.key?.toString() === key)
  return last?.value === undefined || last.value === null ? undefined : codec.decode(last.value).count
}

const deadLetters = () => broker.read('events.dlq')

async function until(what: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + 30_000
  while (!what()) {
    if (Date.now() > deadlineMs) throw new Error(`not so within 30 s: ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('the engine', () => {
  it('counts events', async () => {
    await engine.start()
    for (let sent = 0; sent < 3; sent++) send(createCodec('event', schemaId).encode(event))
    await until(() => clicks() === 3)
    expect(engine.snapshot().state).toBe('running')
  })

  it('puts events that cannot be read aside, with their bytes and the reason', async () => {
    const poison = Buffer.from('not an event')
    send(createCodec('event', schemaId).encode(event))
    send(poison)
    send(createCodec('event', schemaId).encode(event))
    await engine.start()
    await until(() => clicks() === 2 && deadLetters().length === 1)
    const [letter] = deadLetters()
    expect(letter?.value).toEqual(poison)
    const headers = new Map(letter?.headers.map(({ key, value }) => [key, value?.toString()]))
    expect(headers.get('__streams.errors.topic')).toBe('events')
    expect(headers.get('__streams.errors.partition')).toBe('0')
    expect(headers.get('__streams.errors.offset')).toBe('1')
    expect(headers.get('__streams.errors.message')).toContain('NOT_FRAMED')
  })

  it('fetches the schema of events that another version wrote, and counts them', async () => {
    schemas.set(7, schemaText('event'))
    send(createCodec('event', schemaId).encode(event))
    send(createCodec('event', 7).encode(event))
    send(createCodec('event', 7).encode(event))
    await engine.start()
    await until(() => clicks() === 3)
    expect(asked).toEqual([7])
    expect(deadLetters()).toEqual([])
  })

  it('puts events of a schema that nobody has aside', async () => {
    send(createCodec('event', 9).encode(event))
    send(createCodec('event', schemaId).encode(event))
    await engine.start()
    await until(() => clicks() === 1 && deadLetters().length === 1)
    expect(new Set(asked)).toEqual(new Set([9]))
  })

  it('reads the events of such a schema when it has been registered meanwhile', async () => {
    send(createCodec('event', 9).encode(event))
    await engine.start()
    await until(() => deadLetters().length === 1)
    schemas.set(9, schemaText('event'))
    const before = asked.length
    // Who asks is answered in the same turn of the event loop.
    await until(() => asked.length > before)
    send(createCodec('event', 9).encode(event))
    await until(() => clicks() === 1)
    expect(deadLetters()).toHaveLength(1)
  })

  it('fails when the registry is away, rather than to lose what it could read later', async () => {
    schemas.set(7, new SchemaError('REGISTRY_UNAVAILABLE', 'away'))
    send(createCodec('event', 7).encode(event))
    await engine.start()
    expect(await engine.failed).toMatchObject({ code: 'DEPENDENCY_UNAVAILABLE' })
    expect(asked.length).toBeGreaterThan(1)
    expect(deadLetters()).toEqual([])
  })
})
