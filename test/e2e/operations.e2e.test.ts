import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { openReconciler, type Reconciler, type TopicReconciliation } from '@millrace/operations'
import { type EventStats, openRegistry } from '@millrace/schemas'
import { type ClickHouse, openClickHouse } from '@millrace/storage/clickhouse'
import { type Mysql, openMysql } from '@millrace/storage/mysql'
import { partitionKey, RecordCursor } from '@millrace/streams'
import { connectKafka } from '@millrace/streams/kafka'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually, GatewayClient, required } from './gateway-client.ts'

let admin: GatewayClient
let clickHouse: ClickHouse
let mysql: Mysql
let reconciler: Reconciler
const broker = connectKafka({ brokers: required('MILLRACE_KAFKA_BROKERS').split(','), clientId: 'operations-e2e' })
const startedMs = Date.now()

beforeAll(async () => {
  admin = await GatewayClient.as('admin')
  clickHouse = openClickHouse({
    url: required('MILLRACE_CLICKHOUSE_URL'),
    user: required('MILLRACE_CLICKHOUSE_USER'),
    password: required('MILLRACE_CLICKHOUSE_PASSWORD'),
    database: required('MILLRACE_CLICKHOUSE_DATABASE'),
  })
  mysql = openMysql({
    host: required('MILLRACE_MYSQL_HOST'),
    port: Number(required('MILLRACE_MYSQL_PORT')),
    user: required('MILLRACE_MYSQL_USER'),
    password: required('MILLRACE_MYSQL_PASSWORD'),
    database: required('MILLRACE_MYSQL_DATABASE'),
    connectionsMax: 1,
  })
  reconciler = await openReconciler({
    broker,
    registry: openRegistry(required('MILLRACE_REGISTRY_URL')),
    clickHouse,
    mysql,
    names: { processor: 'millrace-processor', sinkClickHouse: 'sink-clickhouse', sinkMysql: 'sink-mysql' },
    // Minutes that have just begun are judged: nobody waits for them to be old.
    nowMs: () => Date.now() + 600_000,
  })
})
afterAll(async () => {
  await Promise.all([clickHouse?.close(), mysql?.close()])
})

/** A record's place in its topic. */
interface Place {
  readonly partition: number
  readonly offset: number
}

/** What is found of this test's minutes. Other tests have made records in them, too: it is asked about places. */
async function reconcile(topic: 'events' | 'leads'): Promise<TopicReconciliation> {
  const range = { fromMs: startedMs, toMs: Date.now() + 60_000, topics: [topic], boundMs: 0 }
  const [found] = (await reconciler.run(range)).topics
  if (found === undefined) throw new Error(`${topic} was not reconciled`)
  return found
}

function stageOf({ differences }: TopicReconciliation, { partition, offset }: Place): string | undefined {
  return differences.find(
    ({ partition: of, firstOffset, nextOffset }) =>
      of === partition && firstOffset !== null && nextOffset !== null && firstOffset <= offset && offset < nextOffset,
  )?.stage
}

/** Asks again until what is asked for is there, for as long as a busy machine takes. */
function within<T>(look: () => Promise<T>): Promise<T> {
  return eventually(60_000, look, () => undefined)
}

/** Waits until the processor and the sinks have come to a place. */
function arrived(topic: 'events' | 'leads', place: Place) {
  return within(async () => {
    const found = await reconcile(topic)
    expect(stageOf(found, place)).toBeUndefined()
    return found
  })
}

async function sendEvent(): Promise<Place & { readonly eventId: string }> {
  const eventId = randomUUID()
  const event = { event_id: eventId, user_id: 'u-ops', event_type: 'ops', timestamp: Date.now(), metadata: {} }
  expect((await admin.post('/api/v1/events?wait=stored', event)).status).toBeLessThan(300)
  const receipt = await within(async () => {
    const answer = await admin.get(`/api/v1/events/${eventId}/receipt`)
    expect(answer.status).toBe(200)
    return answer
  })
  const [{ partition, offset }] = receipt.body.records
  return { eventId, partition, offset }
}

