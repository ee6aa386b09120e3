import { createLogger, createMetrics } from '@millrace/kit'
import { avroSchema, type Event, type EventStats, openRegistry, type RecordCodec } from '@millrace/schemas'
import {
  type AvroInsert,
  createStatsRepository,
  migrateClickHouse,
  openClickHouse,
  StorageError,
} from '@millrace/storage/clickhouse'
import { connectKafka } from '@millrace/streams/kafka'
import { type OutgoingRecord, type SinkRunner, systemClock } from '@millrace/streams/sink'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { AvroContainer, withPlace } from '../src/avro-container.ts'
import type { SinkError } from '../src/errors.ts'
import { createSinks, type DeadLetterRoute, type RecordRoute, type SinkRoute } from '../src/sinks.ts'
import { SpareBuffers } from '../src/spare-buffers.ts'
import { brokersOfTests, clickHouseOptionsOfTests, eventually, required, uniqueName } from './servers.ts'

const clickHouse = openClickHouse(clickHouseOptionsOfTests())
const broker = connectKafka({ brokers: brokersOfTests(), clientId: 'sink-clickhouse-test' })
const registry = openRegistry(required('MILLRACE_REGISTRY_URL'))
const producer = await broker.openProducer({ clientId: 'sink-clickhouse-test' })
const admin = await broker.openAdmin()
/** As `events`, but an engine that never merges duplicates away: a row that is there twice stays visible. */
const table = uniqueName('events').replace('-', '_')
let events: RecordCodec<Event>
let stats: RecordCodec<EventStats>

beforeAll(async () => {
  await migrateClickHouse(clickHouseOptionsOfTests())
  await clickHouse.command(
    'making a table',
    `CREATE TABLE ${table} AS events ENGINE = MergeTree PARTITION BY toYYYYMM(timestamp) ORDER BY (event_type, user_id)
     SETTINGS non_replicated_deduplication_window = 1000`,
  )
  await registry.registerAll()
  events = await registry.codecFor('events', 'event')
  stats = await registry.codecFor('stats', 'event-stats')
})

const running: SinkRunner[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((runner) => runner.close(1_000)))
})
afterAll(async () => {
  await clickHouse.command('dropping a table', `DROP TABLE ${table}`)
  await Promise.all([producer.close(), admin.close(), clickHouse.close()])
})

/** A topic of its own with a dead-letter topic, and a user whose events are this test's. */
async function newRoute(partitions: number, changes: Partial<RecordRoute> = {}): Promise<RecordRoute> {
  const topic = uniqueName('events')
  const topics = [
    { name: topic, partitions, replicationFactor: 1, config: {} },
    { name: `${topic}.dlq`, partitions: 1, replicationFactor: 1, config: {} },
  ]
  await admin.createTopics(topics)
  return {
    kind: 'records',
    topic,
    subject: 'events',
    schema: 'event',
    table,
    deadLetterTopic: `${topic}.dlq`,
    skipTombstones: false,
    ...changes,
  }
}

async function startSink(
  route: SinkRoute,
  options: {
    insert?: (insert: AvroInsert) => Promise<void>
    schemas?: typeof registry
    batchRowsMax?: number
    batchAgeMaxMs?: number
  } = {},
) {
  const metrics = createMetrics({ service: 'test', processMetrics: false })
  const blocked = new Map<string, SinkError>()
  const startRoute = createSinks({
    broker,
    producer,
    schemas: options.schemas ?? registry,
    clickHouse: { ...clickHouse, ...(options.insert === undefined ? {} : { insertAvro: options.insert }) },
    metrics,
    logger: createLogger({ service: 'test', level: 'silent' }),
    clock: systemClock,
    runners: new Map(),
    blocked,
    groupInstanceId: undefined,
    groupPrefix: 'test',
    batchRowsMax: options.batchRowsMax ?? 50_000,
    batchAgeMaxMs: options.batchAgeMaxMs ?? 100,
  })
  const runner = await startRoute(route)
  running.push(runner)
  return { runner, metrics, blocked }
}

