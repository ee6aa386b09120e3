import { createLogger, createMetrics } from '@millrace/kit'
import { type ApiLog, type Lead, type LeadOutcome, openRegistry, type RecordCodec } from '@millrace/schemas'
import {
  createApiLogRepository,
  createLeadRepository,
  createSinkOffsetRepository,
  type Mysql,
  migrateMysql,
} from '@millrace/storage/mysql'
import type { PlainLead } from '@millrace/storage/sealing'
import { RecordCursor } from '@millrace/streams'
import { connectKafka } from '@millrace/streams/kafka'
import { type OutgoingRecord, type Producer, type SinkRunner, StreamsError, systemClock } from '@millrace/streams/sink'
import { sql } from 'drizzle-orm'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createSinks, type SinkRoute } from '../src/sinks.ts'
import { apiLogOf, leadOf } from './batches.ts'
import {
  brokersOfTests,
  eventually,
  leadKeyOfTests,
  mysqlOfTests,
  required,
  sealerOfTests,
  uniqueName,
} from './servers.ts'

const mysql = mysqlOfTests()
const leadKey = leadKeyOfTests()
const seal = sealerOfTests(mysql)
const leads = createLeadRepository(mysql, leadKey)
const broker = connectKafka({ brokers: brokersOfTests(), clientId: 'sink-mysql-test' })
const registry = openRegistry(required('MILLRACE_REGISTRY_URL'))
const producer = await broker.openProducer({ clientId: 'sink-mysql-test' })
const admin = await broker.openAdmin()
let leadCodec: RecordCodec<Lead>
let outcomeCodec: RecordCodec<LeadOutcome>
let logCodec: RecordCodec<ApiLog>

beforeAll(async () => {
  await migrateMysql(mysql)
  await registry.registerAll()
  leadCodec = await registry.codecFor('leads', 'lead')
  outcomeCodec = await registry.codecFor('lead-outcomes', 'lead-outcome')
  logCodec = await registry.codecFor('api-logs', 'api-log')
})

const running: SinkRunner[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((runner) => runner.close(1_000)))
})
afterAll(async () => {
  await Promise.all([producer.close(), admin.close(), mysql.close()])
})

async function newTopic(prefix: string, partitions: number): Promise<string> {
  const name = uniqueName(prefix)
  await admin.createTopics([{ name, partitions, replicationFactor: 1, config: {} }])
  return name
}

async function newLeadRoute(partitions = 1) {
  return {
    kind: 'leads',
    topic: await newTopic('leads', partitions),
    deadLetterTopic: await newTopic('leads.dlq', 1),
    outcomeTopic: await newTopic('lead-outcomes', 2),
  } as const satisfies SinkRoute
}

async function start(
  route: SinkRoute,
  options: { producer?: Producer; mysql?: Mysql; leadDuplicateWindowMs?: number } = {},
): Promise<SinkRunner> {
  const startRoute = createSinks({
    broker,
    producer: options.producer ?? producer,
    schemas: registry,
    mysql: options.mysql ?? mysql,
    leadKey,
    metrics: createMetrics({ service: 'test', processMetrics: false }),
    logger: createLogger({ service: 'test', level: 'silent' }),
    clock: systemClock,
    runners: new Map(),
    groupPrefix: 'test',
    leadDuplicateWindowMs: options.leadDuplicateWindowMs ?? 0,
    apiLogBatchAgeMaxMs: 50,
  })
  const runner = await startRoute(route)
  running.push(runner)
  return runner
}

async function send(topic: string, values: readonly Buffer[], partition = 0): Promise<void> {
  const record = (value: Buffer): OutgoingRecord => ({ topic, partition, key: null, value, timestamp: Date.now() })
  await producer.send(values.map(record))
}

async function sendLeads(topic: string, batch: readonly PlainLead[], partition = 0): Promise<void> {
  const records = await Promise.all(batch.map(async (lead) => leadCodec.encode(await seal(lead))))
  await send(topic, records, partition)
}