describe('reconciliation', () => {
  it('finds the event that somebody has deleted, by its place', async () => {
    const place = await sendEvent()
    await arrived('events', place)
    // The API's log is stored a moment later.
    await within(async () => {
      const { minutes } = await reconcile('events')
      expect(minutes.some(({ acknowledged, stored }) => (acknowledged ?? 0) > 0 && stored > 0)).toBe(true)
    })
    // The identifier is of this test: letters, digits and hyphens.
    const condition = `event_id = '${place.eventId}'`
    await clickHouse.command('losing', `ALTER TABLE events DELETE WHERE ${condition} SETTINGS mutations_sync = 2`)
    expect(stageOf(await reconcile('events'), place)).toBe('store')
  })

  it('finds the lead that somebody has deleted', async () => {
    const email = `ops-${randomUUID()}@example.org`
    const lead = await admin.post('/api/v1/lead/process', { first_name: 'Ada', last_name: 'L', email })
    expect(lead.status).toBe(201)
    const result: unknown = await mysql.run('looking for the lead', (database) =>
      database.execute(
        sql`SELECT source_partition AS p, source_offset AS o FROM leads WHERE lead_id = ${lead.body.lead_id}`,
      ),
    )
    const [row] = Array.isArray(result) && Array.isArray(result[0]) ? result[0] : []
    const place = { partition: Number(row.p), offset: Number(row.o) }
    await arrived('leads', place)
    await mysql.run('losing', (database) =>
      database.execute(sql`DELETE FROM leads WHERE lead_id = ${lead.body.lead_id}`),
    )
    expect(stageOf(await reconcile('leads'), place)).toBe('store')
  })

  it('counts a dead letter, also after it was put back over HTTP', async () => {
    const producer = await broker.openProducer({ clientId: 'operations-e2e' })
    const poison = { topic: 'events', partition: 0, key: Buffer.from('u'), value: Buffer.from('no frame') }
    const [batch] = await producer.send([{ ...poison, timestamp: Date.now() }])
    await producer.close()
    const place = { partition: 0, offset: batch?.baseOffset ?? -1 }
    const letter = await within(async () => {
      const { body } = await admin.get('/api/v1/ops/dead-letters/events?state=all&limit=1000')
      // The processor may have made a letter of it, too: one of them waits, for both.
      const found = body.letters.find(
        (one: { partition: number; original_offset: number; state: string }) =>
          one.partition === place.partition && one.original_offset === place.offset && one.state === 'waiting',
      )
      expect(found).toBeDefined()
      return found
    })
    await arrived('events', place)
    const replay = await admin.post('/api/v1/ops/dead-letters/events/replay', { offsets: [letter.offset] })
    expect(replay.body).toEqual({ replayed: 1, omitted: [] })
    const again = await admin.post('/api/v1/ops/dead-letters/events/replay', { offsets: [letter.offset] })
    expect(again.body).toEqual({ replayed: 0, omitted: [] })
    const shown = await admin.get(`/api/v1/ops/dead-letters/events/${letter.offset}`)
    expect(Buffer.from(shown.body.value.base64, 'base64').toString()).toBe('no frame')
    await arrived('events', place)
  })
})

