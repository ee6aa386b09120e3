import { randomUUID } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Lead, openRegistry, type TopicName } from '@millrace/schemas'
import { openClickHouse } from '@millrace/storage/clickhouse'
import { createLeadTreeStore, findKeys, openMysql } from '@millrace/storage/mysql'
import { LeafSource, openContents, readLeadKey, sealLead, treesHeld } from '@millrace/storage/sealing'
import type { RecordCursor } from '@millrace/streams'
import { connectKafka, defaultPartition } from '@millrace/streams/kafka'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readPlain } from '../faults/engine/topic-log.ts'
import { eventually, GatewayClient, required } from './gateway-client.ts'

/** How long a record takes through the stack, on a busy machine. */
const lateMs = 90_000

const mysql = openMysql({
  host: required('MILLRACE_MYSQL_HOST'),
  port: Number(required('MILLRACE_MYSQL_PORT')),
  user: required('MILLRACE_MYSQL_USER'),
  password: required('MILLRACE_MYSQL_PASSWORD'),
  database: required('MILLRACE_MYSQL_DATABASE'),
  callTimeoutMs: lateMs,
})
const clickHouse = openClickHouse({
  url: required('MILLRACE_CLICKHOUSE_URL'),
  user: required('MILLRACE_CLICKHOUSE_USER'),
  password: required('MILLRACE_CLICKHOUSE_PASSWORD'),
  database: required('MILLRACE_CLICKHOUSE_DATABASE'),
})
const broker = connectKafka({ brokers: required('MILLRACE_KAFKA_BROKERS').split(','), clientId: 'erasure-test' })
const registry = openRegistry(required('MILLRACE_REGISTRY_URL'))
const leadKey = readLeadKey(required('MILLRACE_LEAD_KEY'))
const run = randomUUID().replaceAll('-', '')

/** Texts that occur nowhere else. */
function personOf(name: string) {
  return {
    first_name: `First${name}${run}`,
    last_name: `Last${name}${run}`,
    email: `${name}.${run}@pii.example`,
    phone: `+49 (${name === 'gone' ? 30 : 40}) ${String(Number.parseInt(run.slice(0, 12), 16)).padStart(15, '0')}`,
    address: `Street of ${name} ${run}`,
    city: `City${name}${run}`,
    attributes: { note: `Note${name}${run}` },
  }
}

const person = personOf('gone')
const control = personOf('kept')
const { attributes: note, ...personal } = person

let user: GatewayClient
let admin: GatewayClient

beforeAll(async () => {
  user = await GatewayClient.as('user')
  admin = await GatewayClient.as('admin')
})
afterAll(async () => {
  await Promise.all([mysql.close(), clickHouse.close()])
})

/** Every text of a person as it might be written: plain, in JSON, in an address, in hexadecimal, in base64. */
function formsOf(texts: readonly string[]): readonly string[] {
  return texts.flatMap((text) => [
    text,
    encodeURIComponent(text),
    Buffer.from(text).toString('hex'),
    Buffer.from(text).toString('base64').replace(/=+$/, '').slice(0, -2),
  ])
}

async function mysqlTexts(): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>()
  const tables = await rowsOf(
    sql`SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()`,
  )
  for (const { name } of tables) {
    const rows = await rowsOf(sql.raw(`SELECT * FROM \`${String(name)}\``))
    texts.set(String(name), rows.map((row) => Object.values(row).map(textOf).join('\u0000')).join('\n'))
  }
  return texts
}

async function rowsOf(statement: ReturnType<typeof sql>): Promise<Record<string, unknown>[]> {
  const result: unknown = await mysql.run('dumping', (database) => database.execute(statement))
  return Array.isArray(result) && Array.isArray(result[0]) ? result[0] : []
}

/** Columns of bytes both as they are and in hexadecimal. */
function textOf(value: unknown): string {
  if (Buffer.isBuffer(value)) return `${value.toString('latin1')} ${value.toString('utf8')}`
  return value instanceof Date ? value.toISOString() : String(value)
}

