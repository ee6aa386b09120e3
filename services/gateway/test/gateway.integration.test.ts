import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import type { EventStats, LeadOutcome } from '@millrace/schemas'
import { createStatsRepository } from '@millrace/storage/clickhouse'
import { createLeadIntake } from '@millrace/storage/mysql'
import { readLeadKey } from '@millrace/storage/sealing'
import { defaultPartition } from '@millrace/streams/kafka'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createStatsStore } from '../src/stats/stats-store.ts'
import { launchGateway, type RunningGateway, seedAccounts, startGateway } from './running-gateway.ts'
import { openServers, type RealServers, required } from './servers.ts'

let servers: RealServers
let gateway: RunningGateway
const tokens = new Map<string, string>()
const run = randomUUID().slice(0, 8)

beforeAll(async () => {
  servers = await openServers()
  expect(await seedAccounts()).toMatchObject({ code: 0 })
  gateway = await startGateway()
  const passwords = { admin: 'password', user: 'password123', api_user: 'api123', analyst: 'analyst123' }
  for (const [username, password] of Object.entries(passwords)) {
    const answer = await send('POST', '/api/v1/login', { body: { username, password } })
    expect([username, answer.status]).toEqual([username, 200])
    tokens.set(username, answer.json.token)
  }
})

afterAll(async () => {
  await gateway?.stop()
  await servers?.close()
})

interface Answer {
  readonly status: number
  readonly headers: Headers
  // What an API answers is what these tests are to find out.
  readonly json: ReturnType<typeof JSON.parse>
}

