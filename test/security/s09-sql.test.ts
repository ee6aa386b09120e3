import { randomUUID } from 'node:crypto'
import { type ClickHouse, openClickHouse } from '@millrace/storage/clickhouse'
import { StorageError } from '@millrace/storage/mysql'
import fc from 'fast-check'
import mysql from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { GatewayDeps } from '../../services/gateway/src/app.ts'
import { eventually, GatewayClient, required } from '../e2e/gateway-client.ts'
import { type Answer, attackGateway } from './attacked-gateway.ts'
import { mustFail } from './proof.ts'

/** The same cases in every run; another number brings others. */
const seed = 20_261_121
const run = randomUUID().slice(0, 8)

const classics = [
  "'",
  '"',
  '`',
  '\\',
  "\\'",
  "' OR '1'='1",
  "' OR 1=1 -- ",
  "' OR 1=1 #",
  "') OR ('1'='1",
  "'; DROP TABLE leads; -- ",
  "' UNION SELECT username, password_hash FROM users -- ",
  "' UNION ALL SELECT * FROM system.users -- ",
  "' AND SLEEP(5) -- ",
  "' AND (SELECT 1 FROM (SELECT COUNT(*), CONCAT(version(), FLOOR(RAND(0)*2)) x FROM information_schema.tables GROUP BY x) y) -- ",
  "1' ORDER BY 100 -- ",
  "'||(SELECT version())||'",
  "' INTO OUTFILE '/tmp/x' -- ",
  "' FORMAT CSV -- ",
  "x' SETTINGS max_execution_time=0 -- ",
  '{user_id:String}',
  '{x:Identifier}',
  ':email',
  '?',
  '??',
  '@@version',
  '/*!50000 OR 1=1 */',
  '%',
  '_',
  '%%',
  '\\%',
  'a\u0000b',
  '\u02bc OR 1=1',
  '\u{ff07} OR 1=1 -- ',
  '¿\u0027 OR 1=1 -- ',
]
const pieces = [
  "'",
  '"',
  '`',
  '\\',
  '--',
  '#',
  '/*',
  '*/',
  ';',
  '(',
  ')',
  ',',
  ' OR ',
  ' AND ',
  '1=1',
  ' UNION SELECT ',
]
const texts = fc
  .array(fc.oneof(fc.constantFrom(...pieces, '%', '_', '{x:String}', '?', '\n', 'ü'), fc.string({ maxLength: 4 })), {
    minLength: 1,
    maxLength: 8,
  })
  .map((parts) => parts.join(''))

/** Users and addresses that are there, and that look like what is asked for. */
const users = ["o'brien", 'a"b', 'back\\slash', '100%', 'under_score', '; DROP TABLE x', '--', '/* x */'].map(
  (name) => `${name} ${run}`,
)
const emails = ["o'brien", 'a%b', 'a_b', 'a--b', 'a;b', 'a#b', 'a/*b*/', 'a`b'].map(
  (name) => `${name}-${run}@x.example`,
)

type Ask = (path: string) => Promise<Answer>
let ask: Ask
let database: mysql.Connection
let clickHouse: ClickHouse

beforeAll(async () => {
  database = await mysql.createConnection({
    host: required('MILLRACE_MYSQL_HOST'),
    port: Number(required('MILLRACE_MYSQL_PORT')),
    user: required('MILLRACE_MYSQL_USER'),
    password: required('MILLRACE_MYSQL_PASSWORD'),
    database: required('MILLRACE_MYSQL_DATABASE'),
  })
  clickHouse = openClickHouse({
    url: required('MILLRACE_CLICKHOUSE_URL'),
    user: required('MILLRACE_CLICKHOUSE_USER'),
    password: required('MILLRACE_CLICKHOUSE_PASSWORD'),
    database: required('MILLRACE_CLICKHOUSE_DATABASE'),
  })
  const admin = await GatewayClient.as('admin')
  ask = (path) => admin.get(path)
  const events = users.map((user_id, i) => ({
    event_id: `${run}-${i}`,
    user_id,
    event_type: `sql_${run}`,
    timestamp: Date.now() - i * 1_000,
    metadata: {},
  }))
  expect((await admin.post('/events', events)).status).toBe(202)
  await eventually(
    60_000,
    () => admin.get(`/events?limit=1000&event_type=sql_${run}`),
    ({ body, text }) => expect(body.events, text).toHaveLength(users.length),
  )
  for (const email of emails) {
    const answer = await admin.post('/api/v1/lead/process', {
      first_name: 'Ada',
      last_name: 'Lovelace',
      email,
      campaign: run,
    })
    expect([email, answer.status]).toEqual([email, 201])
  }
})
afterAll(async () => {
  await database?.end()
  await clickHouse?.close()
})

const query = (path: string, name: string, value: string) => `${path}${name}=${encodeURIComponent(value)}`

/** Rows that match, or a fault of the client; never a fault of ours, and no word of a database. */
function expectQuiet(answer: Answer, what: string): void {
  expect([200, 400, 404, 414], what).toContain(answer.status)
  if (answer.status !== 200) {
    expect(JSON.stringify(answer.body), what).not.toMatch(
      /syntax|SELECT .* FROM|DB::|mariadb|mysql|clickhouse|sqlstate/i,
    )
  }
}