function eventOf(userId: string, index: number): Event {
  return {
    event_id: `e-${index}`,
    user_id: userId,
    event_type: index % 3 === 0 ? 'click' : 'view',
    timestamp: Date.UTC(2026, 10, 20) + index * 60_000 * 60,
    value: index % 5 === 0 ? null : index / 8,
    metadata: `{"n":${index},"text":"ü"}`,
    received_at: Date.UTC(2026, 10, 21) + index,
    source: 'test',
  }
}

function recordOf(route: Pick<SinkRoute, 'topic'>, partition: number, value: Buffer | null): OutgoingRecord {
  return { topic: route.topic, partition, key: Buffer.from('k'), value, timestamp: Date.now() }
}

/** Produces `count` events per partition, numbered from `from`. */
async function produce(
  route: SinkRoute,
  userId: string,
  { partitions, count, from = 0 }: { partitions: number; count: number; from?: number },
) {
  const records: OutgoingRecord[] = []
  for (let partition = 0; partition < partitions; partition++) {
    for (let i = 0; i < count; i++) {
      records.push(recordOf(route, partition, events.encode(eventOf(userId, from + i * partitions + partition))))
    }
  }
  await producer.send(records)
}

/** What ClickHouse holds of a user: rows, distinct places, and sums that a wrong row would change. */
async function held(userId: string) {
  const [row] = await clickHouse.query('counting', {
    sql: `SELECT count() AS rows, uniqExact(_partition, _offset) AS places, uniqExact(event_id) AS ids,
            sum(value) AS total, sum(length(metadata)) AS metadata_bytes, min(toUnixTimestamp64Milli(timestamp)) AS first
          FROM ${table} WHERE user_id = {user:String}`,
    params: { user: userId },
  })
  return {
    rows: Number(row?.rows),
    places: Number(row?.places),
    ids: Number(row?.ids),
    total: Number(row?.total),
    metadataBytes: Number(row?.metadata_bytes),
    first: Number(row?.first),
  }
}

function expectedOf(userId: string, count: number) {
  const all = Array.from({ length: count }, (_, index) => eventOf(userId, index))
  return {
    rows: count,
    places: count,
    ids: count,
    total: all.reduce((sum, { value }) => sum + (value ?? 0), 0),
    metadataBytes: all.reduce((sum, { metadata }) => sum + Buffer.byteLength(metadata), 0),
    first: all[0]?.timestamp,
  }
}

async function untilRows(userId: string, rows: number): Promise<void> {
  await eventually(`${rows} rows of ${userId}`, async () => ((await held(userId)).rows >= rows ? true : undefined))
}

async function untilWritten(runner: SinkRunner, records: number): Promise<void> {
  await eventually(`${records} records written`, () => {
    const written = runner.lags().reduce((sum, { writtenOffset }) => sum + writtenOffset, 0)
    return written >= records ? true : undefined
  })
}

async function deadLetters(route: RecordRoute): Promise<number> {
  return (
    (await admin.listOffsets([{ topic: route.deadLetterTopic, partition: 0 }], 'latest')).get(
      `${route.deadLetterTopic}-0`,
    ) ?? -1
  )
}

