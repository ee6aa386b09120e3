import { randomUUID } from 'node:crypto'
import { createCodec, type Event, type Registry } from '@millrace/schemas'
import {
  createReconciliationRepository as createEventReconciliation,
  migrateClickHouse,
  openClickHouse,
} from '@millrace/storage/clickhouse'
import { createReconciliationRepository, migrateMysql, openMysql } from '@millrace/storage/mysql'
import type { OutgoingRecord } from '@millrace/streams'
import { connectKafka } from '@millrace/streams/kafka'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createEventsSide } from '../src/reconciliation/events-side.ts'
import { createApiLogsSide, createLeadsSide } from '../src/reconciliation/mysql-sides.ts'
import { createReconciler } from '../src/reconciliation/reconciler.ts'
import { differenceOf, type ReconciledTopic } from '../src/reconciliation/reconciliation.ts'

// The law itself has unit tests: here it is the questions to real servers. Databases and topics of its own, so that offsets are those of this test.
const run = randomUUID().slice(0, 8)
const database = `millrace_test_${run}`
const minute = 60_000
/** A minute that is settled. */
const fromMs = Math.floor(Date.now() / minute) * minute - 10 * minute
const topicNames = { events: `events-${run}`, leads: `leads-${run}`, 'api-logs': `api-logs-${run}` }

function required(name: string): string {
  const value = process.env[name]
  if (value === undefined || value === '') throw new Error(`${name} is not set: these tests need the real servers`)
  return value
}

const mysqlOptions = {
  host: required('MILLRACE_MYSQL_HOST'),
  port: Number(required('MILLRACE_MYSQL_PORT')),
  user: required('MILLRACE_MYSQL_USER'),
  password: required('MILLRACE_MYSQL_PASSWORD'),
}
const clickHouseOptions = {
  url: required('MILLRACE_CLICKHOUSE_URL'),
  user: required('MILLRACE_CLICKHOUSE_USER'),
  password: required('MILLRACE_CLICKHOUSE_PASSWORD'),
  database,
}
const server = openMysql({ ...mysqlOptions, database: required('MILLRACE_MYSQL_DATABASE'), connectionsMax: 1 })
const mysql = openMysql({ ...mysqlOptions, database, connectionsMax: 2 })
const clickHouse = openClickHouse(clickHouseOptions)
const broker = connectKafka({ brokers: required('MILLRACE_KAFKA_BROKERS').split(','), clientId: 'reconciliation-test' })
const codec = createCodec('event', 7)
const registry: Registry = {
  registerAll: () => Promise.reject(new Error('not asked')),
  codecFor: () => Promise.reject(new Error('not asked')),
  schemaById: () => Promise.reject(new Error('not asked')),
  isVersionOf: () => Promise.reject(new Error('not asked')),
}

const onMysql = (...statements: string[]) =>
  mysql.run('preparing a test', async (connection) => {
    // Whatever else a lead must have: a statement that is not strict fills it in.
    await connection.execute(sql.raw("SET SESSION sql_mode = ''"))
    for (const statement of statements) await connection.execute(sql.raw(statement))
  })

beforeAll(async () => {
  await server.run('preparing a test', (connection) => connection.execute(sql.raw(`CREATE DATABASE ${database}`)))
  await Promise.all([migrateMysql(mysql), migrateClickHouse(clickHouseOptions)])
  const admin = await broker.openAdmin()
  await admin.createTopics(
    Object.values(topicNames).map((name) => ({ name, partitions: 2, replicationFactor: 1, config: {} })),
  )
  await admin.close()
})
afterAll(async () => {
  await clickHouse.command('cleaning up', `DROP DATABASE IF EXISTS ${database}`)
  await server.run('cleaning up', (connection) => connection.execute(sql.raw(`DROP DATABASE IF EXISTS ${database}`)))
  const admin = await broker.openAdmin()
  await admin.deleteTopics(Object.values(topicNames))
  await Promise.all([admin.close(), mysql.close(), server.close(), clickHouse.close()])
})

const committed = async () =>
  new Map([
    [0, 1_000],
    [1, 1_000],
  ])

function reconcile(topic: ReconciledTopic) {
  const events = createEventReconciliation(clickHouse)
  const inMysql = { mysql: createReconciliationRepository(mysql), deadLetters: events, committed }
  const reconciler = createReconciler({
    broker,
    sides: [
      createEventsSide({ clickHouse: events, codec, registry, committed }),
      createLeadsSide(inMysql),
      createApiLogsSide(inMysql),
    ],
    topicNames,
    acknowledged: inMysql.mysql,
    processed: committed,
    nowMs: Date.now,
  })
  return reconciler.run({ fromMs, toMs: fromMs + 3 * minute, topics: [topic], boundMs: 5 * minute })
}

async function produce(records: readonly OutgoingRecord[]): Promise<void> {
  const producer = await broker.openProducer({ clientId: 'reconciliation-test' })
  await producer.send(records)
  await producer.close()
}

/** In partition `index % 2`, received in minute `index / 4`; one event in eight happened months ago. */
function eventAt(index: number): Event {
  const received_at = fromMs + Math.floor(index / 4) * minute + index
  const timestamp = index % 8 === 5 ? received_at - 90 * 86_400_000 : received_at
  return {
    event_id: `e${index}`,
    user_id: 'u',
    event_type: 't',
    timestamp,
    value: 1,
    metadata: '{}',
    received_at,
    source: 's',
  }
}

