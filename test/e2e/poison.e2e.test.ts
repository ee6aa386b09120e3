import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { createClient } from '@clickhouse/client'
import { avroSchema, frameBytes, openRegistry } from '@millrace/schemas'
import type { Broker, OutgoingRecord, Producer } from '@millrace/streams'
import { connectKafka } from '@millrace/streams/kafka'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { partitionsOf } from '../faults/engine/topic-log.ts'
import { LetterReader, placeOf } from '../faults/poison/letters.ts'
import {
  fateOf,
  framed,
  poisonedTopicNames,
  poisonKinds,
  poisonOf,
  registerPoison,
  registerSchema,
} from '../faults/poison/poison-records.ts'
import { eventOf, soundRecords } from '../faults/poison/sound-records.ts'
import { eventually, GatewayClient, required } from './gateway-client.ts'

/** Of letters and rows; the suite of faults measures how quick they are. */
const deadlineMs = 60_000
/** The services ask again for a schema that the registry did not have after 5 s. */
const askedAgainMs = 6_000
const run = randomUUID().slice(0, 8)
const registryUrl = required('MILLRACE_REGISTRY_URL')
const root = join(import.meta.dirname, '../..')

let broker: Broker
let producer: Producer
let gateway: GatewayClient
let analyst: GatewayClient
const clickhouse = createClient({
  url: required('MILLRACE_CLICKHOUSE_URL'),
  username: required('MILLRACE_CLICKHOUSE_USER'),
  password: required('MILLRACE_CLICKHOUSE_PASSWORD'),
  database: required('MILLRACE_CLICKHOUSE_DATABASE'),
})

beforeAll(async () => {
  broker = connectKafka({ brokers: [required('MILLRACE_KAFKA_BROKERS')], clientId: 'poison' })
  producer = await broker.openProducer({ clientId: 'poison' })
  gateway = await GatewayClient.as('admin')
  analyst = await GatewayClient.as('analyst')
})
afterAll(() => Promise.all([producer?.close(), clickhouse.close()]))

it('poison of every kind in every partition becomes dead letters, byte by byte, and what is behind it is stored', async () => {
  const readers = await followAll()
  const sound = await soundRecords({
    broker,
    registryUrl,
    eventType: `sound-${run}`,
    postLead: async () => (await gateway.post('/api/v1/lead/process-async', lead())).body.lead_id,
  })
  const expected = new Map<string, Buffer | null>()
  for (const topic of poisonedTopicNames) {
    const schemas = await registerPoison(registryUrl, topic)
    for (const { partition } of await partitionsOf(broker, topic)) {
      for (const kind of poisonKinds) {
        // Of nearly a megabyte: one of each topic is enough.
        if (kind === '900 kB' && partition > 0) continue
        const record = poisonOf(kind, sound[topic](), schemas)
        const offset = await send({ topic, partition, ...record })
        if (fateOf(topic, kind) === 'letter') expected.set(placeOf(topic, partition, offset), record.value)
      }
    }
  }
  const behind = await sendBehind()

  const letters = () => new Map(readers.flatMap((reader) => [...reader.letters]))
  await eventually(
    deadlineMs,
    async () => letters(),
    (found) => {
      expect(
        [...expected.keys()].filter((place) => !found.has(place)),
        'records without a letter',
      ).toEqual([])
    },
  )
  const found = letters()
  const isSame = (place: string, value: Buffer | null) => {
    const letter = found.get(place)?.value
    return value === null ? letter === null : letter?.equals(value) === true
  }
  expect([...expected].filter(([place, value]) => !isSame(place, value)).map(([place]) => place)).toEqual([])
  expect(readers.map(({ headless }) => headless)).toEqual(readers.map(() => 0))
  await Promise.all(readers.map((reader) => reader.stop()))
  await storedBehind(behind)
}, 300_000)