describe('the sink of events', () => {
  it('stores every event exactly, with its place, and writes what arrives later', async () => {
    const route = await newRoute(3)
    const userId = uniqueName('user')
    await produce(route, userId, { partitions: 3, count: 1_000 })
    const { runner, metrics } = await startSink(route, { batchRowsMax: 400 })
    await untilRows(userId, 3_000)
    expect(await held(userId)).toEqual(expectedOf(userId, 3_000))
    await produce(route, userId, { partitions: 3, count: 10, from: 3_000 })
    await untilRows(userId, 3_030)
    expect(await held(userId)).toEqual(expectedOf(userId, 3_030))
    await untilWritten(runner, 3_030)
    const text = await metrics.metrics()
    expect(text).toContain(`millrace_sink_rows_total{topic="${route.topic}",service="test"} 3030`)
    expect(text).toContain(`millrace_sink_lag_records{topic="${route.topic}",partition="0",service="test"} 0`)
  })

  it('sends poison to the dead-letter topic, and stores the rest around it', async () => {
    const route = await newRoute(1)
    const userId = uniqueName('user')
    const sound = events.encode(eventOf(userId, 0))
    const values = [
      sound,
      Buffer.from('{"event_id":"json"}'),
      null,
      sound.subarray(0, -2),
      events.encode({ ...eventOf(userId, 1), timestamp: -1 }),
      events.encode(eventOf(userId, 1)),
    ]
    await producer.send(values.map((value) => recordOf(route, 0, value)))
    const { metrics } = await startSink(route)
    await untilRows(userId, 2)
    expect(await held(userId)).toEqual(expectedOf(userId, 2))
    expect(await deadLetters(route)).toBe(4)
    const text = await metrics.metrics()
    expect(text).toContain(
      `millrace_sink_dead_letters_total{topic="${route.topic}",reason="NOT_FRAMED",service="test"} 2`,
    )
  })

  it('stores records of several versions of the schema', async () => {
    const route = await newRoute(1)
    const userId = uniqueName('user')
    // The same record under another id: what a topic holds after a schema has changed.
    const text = await registry.schemaById(events.schemaId)
    const schemas = { ...registry, schemaById: async () => text }
    const framed = events.encode(eventOf(userId, 1))
    const other = Buffer.from(framed)
    other.writeInt32BE(events.schemaId + 100_000, 1)
    await producer.send([recordOf(route, 0, events.encode(eventOf(userId, 0))), recordOf(route, 0, other)])
    await startSink(route, { schemas })
    await untilRows(userId, 2)
    expect(await held(userId)).toEqual(expectedOf(userId, 2))
  })
})

describe('a field that is new', () => {
  it('waits for its column, and then is stored; older records get its default', async () => {
    const route = await newRoute(1)
    const userId = uniqueName('user')
    const before = { ...avroSchema('event') }
    const later = JSON.stringify({
      ...before,
      fields: [...before.fields, { name: 'campaign', type: 'string', default: 'none' }],
    })
    const laterId = events.schemaId + 200_000
    const schemas = {
      ...registry,
      schemaById: async (id: number) => (id === laterId ? later : registry.schemaById(id)),
      isVersionOf: async () => true,
    }
    const framed = Buffer.concat([events.encode(eventOf(userId, 1)), Buffer.from([10]), Buffer.from('brand')])
    framed.writeInt32BE(laterId, 1)
    await producer.send([recordOf(route, 0, events.encode(eventOf(userId, 0))), recordOf(route, 0, framed)])

    const { blocked, runner } = await startSink(route, { schemas })
    const refusal = await eventually('the refusal', () => blocked.get(route.topic))
    expect(refusal.message).toContain('have campaign, for which')
    expect(await held(userId)).toMatchObject({ rows: 0 })
    expect(await deadLetters(route)).toBe(0)

    await clickHouse.command('adding a column', `ALTER TABLE ${table} ADD COLUMN campaign String DEFAULT 'none'`)
    await untilWritten(runner, 2)
    expect(await held(userId)).toEqual(expectedOf(userId, 2))
    const rows = await clickHouse.query('reading', {
      sql: `SELECT campaign FROM ${table} WHERE user_id = {user:String} ORDER BY _offset`,
      params: { user: userId },
    })
    expect(rows).toEqual([{ campaign: 'none' }, { campaign: 'brand' }])
    await eventually('no block', () => !blocked.has(route.topic))
  })
})