function storeEvents(
  events: readonly { readonly event: Event; readonly partition: number; readonly offset: number }[],
) {
  const rows = events.map(({ event, partition, offset }) => {
    const { event_id, user_id, event_type, timestamp, received_at } = event
    const times = [timestamp, received_at].map((ms) => `fromUnixTimestamp64Milli(toInt64(${ms}))`)
    return `('${event_id}', '${user_id}', '${event_type}', ${times[0]}, 1, '{}', ${times[1]}, 's', ${partition}, ${offset})`
  })
  const columns = 'event_id, user_id, event_type, timestamp, value, metadata, received_at, source, _partition, _offset'
  return clickHouse.command('preparing a test', `INSERT INTO events (${columns}) VALUES ${rows.join(', ')}`)
}

it('events: every row has its offset; what has none is a resend, a dead letter, or lost', async () => {
  const events = Array.from({ length: 12 }, (_, index) => eventAt(index))
  // The last one is sent again: another record of the same event.
  const sent = [...events, ...events.slice(-1)]
  await produce(
    sent.map((event, index) => ({
      topic: topicNames.events,
      partition: index % 2,
      key: Buffer.from('u'),
      value: codec.encode(event),
      timestamp: event.received_at,
    })),
  )
  const placed = sent.map((event, index) => ({ event, partition: index % 2, offset: Math.floor(index / 2) }))
  // Of the two records of one event, merging leaves a row; record 1 cannot be stored.
  await storeEvents(placed.filter((_, index) => index !== 11 && index !== 1))
  await onMysql(
    `INSERT INTO api_request_logs (request_id, method, route, received_at, request_bytes, stored_at)
       VALUES ('r1', 'POST', '/api/v1/events', FROM_UNIXTIME(${fromMs / 1_000}), 1, NOW())`,
    `INSERT INTO api_response_logs (request_id, responded_at, status, response_bytes, duration_ms, accepted, stored_at)
       VALUES ('r1', FROM_UNIXTIME(${fromMs / 1_000}), 202, 1, 1, 4, NOW())`,
  )
  await clickHouse.command(
    'preparing a test',
    `INSERT INTO dead_letters (topic, partition, offset, kind) VALUES ('events', 1, 0, 'letter')`,
  )
  const whole = await reconcile('events')
  expect(differenceOf(whole)).toBe(0)
  const [first, , third] = whole.topics[0]?.minutes ?? []
  expect(first).toMatchObject({ kafka: 4, stored: 3, deadLettered: 1, acknowledged: 4, processed: 4 })
  expect(third).toMatchObject({ kafka: 5, stored: 4, resent: 1 })

  await clickHouse.command(
    'losing rows',
    'ALTER TABLE events DELETE WHERE _partition = 0 AND _offset IN (2, 3) SETTINGS mutations_sync = 2',
  )
  const lost = await reconcile('events')
  expect(lost.topics[0]?.differences).toEqual([
    { stage: 'store', minuteMs: fromMs + minute, records: 2, partition: 0, firstOffset: 2, nextOffset: 4 },
  ])
})

it('leads: a lead that was sent again has one row; one that was refused has a place', async () => {
  const ids = Array.from({ length: 5 }, () => randomUUID())
  // Whose key no column for ids can hold: the database must not be asked for it.
  const refused = 'zoë 🌾'
  const sent = [...ids, refused, ids[0] ?? '']
  await produce(
    sent.map((id, index) => ({
      topic: topicNames.leads,
      partition: 0,
      key: Buffer.from(id),
      value: Buffer.from('sealed'),
      timestamp: fromMs + index,
    })),
  )
  const rows = ids.map((id, index) => {
    return `('${id}', '{}', FROM_UNIXTIME(${fromMs / 1_000}), NOW(), 0, ${index})`
  })
  await onMysql(
    `INSERT INTO leads (lead_id, attributes, received_at, stored_at, source_partition, source_offset) VALUES ${rows.join(', ')}`,
    `INSERT INTO sink_rejections (topic, partition_number, record_offset, reason, rejected_at) VALUES ('leads', 0, 5, 'r', NOW())`,
  )
  const whole = await reconcile('leads')
  expect(differenceOf(whole)).toBe(0)
  expect(whole.topics[0]?.minutes[0]).toMatchObject({ kafka: 7, stored: 5, resent: 1, deadLettered: 1 })

  await onMysql(`DELETE FROM leads WHERE lead_id = '${ids[3]}'`)
  expect((await reconcile('leads')).topics[0]?.differences).toEqual([
    { stage: 'store', minuteMs: fromMs, records: 1, partition: 0, firstOffset: 3, nextOffset: 4 },
  ])
})

it('API logs: a row is known by its request', async () => {
  const ids = Array.from({ length: 4 }, () => randomUUID())
  await produce(
    ids.map((id, index) => ({
      topic: topicNames['api-logs'],
      partition: index % 2,
      key: Buffer.from(id),
      value: Buffer.from('log'),
      timestamp: fromMs + minute + index,
    })),
  )
  const rows = ids.map((id) => `('${id}', 'GET', '/x', FROM_UNIXTIME(${(fromMs + minute) / 1_000}), 1, NOW())`)
  const columns = 'request_id, method, route, received_at, request_bytes, stored_at'
  await onMysql(`INSERT INTO api_request_logs (${columns}) VALUES ${rows.join(', ')}`)
  const whole = await reconcile('api-logs')
  expect(differenceOf(whole)).toBe(0)
  expect(whole.topics[0]?.minutes[1]).toMatchObject({ kafka: 4, stored: 4, acknowledged: null })

  await onMysql(`DELETE FROM api_request_logs WHERE request_id = '${ids[2]}'`)
  expect((await reconcile('api-logs')).topics[0]?.differences).toEqual([
    { stage: 'store', minuteMs: fromMs + minute, records: 1, partition: 0, firstOffset: 1, nextOffset: 2 },
  ])
})