/** Values of every record of a topic, from its start, once there are at least `count`. */
async function valuesOf(topic: string, count: number): Promise<readonly Buffer[]> {
  const partitions = (await admin.describeTopics([topic])).get(topic)?.partitions ?? 0
  const fetcher = await broker.openFetcher({ clientId: 'test' })
  try {
    fetcher.assign(Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset: 0 })))
    const cursor = new RecordCursor()
    const values: Buffer[] = []
    await eventually(`${count} records in ${topic}`, async () => {
      for (const fetched of await fetcher.poll(200)) {
        cursor.reset(fetched)
        while (cursor.next()) values.push(Buffer.from(cursor.bytes.subarray(cursor.valueStart, cursor.valueEnd)))
      }
      return values.length >= count ? true : undefined
    })
    return values
  } finally {
    await fetcher.close()
  }
}

/** Outcomes by lead and request, and how many there are of each. */
async function outcomesOf(topic: string, count: number): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>()
  for (const value of await valuesOf(topic, count)) {
    const { request_id, outcome, reason } = outcomeCodec.decode(value)
    found.set(request_id, [...(found.get(request_id) ?? []), reason === null ? outcome : `${outcome}: ${reason}`])
  }
  return found
}

async function written(runner: SinkRunner, records: number): Promise<void> {
  await eventually(`${records} records written`, () =>
    runner.lags().reduce((sum, { writtenOffset }) => sum + writtenOffset, 0) >= records ? true : undefined,
  )
}

/** The column takes less. */
const tooLong = 'x'.repeat(256)