describe('a crash', () => {
  it('between the insert and the commit leaves no row twice: the same range is inserted again with the same token', async () => {
    const route = await newRoute(2)
    const userId = uniqueName('user')
    await produce(route, userId, { partitions: 2, count: 500 })
    const tokens: string[] = []
    const first = await startSink(route, {
      async insert(insert) {
        await clickHouse.insertAvro(insert)
        tokens.push(insert.token)
        throw new Error('killed after the insert')
      },
    })
    expect(await first.runner.failed).toMatchObject({ message: 'killed after the insert' })
    await first.runner.close(0)

    await produce(route, userId, { partitions: 2, count: 500, from: 1_000 })
    const repeated: string[] = []
    const second = await startSink(route, {
      batchRowsMax: 90,
      async insert(insert) {
        repeated.push(insert.token)
        await clickHouse.insertAvro(insert)
      },
    })
    await untilWritten(second.runner, 2_000)
    expect(await held(userId)).toEqual(expectedOf(userId, 2_000))
    for (const token of tokens) expect(repeated).toContain(token)
  })

  it('before the insert loses nothing', async () => {
    const route = await newRoute(1)
    const userId = uniqueName('user')
    await produce(route, userId, { partitions: 1, count: 300 })
    const first = await startSink(route, { insert: () => Promise.reject(new Error('killed before the insert')) })
    await first.runner.failed
    await first.runner.close(0)
    const second = await startSink(route)
    await untilWritten(second.runner, 300)
    expect(await held(userId)).toEqual(expectedOf(userId, 300))
  })
})

describe('ClickHouse away', () => {
  it('delays, shows as lag, and ends in the same rows', async () => {
    const route = await newRoute(1)
    const userId = uniqueName('user')
    let isAway = true
    const { runner } = await startSink(route, {
      async insert(insert) {
        if (isAway) throw new StorageError('UNAVAILABLE', 'away')
        await clickHouse.insertAvro(insert)
      },
    })
    await produce(route, userId, { partitions: 1, count: 200 })
    const lag = await eventually('a lag', async () => {
      await runner.refreshEnds()
      return runner.lags().find(({ endOffset, writtenOffset }) => endOffset - writtenOffset === 200)
    })
    expect(lag).toMatchObject({ writtenOffset: 0, endOffset: 200 })
    expect(runner.isReady()).toBe(true)
    isAway = false
    await untilWritten(runner, 200)
    expect(await held(userId)).toEqual(expectedOf(userId, 200))
  })
})

describe('an insert', () => {
  it('with a token that ClickHouse has seen is acknowledged and ignored, over several months', async () => {
    const userId = uniqueName('user')
    const container = new AvroContainer(withPlace({ ...avroSchema('event') }), 100, new SpareBuffers(0))
    for (let i = 0; i < 100; i++) {
      const event = { ...eventOf(userId, i), timestamp: Date.UTC(2026, i % 12, 1) }
      const value = events.encode(event)
      container.append({ partition: 0, offset: i }, value, 5, value.length)
    }
    const insert = { table, body: container.finish(), token: uniqueName('token') }
    await clickHouse.insertAvro(insert)
    await clickHouse.insertAvro(insert)
    expect((await held(userId)).rows).toBe(100)
    await clickHouse.insertAvro({ ...insert, token: uniqueName('token') })
    expect(await held(userId)).toMatchObject({ rows: 200, places: 100 })
  })
})