async function send(
  method: string,
  path: string,
  options: { as?: string; body?: unknown; headers?: Record<string, string>; to?: string } = {},
): Promise<Answer> {
  const { as, body, headers = {}, to = gateway.url } = options
  const answer = await fetch(to + path, {
    method,
    headers: {
      ...(as === undefined ? {} : { authorization: `Bearer ${tokens.get(as)}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await answer.text()
  return { status: answer.status, headers: answer.headers, json: text === '' ? undefined : JSON.parse(text) }
}

describe('a fresh gateway', () => {
  it('is healthy, with every dependency in sight', async () => {
    const { status, json } = await send('GET', '/api/v1/health')
    expect(status).toBe(200)
    expect(json.status).toBe('ok')
    expect(Object.keys(json.checks)).toEqual([
      'kafka',
      'schema-registry',
      'clickhouse',
      'mysql',
      'stats-view',
      'lead-fields',
      'lead-keys',
    ])
  })

  it('knows its accounts and their roles', async () => {
    for (const [username, role] of [
      ['admin', 'admin'],
      ['user', 'user'],
      ['api_user', 'producer'],
      ['analyst', 'analyst'],
    ]) {
      const { json } = await send('GET', '/api/v1/user/profile', { as: username ?? '' })
      expect(json).toMatchObject({ username, role })
    }
    expect((await send('POST', '/api/v1/login', { body: { username: 'admin', password: 'guess' } })).status).toBe(401)
    expect((await send('GET', '/api/v1/leads')).status).toBe(401)
    expect((await send('GET', '/api/v1/leads', { as: 'user' })).status).toBe(403)
  })

  it('describes itself without anybody else’s help', async () => {
    const page = await fetch(`${gateway.url}/docs/`)
    expect(page.status).toBe(200)
    expect(await page.text()).toContain('js/scalar.js')
    expect((await fetch(`${gateway.url}/docs/js/scalar.js`)).headers.get('content-type')).toContain('javascript')
  })
})

describe('events', () => {
  it('answered with 202 are in Kafka, each once, as they were sent', async () => {
    const inKafka = await servers.collect('events', 'event', 'latest')
    const events = Array.from({ length: 1_000 }, (_, i) => ({
      event_id: `${run}-${i}`,
      user_id: `user-${i % 37}-ü`,
      event_type: `type-${i % 5}`,
      timestamp: 1_700_000_000 + i,
      metadata: { value: i / 4, text: 'naïve 😀 "quoted"', nested: [{ i }] },
    }))
    const array = await send('POST', '/events', { as: 'api_user', body: events.slice(0, 500) })
    expect([array.status, array.json]).toEqual([202, { accepted: 500, rejected: [], durability: 'kafka' }])
    const lines = events
      .slice(500)
      .map((event) => JSON.stringify(event))
      .join('\n')
    const ndjson = await send('POST', '/api/v1/events', {
      as: 'admin',
      body: lines,
      headers: { 'content-type': 'application/x-ndjson' },
    })
    expect([ndjson.status, ndjson.json.accepted]).toEqual([202, 500])

    const ours = () => inKafka.records.filter(({ value }) => value.event_id.startsWith(run))
    await expect.poll(() => ours().length, { timeout: 30_000 }).toBe(1_000)
    const byId = new Map(ours().map((record) => [record.value.event_id, record]))
    expect(byId.size).toBe(1_000)
    for (const event of events) {
      const record = byId.get(event.event_id)
      expect(record?.partition).toBe(defaultPartition(Buffer.from(event.user_id), 4))
      expect(record?.value).toMatchObject({
        user_id: event.user_id,
        event_type: event.event_type,
        timestamp: event.timestamp * 1_000,
        value: event.metadata.value,
        metadata: JSON.stringify(event.metadata),
      })
    }
    await inKafka.follower.close()
  })

  it('that are refused are not', async () => {
    const inKafka = await servers.collect('events', 'event', 'latest')
    const bad = { event_id: `${run}-bad`, user_id: 7, event_type: 'a@b', timestamp: 'now' }
    const refused = await send('POST', '/events', { as: 'api_user', body: [bad] })
    expect(refused.status).toBe(400)
    expect(refused.headers.get('content-type')).toBe('application/problem+json')
    expect(refused.json.errors.map((fault: { pointer: string }) => fault.pointer)).toEqual([
      '/0/user_id',
      '/0/event_type',
      '/0/timestamp',
      '/0/metadata',
    ])
    const good = { ...bad, event_id: `${run}-good`, user_id: 'u', event_type: 'a', timestamp: 1, metadata: {} }
    await send('POST', '/events', { as: 'api_user', body: good })
    await expect.poll(() => inKafka.records.some(({ value }) => value.event_id === good.event_id)).toBe(true)
    expect(inKafka.records.some(({ value }) => value.event_id === bad.event_id)).toBe(false)
    await inKafka.follower.close()
  })

  it('are read back from ClickHouse, page by page', async () => {
    const user = `reader-${run}`
    const rows = Array.from({ length: 25 }, (_, i) => {
      const time = `fromUnixTimestamp64Milli(${1_700_000_000_000 + i * 1_000})`
      return `('${run}-r${i}', '${user}', 'read', ${time}, ${i}, '{"n": ${i}.0}', ${time}, 'test', 0, ${i})`
    })
    await servers.clickHouse.command(
      'inserting',
      `INSERT INTO events SETTINGS async_insert=0 VALUES ${rows.join(', ')}`,
    )
    const seen: string[] = []
    let cursor: string | null = ''
    for (let pages = 0; cursor !== null && pages < 10; pages++) {
      const next: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
      const { status, json } = await send('GET', `/events?user_id=${user}&limit=10${next}`, { as: 'analyst' })
      expect(status).toBe(200)
      seen.push(...json.events.map((event: { event_id: string }) => event.event_id))
      cursor = json.next_cursor
    }
    expect(seen).toEqual(Array.from({ length: 25 }, (_, i) => `${run}-r${24 - i}`))
    const some = await send('GET', `/events?user_id=${user}&event_type=read&from=1700000005&to=1700000007000`, {
      as: 'analyst',
    })
    expect(some.json.events).toMatchObject([
      {
        event_id: `${run}-r6`,
        timestamp: 1_700_000_006_000,
        occurred_at: '2023-11-14T22:13:26.000Z',
        value: 6,
        metadata: { n: 6 },
      },
      { event_id: `${run}-r5` },
    ])
    expect((await send('GET', '/events?cursor=nonsense', { as: 'analyst' })).status).toBe(400)
  })
})

describe('statistics', () => {
  const type = `stats-${run}`
  const startMs = 1_700_000_000_000

  function stats(window: number, change: Partial<EventStats> = {}): { key: string; value: EventStats } {
    const window_start = startMs + window * 60_000
    const numbers = { count: 4, value_count: 2, sum: 3, avg: 1.5, min: 1, max: 2 }
    const times = { window_start, window_end: window_start + 60_000, updated_at: Date.now() }
    return { key: type, value: { event_type: type, interval: '1m', ...times, ...numbers, final: false, ...change } }
  }

  const get = (query: string, to?: string) =>
    send('GET', `/stats?event_type=${type}&time_interval=1m${query}`, {
      as: 'analyst',
      ...(to === undefined ? {} : { to }),
    })

  it('show the last state of every window within a moment', async () => {
    await servers.produce('stats', 'event-stats', [stats(0), stats(1), stats(0, { count: 9, final: true })])
    const counts = async () => (await get('&from=0')).json.windows.map((window: EventStats) => window.count)
    await expect.poll(counts, { timeout: 30_000 }).toEqual([9, 4])
    expect((await get('&from=0')).json).toMatchObject({
      source: 'memory',
      truncated: false,
      windows: [{ final: true }, { final: false, avg: 1.5 }],
    })
  })

  it('reach back into ClickHouse, from either end', async () => {
    const rows = Array.from({ length: 5 }, (_, i) => {
      const time = (ms: number) => `fromUnixTimestamp64Milli(${ms})`
      const start = startMs + i * 60_000
      return `('${type}-old', '1m', ${time(start)}, ${time(start + 60_000)}, ${i}, 1, 2, 2, NULL, 3.5, true, ${time(start)}, 0, ${i})`
    })
    await servers.clickHouse.command('inserting', `INSERT INTO stats SETTINGS async_insert=0 VALUES ${rows.join(', ')}`)
    const store = createStatsStore(createStatsRepository(servers.clickHouse))
    const range = { eventType: `${type}-old`, interval: '1m' as const, fromMs: 0, toMs: Date.now(), limit: 3 }
    const counts = async (keep: 'oldest' | 'newest') =>
      (await store.range({ ...range, keep })).map(({ count }) => count)
    expect(await counts('oldest')).toEqual([0, 1, 2])
    expect(await counts('newest')).toEqual([2, 3, 4])
    expect(await store.range({ ...range, keep: 'oldest', limit: 1 })).toMatchObject([
      { avg: 2, min: null, max: 3.5, final: true },
    ])
  })

  it('stream, and go on with another gateway where one was lost', async () => {
    const first = await openStream(gateway.url, `event_type=${type}`)
    await first.until('event: ready')
    await servers.produce('stats', 'event-stats', [stats(2, { count: 21 })])
    await first.until('"count":21')
    const lastId = [...first.text().matchAll(/^id: (.+)$/gm)].at(-1)?.[1] ?? ''
    first.close()

    await servers.produce('stats', 'event-stats', [stats(2, { count: 22 })])
    const other = await startGateway()
    const second = await openStream(other.url, `event_type=${type}`, { 'last-event-id': lastId })
    await servers.produce('stats', 'event-stats', [stats(2, { count: 23 })])
    await second.until('"count":23')
    expect([...second.text().matchAll(/"count":(\d+)/g)].map(([, count]) => count)).toEqual(['22', '23'])
    expect(second.text()).not.toContain('reset')

    // The stream is still open: a gateway that closes ends it, and does not wait for it.
    expect(await other.stop()).toBe(0)
    await second.ended
  })

  async function openStream(url: string, query: string, headers: Record<string, string> = {}) {
    const abort = new AbortController()
    const authorization = `Bearer ${tokens.get('analyst')}`
    const answer = await fetch(`${url}/stats/stream?${query}`, {
      headers: { authorization, ...headers },
      signal: abort.signal,
    })
    expect(answer.headers.get('content-type')).toContain('text/event-stream')
    let text = ''
    const ended = (async () => {
      const decoder = new TextDecoder()
      try {
        for await (const chunk of answer.body ?? []) text += decoder.decode(chunk, { stream: true })
      } catch (error) {
        if (!abort.signal.aborted) throw error
      }
    })()
    return {
      text: () => text,
      until: (wanted: string) => expect.poll(() => text, { timeout: 30_000 }).toContain(wanted),
      ended,
      close: () => abort.abort(),
    }
  }
})

describe('leads', () => {
  const lead = {
    first_name: 'Zoë',
    last_name: 'O’Hara',
    email: `${run}@example.com`,
    country: 'IE',
    attributes: { shoe: 42 },
  }

  /** Does what the sink does: stores leads, and publishes what became of them. */
  async function standInForTheSink() {
    const intake = createLeadIntake(servers.mysql, readLeadKey(required('MILLRACE_LEAD_KEY')))
    const group = `gateway-test-${randomUUID()}`
    const submitted = await servers.collect('leads', 'lead', 'latest')
    let last = Promise.resolve()
    let offset = 0
    submitted.onRecord = (value) => {
      last = last.then(async () => {
        const at = offset++
        const range = {
          group,
          topic: 'leads',
          partition: 0,
          firstOffset: at,
          nextOffset: at + 1,
          settledOffset: at,
        }
        const [decision] = await intake.storeBatch(range, [{ offset: at, value }])
        if (decision === undefined) throw new Error('no decision')
        const outcome: LeadOutcome = {
          lead_id: value.lead_id,
          request_id: value.request_id,
          outcome: decision.outcome,
          reason: decision.reason,
          duplicate_of: decision.duplicateOf,
          decided_at: Date.now(),
        }
        await servers.produce('lead-outcomes', 'lead-outcome', [{ key: value.lead_id, value: outcome }])
      })
    }
    return {
      submitted,
      close: async () => {
        await last
        await submitted.follower.close()
      },
    }
  }

  it('are answered with what the database made of them', async () => {
    const sink = await standInForTheSink()
    const process = (body: object, key = `key-${run}`) =>
      send('POST', '/api/v1/lead/process', { as: 'user', body, headers: { 'idempotency-key': key } })

    const first = await process(lead)
    expect([first.status, first.json.outcome]).toEqual([201, 'stored'])
    const again = await process(lead)
    expect([again.status, again.json]).toEqual([
      200,
      { lead_id: first.json.lead_id, outcome: 'duplicate', duplicate_of: first.json.lead_id },
    ])
    const other = await process({ ...lead, first_name: 'Zoe' })
    expect([other.status, other.json.code]).toEqual([422, 'LEAD_CONFLICT'])
    expect(other.json.lead_id).toBe(first.json.lead_id)

    const one = await send('GET', `/api/v1/leads/${first.json.lead_id}`, { as: 'admin' })
    expect(one.json).toMatchObject({ ...lead, lead_id: first.json.lead_id, status: 'stored' })
    const list = await send('GET', `/api/v1/leads?email=${encodeURIComponent(lead.email)}`, { as: 'admin' })
    expect(list.json).toMatchObject({ total: 1, page: 1, leads: [{ lead_id: first.json.lead_id }] })
    await sink.close()
  })

  it('are pending, not lost and not stored, while nobody decides', async () => {
    const slow = await startGateway({ MILLRACE_LEAD_OUTCOME_TIMEOUT_MS: '300' })
    const submitted = await servers.collect('leads', 'lead', 'latest')
    const answer = await send('POST', '/api/v1/lead/process', { as: 'user', body: lead, to: slow.url })
    expect([answer.status, answer.json.code]).toEqual([504, 'OUTCOME_PENDING'])
    await expect.poll(() => submitted.records.map(({ value }) => value.lead_id)).toContain(answer.json.lead_id)
    await submitted.follower.close()
    await slow.stop()
  })

  it('in bulk are all in Kafka, under the ids that were answered', async () => {
    const submitted = await servers.collect('leads', 'lead', 'latest')
    const leads = Array.from({ length: 200 }, (_, i) => ({ ...lead, email: `${i}-${lead.email}` }))
    const answer = await send('POST', '/api/v1/leads/process-bulk', {
      as: 'user',
      body: { leads: [...leads, { email: 1 }] },
    })
    expect([answer.status, answer.json.accepted, answer.json.rejected]).toEqual([207, 200, 1])
    const ids: string[] = answer.json.results.slice(0, 200).map((item: { lead_id: string }) => item.lead_id)
    const inKafka = () => new Set(submitted.records.map(({ value }) => value.lead_id))
    await expect.poll(() => ids.every((id) => inKafka().has(id)), { timeout: 30_000 }).toBe(true)
    await submitted.follower.close()
  })
})

describe('the log of the API', () => {
  it('is in Kafka with one entry for each request', async () => {
    const logs = await servers.collect('api-logs', 'api-log', 'latest')
    const answers = [
      await send('GET', '/api/v1/user/profile', { as: 'analyst' }),
      await send('GET', '/api/v1/leads', { as: 'analyst' }),
      await send('GET', '/nothing'),
    ]
    const ids = answers.map((answer) => answer.headers.get('x-request-id'))
    const entries = () => ids.map((id) => logs.records.find(({ value }) => value.request_id === id)?.value)
    await expect.poll(() => entries().every((entry) => entry !== undefined), { timeout: 30_000 }).toBe(true)
    expect(entries()).toMatchObject([
      { route: '/api/v1/user/profile', status: 200, role: 'analyst', error_code: null },
      { route: '/api/v1/leads', status: 403, error_code: 'FORBIDDEN' },
      { route: '(unknown)', status: 404, principal: null },
    ])
    await logs.follower.close()
  })
})

describe('broken HTTP', () => {
  async function raw(text: string): Promise<string> {
    const { port } = new URL(gateway.url)
    const socket = connect(Number(port), '127.0.0.1')
    socket.setEncoding('utf8').end(text)
    let answer = ''
    for await (const chunk of socket) answer += chunk
    return answer
  }

  it.each([
    ['garbage', 'what is this\r\n\r\n', '400 Bad Request', 'BAD_REQUEST'],
    [
      'two lengths',
      'POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      '400 Bad Request',
      'BAD_REQUEST',
    ],
    [
      'length and chunks',
      'POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      '400 Bad Request',
      'BAD_REQUEST',
    ],
    [
      'headers without end',
      `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
      '431 Request Header Fields Too Large',
      'HEADERS_TOO_LARGE',
    ],
  ])('with %s is a problem too', async (_, text, status, code) => {
    const answer = await raw(text)
    expect(answer).toContain(`HTTP/1.1 ${status}\r\n`)
    expect(answer).toContain('Content-Type: application/problem+json\r\n')
    expect(answer).toContain(`"code":"${code}"`)
  })
})

describe('starting', () => {
  it('tells every problem of its configuration, and exits with 78', async () => {
    const wrong = launchGateway({
      MILLRACE_JWT_SECRET: 'short',
      MILLRACE_HTTP_PORT: 'x',
      MILLRACE_REGISTRY_URL: 'ftp://x',
    })
    await wrong.closed
    expect(wrong.process.exitCode).toBe(78)
    for (const name of ['MILLRACE_JWT_SECRET', 'MILLRACE_HTTP_PORT', 'MILLRACE_REGISTRY_URL'])
      expect(wrong.log()).toContain(name)
  })

  it('waits for Kafka, says so, and can be stopped while it waits', async () => {
    const waiting = launchGateway({ MILLRACE_KAFKA_BROKERS: '127.0.0.1:1' })
    await expect.poll(() => waiting.log(), { timeout: 30_000 }).toContain('"dependency":"Kafka"')
    expect(await waiting.stop()).toBe(0)
  })

  it('refuses to seed known passwords where others could use them', async () => {
    expect(await seedAccounts({ MILLRACE_ENV: 'production' })).toMatchObject({ code: 78 })
    const open = await seedAccounts({ MILLRACE_HTTP_HOST: '0.0.0.0' })
    expect(open.code).toBe(78)
    expect(open.output).toContain('MILLRACE_HTTP_HOST must be a loopback address')
  })
})