/** Tables of ClickHouse that have any of the texts in any row, however it is written. */
async function clickHouseFinds(texts: readonly string[]): Promise<readonly string[]> {
  const found: string[] = []
  const tables = await clickHouse.query('listing tables', {
    sql: "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine NOT LIKE '%View'",
  })
  for (const { name } of tables) {
    const any = texts.map((text) => `'${text.replaceAll("'", "\\'")}'`).join(',')
    const [counted] = await clickHouse.query('searching', {
      sql: `SELECT toUInt32(countIf(multiSearchAny(toString(tuple(*)), [${any}]))) AS found, toUInt32(count()) AS rows FROM \`${String(name)}\``,
    })
    if (Number(counted?.found) > 0) found.push(String(name))
  }
  return found
}

interface Found {
  readonly key: string
  readonly value: Buffer
  readonly text: string
}

async function recordsOf(topic: TopicName): Promise<readonly Found[]> {
  const found: Found[] = []
  await readPlain(broker, topic, (cursor) => {
    const part = (start: number, end: number) =>
      Buffer.from(cursor.bytes.subarray(Math.max(start, 0), Math.max(end, 0)))
    const value = part(cursor.valueStart, cursor.valueEnd)
    const key = part(cursor.keyStart, cursor.keyEnd).toString()
    found.push({
      key,
      value,
      text: `${key}\n${value.toString('latin1')}\n${value.toString('utf8')}\n${headersOf(cursor)}`,
    })
  })
  return found
}

function headersOf(cursor: RecordCursor): string {
  return cursor
    .headers()
    .map(({ key, value }) => `${String(key)}=${String(value)}`)
    .join('\n')
}

function logsOfTheStack(): string {
  const folder = join(required('MILLRACE_STATE_DIR'), '..', 'logs')
  const files = globSync('**/*', { cwd: folder, withFileTypes: true }).filter((entry) => entry.isFile())
  return files.map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'utf8')).join('\n')
}

/** Where any of the texts is to be found. */
async function placesWith(texts: readonly string[]): Promise<readonly string[]> {
  const forms = formsOf(texts)
  const has = (text: string) => forms.some((form) => text.includes(form))
  const places: string[] = []
  for (const [table, text] of await mysqlTexts()) if (has(text)) places.push(`mysql ${table}`)
  for (const table of await clickHouseFinds(forms)) places.push(`clickhouse ${table}`)
  for (const topic of ['leads', 'leads.dlq', 'api-logs', 'lead-outcomes'] as const) {
    if ((await recordsOf(topic)).some(({ text }) => has(text))) places.push(`kafka ${topic}`)
  }
  if (has(logsOfTheStack())) places.push('logs')
  return places
}

/** What somebody gets who has the topic, the master key and all that is left in the table of keys. */
async function addressesOf(leadId: string, topic: TopicName = 'leads'): Promise<readonly string[]> {
  const codec = await registry.codecFor('leads', 'lead')
  const addresses: string[] = []
  for (const { key, value } of await recordsOf(topic)) {
    if (key !== leadId) continue
    const { key_tree: tree, key_leaf: leaf, sealed } = codec.decode(value)
    if (tree === null || leaf === null || sealed === null) throw new Error('a record is not sealed')
    const place = { tree, leaf }
    const found = await mysql.run('reading', async (database) =>
      (await findKeys(database, leadKey, [place])).keyOf(place),
    )
    const opened = typeof found === 'string' ? undefined : openContents({ leadId, ...place, sealed }, found)
    addresses.push(opened?.email ?? String(found))
  }
  return addresses
}

/** A lead that MySQL refuses, sealed as the gateway seals; and a record that is none. Both go to the dead letters. */
async function produceRefused(): Promise<Lead> {
  const leaves = new LeafSource(createLeadTreeStore(mysql, leadKey), leadKey)
  await leaves.hold(treesHeld)
  const key = leaves.take()
  if (key === undefined) throw new Error('there is no key')
  const rest = { date_of_birth: null, postal_code: null, country: null, source: 'e2e', consent: true }
  const refused = sealLead(
    {
      ...personal,
      ...rest,
      lead_id: randomUUID(),
      campaign: 'x'.repeat(256),
      attributes: JSON.stringify(note),
      content_hash: 'a'.repeat(64),
      submitted_by: 'e2e',
      request_id: randomUUID(),
      received_at: Date.now(),
    },
    leadKey,
    key,
  )
  const codec = await registry.codecFor('leads', 'lead')
  const admin_ = await broker.openAdmin()
  const partitions = (await admin_.describeTopics(['leads'])).get('leads')?.partitions ?? 1
  await admin_.close()
  const producer = await broker.openProducer({ clientId: 'erasure-test' })
  try {
    const recordOf = (id: string, value: Buffer) => {
      const bytes = Buffer.from(id)
      return {
        topic: 'leads',
        partition: defaultPartition(bytes, partitions),
        key: bytes,
        value,
        timestamp: Date.now(),
      }
    }
    await producer.send([
      recordOf(refused.lead_id, codec.encode(refused)),
      recordOf(`poison-${run}`, Buffer.from(`\u0001poison of ${run}`)),
    ])
  } finally {
    await producer.close()
  }
  return refused
}