describe('poison (fault F19)', () => {
  /** What must never stop a partition, with the reason that its letter names. */
  const kinds: readonly (readonly [string, string, Buffer | null])[] = [
    ['a wrong magic byte', 'NOT_FRAMED', Buffer.from([9, 0, 0, 0, 1, 2])],
    ['no value', 'NOT_FRAMED', null],
    ['nothing', 'NOT_FRAMED', Buffer.alloc(0)],
    ['an unknown schema id', 'UNKNOWN_SCHEMA', Buffer.from([0, 0x7f, 0xff, 0xff, 0xf0, 2])],
    ['a body that is cut off', 'UNDECODABLE', Buffer.from([0, 0, 0, 0, 0, 10, 65])],
    ['a string of a thousand million bytes', 'UNDECODABLE', Buffer.from([0, 0, 0, 0, 0, 0x80, 0x94, 0xeb, 0xdc, 0x03])],
    ['a negative length', 'UNDECODABLE', Buffer.from([0, 0, 0, 0, 0, 1])],
    ['900 kB of noise', 'UNDECODABLE', Buffer.alloc(900_000, 0xff)],
  ]

  it('of every kind becomes a letter and a row, byte by byte, while the sound records around it are stored', async () => {
    const route = await newRoute(1)
    const userId = uniqueName('user')
    const values = kinds.map(([, reason, value]) => {
      if (value === null || reason !== 'UNDECODABLE') return value
      const framed = Buffer.from(value)
      framed[0] = 0
      framed.writeInt32BE(events.schemaId, 1)
      return framed
    })
    for (const [index, value] of values.entries()) {
      const sound = events.encode(eventOf(userId, index))
      await producer.send([recordOf(route, 0, sound), recordOf(route, 0, value)])
    }
    const { metrics } = await startSink(route)
    const letters: DeadLetterRoute = {
      kind: 'dead-letters',
      topic: route.deadLetterTopic,
      table: 'dead_letters',
      keepsContent: true,
    }
    await startSink(letters)
    await untilRows(userId, kinds.length)
    expect(await held(userId)).toEqual(expectedOf(userId, kinds.length))

    const rows = await eventually('all letters', async () => {
      const found = await clickHouse.query('reading letters', {
        sql: `SELECT offset, exception, hex(value) AS bytes, value_bytes, key FROM dead_letters FINAL
              WHERE topic = {topic:String} AND kind = 'letter' ORDER BY offset`,
        params: { topic: route.topic },
      })
      return found.length >= kinds.length ? found : undefined
    })
    expect(rows).toEqual(
      kinds.map(([, reason], index) => ({
        offset: 2 * index + 1,
        exception: reason,
        bytes: (values[index] ?? Buffer.alloc(0)).toString('hex').toUpperCase(),
        value_bytes: values[index]?.length ?? 0,
        key: 'k',
      })),
    )
    expect(await metrics.metrics()).toContain(
      `millrace_sink_dead_letters_total{topic="${route.topic}",reason="UNDECODABLE",service="test"} 4`,
    )
  })

  it('with personal data is a row without its content', async () => {
    const topic = uniqueName('leads.dlq')
    await admin.createTopics([{ name: topic, partitions: 1, replicationFactor: 1, config: {} }])
    await producer.send([recordOf({ topic }, 0, Buffer.from('ann@example.com'))])
    await startSink({ kind: 'dead-letters', topic, table: 'dead_letters', keepsContent: false })
    const [row] = await eventually('the row', async () => {
      const found = await clickHouse.query('reading letters', {
        sql: 'SELECT key, value, value_bytes, exception FROM dead_letters WHERE letter_topic = {topic:String}',
        params: { topic },
      })
      return found.length > 0 ? found : undefined
    })
    expect(row).toEqual({ key: '', value: '', value_bytes: 15, exception: 'NO_PLACE' })
  })
})

describe('the sink of stats', () => {
  it('keeps the newest state of each window, and skips tombstones', async () => {
    const route = await newRoute(1, { subject: 'stats', schema: 'event-stats', table: 'stats', skipTombstones: true })
    const eventType = uniqueName('type')
    const start = Date.UTC(2026, 10, 20, 8)
    const statsOf = (count: number, changes: Partial<EventStats>): EventStats => ({
      event_type: eventType,
      interval: '1m',
      window_start: start,
      window_end: start + 60_000,
      count,
      value_count: count,
      sum: count * 1.5,
      avg: 1.5,
      min: 1,
      max: null,
      final: false,
      updated_at: start + 1_000,
      ...changes,
    })
    const values = [
      stats.encode(statsOf(1, {})),
      null,
      stats.encode(statsOf(5, { final: true, updated_at: start + 70_000 })),
      stats.encode(statsOf(2, { window_start: start + 60_000, window_end: start + 120_000 })),
      stats.encode(statsOf(3, { window_start: start + 60_000, window_end: start + 120_000 })),
    ]
    await producer.send(values.map((value) => recordOf(route, 0, value)))
    const { runner } = await startSink(route, { batchRowsMax: 2 })
    await untilWritten(runner, 5)
    const query = { eventType, interval: '1m', fromMs: start, toMs: start + 120_000, limit: 10 } as const
    const windows = await createStatsRepository(clickHouse).range(query)
    expect(windows.map(({ count, final, sum, max }) => ({ count, final, sum, max }))).toEqual([
      { count: 5, final: true, sum: 7.5, max: null },
      { count: 3, final: false, sum: 4.5, max: null },
    ])
    expect(await deadLetters(route)).toBe(0)
  })
})