describe('the sink of leads', () => {
  it('stores leads and produces one outcome each: stored, duplicate, conflict or rejected', async () => {
    const route = await newLeadRoute()
    const first = leadOf()
    const batch = [
      first,
      { ...first, request_id: 'resend' },
      { ...first, request_id: 'conflict', first_name: 'Other', content_hash: 'b'.repeat(64) },
      leadOf({ request_id: 'refused', campaign: tooLong }),
      leadOf({ request_id: 'sound' }),
    ]
    await sendLeads(route.topic, batch)
    await send(route.topic, [Buffer.from('poison')])
    await start(route)
    const outcomes = await outcomesOf(route.outcomeTopic, 5)
    expect(Object.fromEntries(outcomes)).toEqual({
      [first.request_id]: ['stored'],
      resend: ['duplicate'],
      conflict: ['conflict: the lead_id belongs to a lead with other content'],
      refused: ['rejected: campaign: value too long'],
      sound: ['stored'],
    })
    expect(await leads.byId(first.lead_id)).toMatchObject({ firstName: 'Zoë', requestId: first.request_id })
    expect(await valuesOf(route.deadLetterTopic, 2)).toHaveLength(2)
  })

  it('seals what a version has sent that did not', async () => {
    const route = await newLeadRoute()
    const [lead, resent] = [leadOf(), { ...leadOf(), request_id: 'resend' }]
    const plain = { ...resent, lead_id: lead.lead_id, content_hash: lead.content_hash }
    await send(route.topic, [leadCodec.encode(lead), leadCodec.encode(plain)])
    await start(route)
    const outcomes = await outcomesOf(route.outcomeTopic, 2)
    expect([outcomes.get(lead.request_id), outcomes.get('resend')]).toEqual([['stored'], ['duplicate']])
    const [row] = await mysql.run('reading', (database) =>
      database.execute(sql`SELECT * FROM leads WHERE lead_id = ${lead.lead_id}`),
    )
    expect(JSON.stringify(row)).not.toContain('zoe@')
    expect(await leads.byId(lead.lead_id)).toMatchObject({ firstName: 'Zoë', email: lead.email, country: 'TR' })
  })

  it('stores a single lead without waiting for others', async () => {
    const route = await newLeadRoute()
    await start(route)
    for (let i = 0; i < 3; i++) {
      const lead = leadOf()
      await sendLeads(route.topic, [lead])
      await eventually('the lead', () => leads.byId(lead.lead_id))
    }
  })

  it('produces the outcomes again when it was killed between the transaction and the outcomes, and stores nothing twice', async () => {
    const route = await newLeadRoute()
    const batch = [leadOf(), leadOf({ campaign: tooLong }), leadOf()]
    const resend = { ...leadOf(), lead_id: batch[0]?.lead_id ?? '', content_hash: batch[0]?.content_hash ?? '' }
    await sendLeads(route.topic, [...batch, resend])
    const failing: Producer = {
      send: () => Promise.reject(new StreamsError('FENCED', 'killed')),
      close: async () => {},
    }
    const first = await start(route, { producer: failing })
    expect(await first.failed).toMatchObject({ code: 'FENCED' })
    await first.close(0)
    const offsets = createSinkOffsetRepository(mysql)
    const group = `test-${route.topic}`
    const stored = (await offsets.read(group, route.topic)).get(0)
    expect(stored?.nextOffset).toBeGreaterThan(0)
    expect(stored?.settledOffset).toBe(0)

    await sendLeads(route.topic, [leadOf({ request_id: 'later' })])
    const second = await start(route)
    await written(second, 5)
    const outcomes = await outcomesOf(route.outcomeTopic, 5)
    expect([...batch, resend].map(({ request_id }) => outcomes.get(request_id))).toEqual([
      ['stored'],
      ['rejected: campaign: value too long'],
      ['stored'],
      ['duplicate'],
    ])
    expect(outcomes.get('later')).toEqual(['stored'])
    await second.close(1_000)
    expect((await offsets.read(group, route.topic)).get(0)).toMatchObject({ nextOffset: 5, settledOffset: 5 })
  })

  it('goes on where the database says when the answer to a commit was lost', async () => {
    const route = await newLeadRoute(2)
    let losses = 2
    // The transaction is committed, but the connection breaks before we hear of it.
    const lossy: Mysql = {
      ...mysql,
      async transaction(what, work, options) {
        const result = await mysql.transaction(what, work, options)
        if (losses-- > 0) throw Object.assign(new Error('connection lost'), { retryable: true })
        return result
      },
    }
    const batches = [0, 1].map(() => Array.from({ length: 300 }, () => leadOf()))
    for (const [partition, batch] of batches.entries()) await sendLeads(route.topic, batch, partition)
    const runner = await start(route, { mysql: lossy })
    await written(runner, 600)
    const outcomes = await outcomesOf(route.outcomeTopic, 600)
    expect(outcomes.size).toBe(600)
    expect(new Set([...outcomes.values()].flat())).toEqual(new Set(['stored']))
    const [page] = await Promise.all([leads.byId(batches[1]?.[299]?.lead_id ?? '')])
    expect(page?.sourcePartition).toBe(1)
  })
})

describe('the sink of API logs', () => {
  it('stores request and response of each record once, and keeps what is refused', async () => {
    const route: SinkRoute = {
      kind: 'api-logs',
      topic: await newTopic('api-logs', 1),
      deadLetterTopic: await newTopic('api-logs.dlq', 1),
    }
    const principal = uniqueName('user')
    const logs = Array.from({ length: 50 }, () => apiLogOf({ principal }))
    logs[7] = apiLogOf({ principal, error_code: 'x'.repeat(100) })
    await send(
      route.topic,
      [...logs, ...logs.slice(0, 5)].map((log) => logCodec.encode(log)),
    )
    const runner = await start(route)
    await written(runner, 55)
    const repository = createApiLogRepository(mysql)
    const stored = await Promise.all(logs.map((log) => repository.byRequestId(log.request_id)))
    expect(stored.flatMap((log, index) => (log === undefined ? [index] : []))).toEqual([7])
    expect(stored[0]).toMatchObject({
      request: { method: 'GET', route: '/stats', principal, receivedAt: new Date(logs[0]?.received_at ?? 0) },
      response: { status: 200, responseBytes: 880, durationMs: 3.5, errorCode: null },
    })
    expect(await valuesOf(route.deadLetterTopic, 1)).toHaveLength(1)
  })
})
