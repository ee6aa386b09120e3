import { createLogger } from '@millrace/kit'
import { type ApiLog, createCodec, type EventStats, SchemaError } from '@millrace/schemas'
import { partitionOfKey, StreamsError } from '@millrace/streams'
import { FakeBroker } from '@millrace/streams/testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { apiLogBatchMax, apiLogFlushMs, apiLogQueueMax } from '../limits.ts'
import { createApiLogWriter } from './api-log-writer.ts'
import { createByteBudget } from './byte-budget.ts'
import { directSender } from './direct-sender.ts'
import { RecordEncoder } from './record-encoder.ts'
import { type FollowOptions, type FollowStart, followTopic, type TopicFollower } from './topic-follower.ts'
import { createTopicWriter } from './topic-writer.ts'

const logger = createLogger({ service: 'test', level: 'silent' })
const codec = createCodec('event-stats', 7)

function stats(event_type: string, count = 1): EventStats {
  const none = { value_count: 0, sum: 0, avg: null, min: null, max: null, final: false, updated_at: 0 }
  return { event_type, interval: '10s', window_start: 0, window_end: 10_000, count, ...none }
}

function record(partition: number, value: Buffer | null) {
  return { topic: 'stats', partition, key: Buffer.from('k'), value, timestamp: 1 }
}

describe('the writer', () => {
  const plan = {
    topic: 'stats',
    partitions: 4,
    codec,
    key: (value: EventStats) => value.event_type,
    timestampMs: () => 5,
  }

  it('writes each value once, by the partition of its key, in order', async () => {
    const broker = new FakeBroker()
    broker.createTopic('stats', 4)
    const producer = await broker.openProducer({ clientId: 'c' })
    const options = { budget: createByteBudget(1e6), partitionOf: partitionOfKey }
    const writer = createTopicWriter(plan, directSender(producer), options)
    const values = Array.from({ length: 500 }, (_, i) => stats(`type ${i % 7}`, i))
    await writer.write(values)
    const written = broker.read('stats')
    expect(written).toHaveLength(500)
    for (const { partition, key, value, timestamp } of written) {
      expect(timestamp).toBe(5)
      expect(partition).toBe(partitionOfKey(key ?? Buffer.alloc(0), 4))
      expect(codec.decode(value ?? Buffer.alloc(0)).event_type).toBe(key?.toString())
    }
    for (let type = 0; type < 7; type++) {
      const counts = written
        .map(({ value }) => codec.decode(value ?? Buffer.alloc(0)))
        .filter((value) => value.event_type === `type ${type}`)
        .map((value) => value.count)
      expect(counts).toEqual([...counts].sort((a, b) => a - b))
    }
  })

  it('writes what was added one after the other at once, and nothing of an empty batch', async () => {
    const broker = new FakeBroker()
    broker.createTopic('stats', 4)
    const producer = await broker.openProducer({ clientId: 'c' })
    const budget = createByteBudget(1e6)
    const writer = createTopicWriter(plan, directSender(producer), { budget, partitionOf: partitionOfKey })
    const batch = writer.begin()
    for (let count = 0; count < 500; count++) batch.add(stats('same', count))
    expect(broker.read('stats')).toEqual([])
    expect(await batch.write()).toBe('kafka')
    const counts = broker.read('stats').map(({ value }) => codec.decode(value ?? Buffer.alloc(0)).count)
    expect(counts).toEqual(Array.from({ length: 500 }, (_, count) => count))
    expect(await writer.begin().write()).toBe('kafka')
    expect(broker.read('stats')).toHaveLength(500)
    expect(budget.taken).toBe(0)
  })

  it('gives its budget back, whether Kafka acknowledged or not', async () => {
    const budget = createByteBudget(1_000)
    const broker = new FakeBroker()
    broker.createTopic('stats', 4)
    const producer = await broker.openProducer({ clientId: 'c' })
    const writer = createTopicWriter(plan, directSender(producer), { budget, partitionOf: partitionOfKey })
    const error = new StreamsError('BROKER_UNAVAILABLE', 'away')
    broker.failNext('send', { error, applied: false })
    await expect(writer.write([stats('a')])).rejects.toBe(error)
    expect(budget.taken).toBe(0)
    await writer.write([stats('a')])
    expect(budget.taken).toBe(0)
  })

  it('sends nothing when too much waits already, but one large request when nothing does', () => {
    const budget = createByteBudget(100)
    budget.take(500)
    expect(() => budget.take(1)).toThrow('[OVERLOADED]')
    budget.give(500)
    budget.take(60)
    expect(() => budget.take(60)).toThrow('[OVERLOADED]')
  })

  it.each([5, undefined])('encodes values of any size into shared buffers, %j expected', (count) => {
    const values = [stats('a'), stats('ä'.repeat(5_000)), stats('b'), stats('y'.repeat(2_000_000)), stats('c')]
    const encoder = new RecordEncoder(plan, partitionOfKey, count)
    for (const value of values) encoder.add(value)
    const { records, bytes } = encoder
    const types = values.map((value) => value.event_type)
    expect(records.map(({ value }) => codec.decode(value ?? Buffer.alloc(0)).event_type)).toEqual(types)
    expect(records.map(({ key }) => key?.toString())).toEqual(types)
    expect(bytes).toBe(records.reduce((sum, { key, value }) => sum + (key?.length ?? 0) + (value?.length ?? 0), 0))
  })
})