describe('a lead that is erased', () => {
  it('is nowhere any more, by nobody to be read, and who erased it is known', async () => {
    const key = { 'idempotency-key': run }
    const sent = await user.post('/api/v1/lead/process', { ...person, source: 'e2e' }, key)
    expect(sent.status, sent.text).toBe(201)
    const leadId: string = sent.body.lead_id
    // A copy, sealed with another key.
    expect((await user.post('/api/v1/lead/process', { ...person, source: 'e2e' }, key)).body.outcome).toBe('duplicate')
    const other = await user.post('/api/v1/lead/process', { ...control, source: 'e2e' })
    const refused = await produceRefused()
    await eventually(
      lateMs,
      () => recordsOf('leads.dlq'),
      (letters) => {
        const keys = letters.map((letter) => letter.key)
        expect(keys).toEqual(expect.arrayContaining([refused.lead_id, `poison-${run}`]))
      },
    )
    await eventually(
      lateMs,
      async () => (await admin.get(`/api/v1/leads/${refused.lead_id}`)).body,
      (found) => expect(found.status).toBe('rejected'),
    )

    // Before: it can be read and found, and is nowhere in the clear but in the attributes, which are asked for.
    expect((await admin.get(`/api/v1/leads/${leadId}`)).body).toMatchObject({ ...personal, attributes: note })
    for (const query of [`email=${encodeURIComponent(person.email)}`, `phone=${encodeURIComponent(person.phone)}`]) {
      expect((await admin.get(`/api/v1/leads?${query}`)).body.total).toBe(1)
    }
    expect(await placesWith(Object.values(personal))).toEqual([])
    expect(await placesWith(Object.values(note))).toEqual(['mysql leads'])
    expect(await addressesOf(leadId)).toEqual([person.email, person.email])
    expect(await addressesOf(refused.lead_id, 'leads.dlq')).toEqual([person.email])

    const erasure = await admin.delete(`/api/v1/leads/${leadId}`)
    expect([erasure.status, erasure.body.status]).toEqual([200, 'erased'])
    expect((await admin.delete(`/api/v1/leads/${refused.lead_id}`)).status).toBe(200)

    // After: nothing, however one looks, and every other lead as before.
    expect(await placesWith([...Object.values(personal), ...Object.values(note)])).toEqual([])
    expect(await addressesOf(leadId)).toEqual(['destroyed', 'destroyed'])
    for (const topic of ['leads', 'leads.dlq'] as const) {
      expect(await addressesOf(refused.lead_id, topic)).toEqual(['destroyed'])
    }
    expect(await addressesOf(other.body.lead_id)).toEqual([control.email])
    expect((await admin.get(`/api/v1/leads/${other.body.lead_id}`)).body).toMatchObject(control)
    expect((await admin.get(`/api/v1/leads/${leadId}`)).body).toMatchObject({
      status: 'erased',
      email: null,
      attributes: {},
    })
    expect((await admin.get(`/api/v1/leads?email=${encodeURIComponent(person.email)}`)).body.total).toBe(0)

    const [account] = await rowsOf(sql`SELECT id FROM users WHERE username = 'admin'`)
    const at = erasure.body.erased_at.replace('T', ' ').replace('Z', '')
    expect(await rowsOf(sql`SELECT action, actor, at FROM audit_log WHERE subject = ${leadId}`)).toEqual([
      { action: 'lead_erased', actor: account?.id, at },
    ])
    // A copy that comes later is of nobody, and its key goes, too.
    const late = await user.post('/api/v1/lead/process', { ...person, source: 'e2e' }, key)
    expect([late.status, late.body.outcome]).toEqual([422, 'erased'])
    expect(new Set(await addressesOf(leadId))).toEqual(new Set(['destroyed']))
  })
})
