import { createLogger } from '@millrace/kit'
import { createCodec, type Event, type EventStats, SchemaError } from '@millrace/schemas'
import { type Broker, type ByteStoreProvider, hasCode, memoryStores, type Serde } from '@millrace/streams'
import { FakeBroker } from '@millrace/streams/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { countedEvents } from '../counted-event.ts'
import { Engine } from '../engine.ts'
import { buildTopology } from '../topology.ts'
import { replayStatistics, type StatsReplayParts } from './stats-replay.ts'

const dayMs = 86_400_000
/** The first arrives then, and another one every second. */
const beginMs = Math.floor(Date.now() / dayMs) * dayMs
const range = { fromMs: beginMs + 10_000, toMs: beginMs + 70_000 }
const events = createCodec('event', 1)
const statsCodec = createCodec('event-stats', 4)
const stats: Serde<EventStats> = {
  read: (bytes, start, end) => statsCodec.decode(bytes.subarray(start, end)),
  write: (value) => statsCodec.encode(value),
}

let broker: FakeBroker
let stores: ByteStoreProvider
beforeEach(() => {
  broker = new FakeBroker()
  for (const topic of ['events', 'stats']) broker.createTopic(topic, 2)
  broker.createTopic('events.dlq', 1)
  stores = memoryStores('replay')
  for (let second = 0; second < 100; second++) send(second, second === 30 ? Buffer.from('poison') : undefined)
})

function send(second: number, value?: Buffer): void {
  const timestamp = beginMs + second * 1_000
  const event: Event = {
    event_id: `e${second}`,
    user_id: 'u',
    event_type: second % 3 === 0 ? 'click' : 'view',
    timestamp,
    value: 1,
    metadata: '{}',
    received_at: timestamp,
    source: 'test',
  }
  broker.append([
    { topic: 'events', partition: second % 2, key: Buffer.from('u'), value: value ?? events.encode(event), timestamp },
  ])
}

function parts(more: Partial<StatsReplayParts> = {}): StatsReplayParts {
  const { applicationId = 'again', intoTopic = 'stats.again' } = more
  const topology = buildTopology({
    events: countedEvents(events),
    stats,
    graceMs: 1_000,
    retentionMs: 2 * dayMs,
    statsTopic: intoTopic,
  })
  const openEngine = async (bounded: Broker) =>
    new Engine({
      topology,
      broker: bounded,
      stores,
      events,
      registry: {
        async schemaById(id) {
          throw new SchemaError('NOT_REGISTERED', `no schema ${id}`)
        },
      },
      logger: createLogger({ service: 'test', level: 'silent' }),
      probes: {},
      unreadable: 'skip',
      settings: {
        applicationId,
        guarantee: 'exactly_once',
        commitIntervalMs: 5,
        idleMs: 100,
        sessionTimeoutMs: 10_000,
        replicationFactor: 1,
        stateBytesMax: 16 * 1024 * 1024,
      },
    })
  const rest = { broker, topology, replicationFactor: 1, onProgress: () => {}, signal: new AbortController().signal }
  return { ...rest, openEngine, ...more, applicationId, intoTopic }
}

/** The last count of each type's day. */
function counts(topic: string): Record<string, number> {
  const found: Record<string, number> = {}
  for (const { value } of broker.read(topic)) {
    const result = value === null ? undefined : statsCodec.decode(value)
    if (result?.interval === '1d') found[result.event_type] = result.count
  }
  return found
}

/** Seconds 10 to 69, but 30, which is no event. */
const expected = { click: 19, view: 40 }

describe('a replay of statistics', () => {
  it('counts what arrived in the range, and nothing else, and leaves nothing behind but the results', async () => {
    expect(await replayStatistics(parts(), range)).toEqual({ offsets: 60, done: 60 })
    expect(counts('stats.again')).toEqual(expected)
    expect(broker.read('stats')).toEqual([])
    expect(broker.read('events.dlq'), 'it became one when it came first').toEqual([])
    const admin = await broker.openAdmin()
    const internal = ['again-events-by-type-repartition', 'again-stats-1d-changelog']
    expect(await admin.describeTopics(internal)).toEqual(new Map())
  })

  it('goes on where it was when it is ended', async () => {
    const stop = new AbortController()
    const ended = parts({ signal: stop.signal, onProgress: ({ done }) => done > 0 && stop.abort() })
    await expect(replayStatistics(ended, range)).rejects.toThrow('aborted')
    await replayStatistics(parts(), range)
    expect(counts('stats.again')).toEqual(expected)
  })

  it('is empty where nothing arrived', async () => {
    const nothing = { fromMs: range.fromMs + 500, toMs: range.fromMs + 900 }
    expect(await replayStatistics(parts(), nothing)).toEqual({ offsets: 0, done: 0 })
    expect(broker.read('stats.again')).toEqual([])
  })

  it('refuses a topic that has results of another program, and an application that is done', async () => {
    await replayStatistics(parts(), range)
    const other = replayStatistics(parts({ applicationId: 'other' }), range)
    await expect(other).rejects.toThrow('stats.again holds results of another program')
    const again = await replayStatistics(parts(), range).catch((error: unknown) => error)
    expect(hasCode(again, 'INVALID_CONFIG')).toBe(true)
    expect(String(again)).toContain('application id again has come to its end')
    expect(counts('stats.again')).toEqual(expected)
  })

  it('says that topics are missing', async () => {
    const admin = await broker.openAdmin()
    await admin.deleteTopics(['stats'])
    await expect(replayStatistics(parts(), range)).rejects.toThrow('provision the topics')
  })
})