describe('the follower', () => {
  const followers: TopicFollower[] = []
  afterEach(async () => {
    await Promise.all(followers.splice(0).map((follower) => follower.close()))
  })

  function follow(broker: FakeBroker, change: Partial<FollowOptions<EventStats>> = {}) {
    const seen: string[] = []
    const broken: string[] = []
    const starts: FollowStart[] = []
    const follower = followTopic<EventStats>({
      broker,
      clientId: 'c',
      topic: 'stats',
      from: 'earliest',
      codec: createCodec('event-stats', 7),
      schemaById: () => Promise.reject(new Error('not asked')),
      onStart: (start) => starts.push(start),
      onRecord: (value, { partition, offset }) => seen.push(`${partition}-${offset} ${value.event_type}`),
      onUndecodable: (_, { partition, offset }) => broken.push(`${partition}-${offset}`),
      logger,
      ...change,
    })
    followers.push(follower)
    return { follower, seen, broken, starts }
  }

  it('reads everything, says when it has caught up, and goes on', async () => {
    const broker = new FakeBroker()
    broker.createTopic('stats', 2, { 'retention.ms': '1000' })
    broker.append([
      record(0, codec.encode(stats('a'))),
      record(1, codec.encode(stats('b'))),
      record(0, codec.encode(stats('c'))),
    ])
    const { follower, seen, starts } = follow(broker)
    await follower.caughtUp
    expect(seen.sort()).toEqual(['0-0 a', '0-1 c', '1-0 b'])
    expect(starts).toEqual([{ offsets: [0, 0], fromVeryBeginning: true, retentionMs: 1_000 }])
    expect(follower.failure()).toBeUndefined()
    broker.append([record(1, codec.encode(stats('d')))])
    await expect.poll(() => seen).toContain('1-1 d')
  })

  it('sees from the end only what comes after it is positioned', async () => {
    const broker = new FakeBroker()
    broker.createTopic('stats', 1)
    broker.append([record(0, codec.encode(stats('old')))])
    const { follower, seen } = follow(broker, { from: 'latest' })
    await follower.positioned
    broker.append([record(0, codec.encode(stats('new')))])
    await expect.poll(() => seen).toEqual(['0-1 new'])
  })

  it('passes over what cannot be decoded and what was deleted', async () => {
    const broker = new FakeBroker()
    broker.createTopic('stats', 1)
    const broken = [Buffer.from('x'), Buffer.from([0, 0, 0, 0, 7, 1]), null, codec.encode(stats('good'))]
    broker.append(broken.map((value) => record(0, value)))
    const { follower, seen, broken: undecodable } = follow(broker)
    await follower.caughtUp
    expect(seen).toEqual(['0-3 good'])
    expect(undecodable).toEqual(['0-0', '0-1'])
  })

  it('asks the registry once for each new schema, and waits for a registry that is away', async () => {
    const broker = new FakeBroker()
    broker.createTopic('stats', 1)
    const other = createCodec('event-stats', 8)
    broker.append([record(0, other.encode(stats('a'))), record(0, other.encode(stats('b')))])
    const asked: number[] = []
    const { schemaText } = await import('@millrace/schemas')
    const { follower, seen, broken } = follow(broker, {
      schemaById: async (id) => {
        asked.push(id)
        if (asked.length === 1) throw new SchemaError('REGISTRY_UNAVAILABLE', 'away')
        return schemaText('event-stats')
      },
    })
    await follower.caughtUp
    expect(seen).toEqual(['0-0 a', '0-1 b'])
    expect([asked, broken]).toEqual([[8, 8], []])
  })

  it('gives up a record whose schema no registry knows', async () => {
    const broker = new FakeBroker()
    broker.createTopic('stats', 1)
    broker.append([record(0, createCodec('event-stats', 9).encode(stats('a'))), record(0, codec.encode(stats('b')))])
    const { follower, seen, broken } = follow(broker, {
      schemaById: () => Promise.reject(new SchemaError('NOT_REGISTERED', 'unknown')),
    })
    await follower.caughtUp
    expect([seen, broken]).toEqual([['0-1 b'], ['0-0']])
  })

  it('goes on after a failure, without loss', async () => {
    const broker = new FakeBroker()
    broker.createTopic('stats', 1)
    broker.append([record(0, codec.encode(stats('a')))])
    const { follower, seen } = follow(broker)
    await follower.caughtUp
    broker.failNext('poll', { error: new StreamsError('BROKER_UNAVAILABLE', 'away'), applied: false })
    broker.append([record(0, codec.encode(stats('b')))])
    await expect.poll(() => seen).toEqual(['0-0 a', '0-1 b'])
  })

  it('waits for a topic that does not exist yet', async () => {
    const broker = new FakeBroker()
    const { follower, seen } = follow(broker)
    await expect.poll(() => String(follower.failure())).toContain('the topic stats does not exist')
    broker.createTopic('stats', 1)
    broker.append([record(0, codec.encode(stats('a')))])
    await follower.caughtUp
    expect(seen).toEqual(['0-0 a'])
  })

  it('tells where it begins when the topic has lost its beginning', async () => {
    const broker = new FakeBroker()
    broker.createTopic('stats', 1)
    broker.append([record(0, codec.encode(stats('a'))), record(0, codec.encode(stats('b')))])
    broker.truncateBefore({ topic: 'stats', partition: 0 }, 1)
    const { follower, seen, starts } = follow(broker)
    await follower.caughtUp
    expect(seen).toEqual(['0-1 b'])
    expect(starts).toEqual([{ offsets: [1], fromVeryBeginning: false, retentionMs: -1 }])
  })
})