/** Asks for one value in every filter, and compares the rows with those that were written under exactly this value. */
async function askFor(send: Ask, value: string): Promise<void> {
  const what = JSON.stringify(value)
  const byUser = await send(query(`/events?limit=1000&event_type=sql_${run}&`, 'user_id', value))
  expectQuiet(byUser, `user_id=${what}`)
  if (byUser.status === 200) {
    const found = byUser.body.events.map((event: { user_id: string }) => event.user_id)
    expect(found, what).toEqual(users.filter((user) => user === value))
  }
  const byType = await send(query('/events?', 'event_type', value))
  expectQuiet(byType, `event_type=${what}`)
  if (byType.status === 200) expect(byType.body.events, what).toEqual([])
  const byEmail = await send(query('/api/v1/leads?', 'email', value))
  expectQuiet(byEmail, `email=${what}`)
  if (byEmail.status === 200) {
    const found = byEmail.body.leads.map((lead: { email: string }) => lead.email)
    expect(found, what).toEqual(emails.filter((email) => email === value))
  }
}

/** Asks for one value where only some are allowed. */
async function askWith(send: Ask, value: string): Promise<void> {
  const targets = [
    ...['limit', 'from', 'to', 'cursor'].map((name) => ['/events?', name] as const),
    ...['limit', 'page', 'from', 'to', 'cursor', 'sort', 'status'].map((name) => ['/api/v1/leads?', name] as const),
    ...['time_interval', 'from', 'to', 'limit', 'event_type'].map((name) => ['/stats?', name] as const),
  ]
  for (const [path, name] of targets) {
    const answer = await send(query(path, name, value))
    expectQuiet(answer, `${path}${name}=${JSON.stringify(value)}`)
    // A status and a type that nobody has find nothing; anything else is no value at all.
    if (answer.status === 200) {
      expect([name, answer.body.leads ?? answer.body.windows]).toEqual([name, []])
      expect(['status', 'event_type']).toContain(name)
    }
  }
  for (const path of ['/events/', '/api/v1/leads/']) {
    const isEvent = path === '/events/'
    const answer = await send(`${path}${encodeURIComponent(value)}${isEvent ? '/receipt' : ''}`)
    expectQuiet(answer, `${path}${JSON.stringify(value)}`)
    expect(answer.status, value).not.toBe(200)
  }
}

/** How a careless gateway would ask. */
function pasting(): Partial<GatewayDeps> {
  const none = { total: 0, totalIsExact: true, nextCursor: null }
  return {
    leadStore: {
      async list({ email }) {
        try {
          const [rows] = await database.query<mysql.RowDataPacket[]>(
            `SELECT lead_id FROM leads WHERE email_hash = '${email}'`,
          )
          return { ...none, leads: [], total: rows.length }
        } catch (cause) {
          throw new StorageError('UNAVAILABLE', 'the query failed', { cause })
        }
      },
      byId: async () => undefined,
      historyOf: async () => [],
    },
    eventStore: {
      async page({ userId = '' }) {
        const sql = `SELECT event_id, user_id FROM events WHERE event_type = 'sql_${run}' AND user_id = '${userId}'`
        const rows = await clickHouse.query('pasting', { sql })
        const event = { eventType: `sql_${run}`, timestampMs: 0, value: null, metadata: '{}' }
        const events = rows.map((row) => ({ ...event, eventId: String(row.event_id), userId: String(row.user_id) }))
        return { events, nextCursor: null }
      },
      receipts: async () => [],
      storedSince: async () => [],
    },
  }
}

describe('S09 SQL in parameters', () => {
  it('finds what is written so, and nothing else', async () => {
    for (const value of [...users, ...emails, ...classics]) await askFor(ask, value)
  })

  it('proof: pasted into queries, it would break them or find more', async () => {
    await attackGateway(async (gateway) => {
      const send: Ask = (path) => gateway.ask(path, { role: 'admin' })
      for (const value of ["' OR '1'='1", "'", users[0] ?? '']) await mustFail(() => askFor(send, value))
    }, pasting())
  })

  it('is no number, time, cursor, order or id', async () => {
    for (const value of classics) await askWith(ask, value)
    for (const sort of ['email', 'lead_id', 'received_at desc', 'received_at,email', '-email', '(select 1)', '1']) {
      expect((await ask(query('/api/v1/leads?', 'sort', sort))).status).toBe(400)
    }
  })

  it(`in any mixture finds nothing (seed ${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(texts, (value) => askFor(ask, value)),
      { seed, numRuns: 60 },
    )
  })

  it('leaves the tables as they were', async () => {
    const [rows] = await database.execute<mysql.RowDataPacket[]>('SELECT lead_id FROM leads WHERE campaign = ?', [run])
    const leads = await Promise.all(rows.map(({ lead_id }) => ask(`/api/v1/leads/${lead_id}`)))
    expect(leads.map(({ body }) => body.email).sort()).toEqual([...emails].sort())
    const found = await ask(`/events?event_type=sql_${run}&limit=1000`)
    expect(found.body.events).toHaveLength(users.length)
  })
})