describe('millrace replay', () => {
  const table = `replayed_${randomUUID().slice(0, 8)}`
  afterAll(() => clickHouse?.command('cleaning up', `DROP TABLE IF EXISTS ${table}`))

  it('reads a range into a table of its own, twice, and every row is there once', async () => {
    const { eventId } = await sendEvent()
    const times = ['--from', new Date(startedMs).toISOString(), '--to', new Date(Date.now() + 1_000).toISOString()]
    const command = ['services/cli/src/main.ts', 'replay', '--topic', 'events', ...times, '--into-table', table]
    const run = async () => (await promisify(execFile)(process.execPath, command)).stdout
    const first = await run()
    expect(first).toMatch(/ 0 were there already/)
    const rows = async () => {
      const counts = `count() AS rows, uniqExact(_partition, _offset) AS places, countIf(event_id = '${eventId}') AS own`
      return await clickHouse.query('counting', { sql: `SELECT ${counts} FROM ${table}` })
    }
    const [before] = await rows()
    expect(before).toMatchObject({ own: 1, places: before?.rows })
    await run()
    expect(await rows()).toEqual([before])
  }, 180_000)

  it('counts a range anew under another application id, beside the processor that runs', async () => {
    const type = `replayed-${randomUUID().slice(0, 8)}`
    const event = { event_type: type, timestamp: Date.now(), metadata: {} }
    const sent = Array.from({ length: 50 }, (_, i) => ({ ...event, user_id: `u${i}` }))
    expect((await admin.post('/api/v1/events', sent)).status).toBe(202)
    const toMs = Date.now() + 1
    // What comes now is of a later millisecond.
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect((await admin.post('/api/v1/events', sent.slice(0, 7))).status).toBe(202)
    const stateDir = await mkdtemp(join(tmpdir(), 'millrace-replay-'))
    try {
      const times = ['--from', new Date(startedMs).toISOString(), '--to', new Date(toMs).toISOString()]
      const command = ['services/cli/src/main.ts', 'replay', '--topic', 'events', ...times, '--application-id', type]
      const env = { ...process.env, MILLRACE_STATE_DIR: stateDir }
      const run = () => promisify(execFile)(process.execPath, command, { env })
      expect((await run()).stdout).toMatch(/^\d+ offsets of events: their statistics are in stats\.replayed-/)
      // A commit is answered when it is decided; the marks that show it to readers follow.
      const each = { '10s': 50, '1m': 50, '5m': 50, '1h': 50, '1d': 50 }
      await within(async () => expect(await lastCounts(`stats.${type}`, type)).toEqual(each))
      await within(async () => expect((await lastCounts('stats', type))['1d']).toBe(57))
      await expect(run()).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('name another id') })
    } finally {
      await rm(stateDir, { recursive: true, force: true })
      const kafka = await broker.openAdmin()
      await kafka.deleteTopics([`stats.${type}`])
      await kafka.close()
    }
  }, 180_000)
})

/** What a topic of statistics says last of an event type, by interval: the sum over its windows. */
async function lastCounts(topic: string, eventType: string): Promise<Record<string, number>> {
  const kafka = await broker.openAdmin()
  const fetcher = await broker.openFetcher({ clientId: 'operations-e2e' })
  const last = new Map<string, EventStats>()
  try {
    const partitions = (await kafka.describeTopics([topic])).get(topic)?.partitions ?? 0
    const all = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
    const ends = await kafka.listOffsets(all, 'latestCommitted')
    const codec = await openRegistry(required('MILLRACE_REGISTRY_URL')).codecFor('stats', 'event-stats')
    const cursor = new RecordCursor()
    fetcher.assign(all.map((of) => ({ ...of, offset: 0 })))
    while (all.some((of) => (fetcher.position(of) ?? 0) < (ends.get(partitionKey(of)) ?? 0))) {
      for (const fetched of await fetcher.poll(500)) {
        cursor.reset(fetched)
        while (cursor.next()) {
          if (cursor.valueStart < 0) continue
          const stats = codec.decode(cursor.bytes.subarray(cursor.valueStart, cursor.valueEnd))
          if (stats.event_type === eventType) last.set(`${stats.interval} ${stats.window_start}`, stats)
        }
      }
    }
  } finally {
    await Promise.all([kafka.close(), fetcher.close()])
  }
  const counts: Record<string, number> = {}
  for (const { interval, count } of last.values()) counts[interval] = (counts[interval] ?? 0) + count
  return counts
}