describe('the log writer', () => {
  const entry = { request_id: 'r' } as ApiLog
  afterEach(() => {
    vi.useRealTimers()
  })

  function open(write: (values: readonly ApiLog[]) => Promise<void>) {
    const counts = { written: 0, dropped: 0 }
    const log = createApiLogWriter({
      writer: {
        write: async (values) => {
          await write(values)
          return 'kafka'
        },
      },
      counts: {
        written: (entries) => {
          counts.written += entries
        },
        dropped: (entries) => {
          counts.dropped += entries
        },
      },
      logger,
    })
    return { log, counts }
  }

  it('collects entries for a moment and writes them together', async () => {
    vi.useFakeTimers()
    const batches: number[] = []
    const { log, counts } = open(async (values) => void batches.push(values.length))
    for (let i = 0; i < 5; i++) log.add(entry)
    expect(batches).toEqual([])
    await vi.advanceTimersByTimeAsync(apiLogFlushMs)
    expect(batches).toEqual([5])
    for (let i = 0; i < apiLogBatchMax; i++) log.add(entry)
    await vi.advanceTimersByTimeAsync(0)
    expect(batches).toEqual([5, apiLogBatchMax])
    expect(counts).toEqual({ written: 5 + apiLogBatchMax, dropped: 0 })
  })

  it('drops and counts what does not fit while Kafka hangs, and never waits', async () => {
    const hanging = Promise.withResolvers<void>()
    const { log, counts } = open(() => hanging.promise)
    for (let i = 0; i < apiLogQueueMax + apiLogBatchMax + 10; i++) log.add(entry)
    expect(counts.dropped).toBeGreaterThanOrEqual(10)
    hanging.resolve()
    await log.close()
    expect(counts.written + counts.dropped).toBe(apiLogQueueMax + apiLogBatchMax + 10)
  })

  it('drops and counts a batch that Kafka refuses, and goes on', async () => {
    let calls = 0
    const { log, counts } = open(async () => {
      if (++calls === 1) throw new StreamsError('BROKER_UNAVAILABLE', 'away')
    })
    for (let i = 0; i < apiLogBatchMax + 1; i++) log.add(entry)
    await log.close()
    log.add(entry)
    expect(counts).toEqual({ written: 1, dropped: apiLogBatchMax + 1 })
  })
})