it('a record whose schema is registered later comes home once, however often it is put back', async () => {
  const reader = await LetterReader.follow(broker, 'events.dlq')
  const eventType = `later-${run}`
  const codec = await eventCodec()
  const sound = codec.encode(eventOf(eventType))
  const schemaId = (await lastSchemaId()) + 1
  const offset = await send({
    topic: 'events',
    partition: 0,
    key: Buffer.from('u'),
    value: framed(schemaId, sound.subarray(frameBytes)),
  })
  const place = placeOf('events', 0, offset)
  // One of the sink and one of the processor: what is put back comes to both.
  await eventually(
    deadlineMs,
    async () => reader.counts.get(place),
    (count) => expect(count).toBe(2),
  )
  const letter = reader.letters.get(place)
  await reader.stop()
  const later = { ...avroSchema('event'), doc: `The schema of run ${run}.` }
  expect(await registerSchema(registryUrl, `later-${run}`, later), 'nobody else registers schemas meanwhile').toBe(
    schemaId,
  )
  await delay(askedAgainMs)

  expect(await millrace('dlq', 'replay', 'events', '--offset', String(letter?.offset))).toContain('1 records went back')
  expect(await millrace('dlq', 'replay', 'events', '--offset', String(letter?.offset))).toContain('0 records went back')
  await eventually(
    deadlineMs,
    () => countOf(eventType),
    (count) => expect(count).toBe(1),
  )
  await counted(eventType, 1)
  // A second letter, or a second row, would come before what is sent now: another event, since ClickHouse collapses the same one.
  await send({ topic: 'events', partition: 0, key: Buffer.from('u'), value: codec.encode(eventOf(eventType)) })
  await counted(eventType, 2)
  await eventually(
    deadlineMs,
    () => countOf(eventType),
    (count) => expect(count).toBe(2),
  )
  expect(await millrace('dlq', 'list', 'events')).not.toContain(place)
}, 300_000)

function followAll(): Promise<readonly LetterReader[]> {
  return Promise.all(poisonedTopicNames.map((topic) => LetterReader.follow(broker, `${topic}.dlq`)))
}

const eventCodec = () => openRegistry(registryUrl).codecFor('events', 'event')

/** Sends one record; answers its offset. */
async function send(record: Omit<OutgoingRecord, 'timestamp'>): Promise<number> {
  const [batch] = await producer.send([{ ...record, timestamp: Date.now() }])
  if (batch === undefined) throw new Error('a record that was sent has an offset')
  return batch.baseOffset
}

/** What was sent when all the poison was there. */
interface Behind {
  readonly eventType: string
  readonly leadIds: readonly string[]
  readonly requestId: string | null
}

/** Sound events in every partition, leads enough to come to each, a request that is logged. */
async function sendBehind(): Promise<Behind> {
  const eventType = `behind-${run}`
  const event = await eventCodec()
  for (const { partition } of await partitionsOf(broker, 'events')) {
    await send({ topic: 'events', partition, key: Buffer.from('u'), value: event.encode(eventOf(eventType)) })
  }
  const bulk = await gateway.post('/api/v1/leads/process-bulk', Array.from({ length: 40 }, lead))
  expect(bulk.body.accepted, bulk.text).toBe(40)
  return {
    eventType,
    leadIds: bulk.body.results.map(({ lead_id }: { lead_id: string }) => lead_id),
    requestId: bulk.headers.get('x-request-id'),
  }
}

/** The events are rows and counted (so the statistics, too, came through), the leads are rows; the log of the request is looked for by its own test. */
async function storedBehind({ eventType, leadIds }: Behind): Promise<void> {
  const partitions = (await partitionsOf(broker, 'events')).length
  await eventually(
    deadlineMs,
    () => countOf(eventType),
    (count) => expect(count).toBe(partitions),
  )
  await counted(eventType, partitions)
  for (const leadId of leadIds) {
    await eventually(
      deadlineMs,
      () => gateway.get(`/api/v1/leads/${leadId}`),
      ({ status }) => expect(status).toBe(200),
    )
  }
}

/** Rows of an event type in ClickHouse. */
async function countOf(eventType: string): Promise<number> {
  const result = await clickhouse.query({
    query: 'SELECT count() AS found FROM events WHERE event_type = {eventType:String}',
    query_params: { eventType },
    format: 'JSONEachRow',
  })
  const [row] = await result.json<{ found: string }>()
  return Number(row?.found)
}

/** Waits until the statistics have counted so many events of a type. */
async function counted(eventType: string, count: number): Promise<void> {
  await eventually(
    deadlineMs,
    () => analyst.get(`/stats?event_type=${eventType}&time_interval=1d`),
    // Of two days when midnight is among them.
    ({ body, text }) => expect(sumOf(body.windows), text).toBe(count),
  )
}

const sumOf = (windows: readonly { readonly count: number }[]) => windows.reduce((sum, { count }) => sum + count, 0)

/** Registers a schema for its id alone. */
function lastSchemaId(): Promise<number> {
  return registerSchema(registryUrl, `first-${run}`, { ...avroSchema('event'), doc: `Of run ${run}, for its id.` })
}

/** Runs the command; answers what it says. */
async function millrace(...args: readonly string[]): Promise<string> {
  const main = join(root, 'services/cli/src/main.ts')
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [main, ...args])
  return stdout + stderr
}

const lead = () => ({ first_name: 'Ada', last_name: 'Lovelace', email: `${randomUUID()}@example.org` })
