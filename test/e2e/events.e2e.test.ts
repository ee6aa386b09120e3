import { randomUUID } from 'node:crypto'
import { createClient } from '@clickhouse/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { flights } from '../../deploy/local/src/flights.ts'
import { accounts, eventually, GatewayClient, required } from './gateway-client.ts'

const run = randomUUID().slice(0, 8)
/** How long an event takes through the stack, on a busy machine; how quick it is on a quiet one is measured under load. */
const lateMs = 60_000

/** One flight as an event of this test run. */
interface FlightEvent {
  readonly event_id: string
  readonly user_id: string
  readonly event_type: string
  readonly timestamp: number
  readonly metadata: { readonly value: number }
}

const clickhouse = createClient({
  url: required('MILLRACE_CLICKHOUSE_URL'),
  username: required('MILLRACE_CLICKHOUSE_USER'),
  password: required('MILLRACE_CLICKHOUSE_PASSWORD'),
  database: required('MILLRACE_CLICKHOUSE_DATABASE'),
})
afterAll(() => clickhouse.close())

describe('a thousand flights', () => {
  let events: FlightEvent[]
  let analyst: GatewayClient

  beforeAll(async () => {
    // Original times, so the windows are those of 2001; a type of this run, so that other tests do not count into them.
    events = flights(1000).map((flight) => ({
      ...flight,
      event_id: `${run}-${flight.event_id}`,
      event_type: `flight-${run}`,
    }))
    analyst = await GatewayClient.as('analyst')
    const producer = await GatewayClient.as('producer')
    const answer = await producer.post('/events', events)
    expect(answer.status, JSON.stringify(answer.body)).toBe(202)
    expect(answer.body).toMatchObject({ accepted: 1000, rejected: [], durability: 'kafka' })
  })

  it('GET /stats shows their exact counts and averages', async () => {
    const expected = new Map<number, { count: number; sum: number; min: number; max: number }>()
    for (const event of events) {
      const start = Math.floor(event.timestamp / 3_600_000) * 3_600_000
      const value = event.metadata.value
      const window = expected.get(start) ?? { count: 0, sum: 0, min: value, max: value }
      expected.set(start, {
        count: window.count + 1,
        sum: window.sum + value,
        min: Math.min(window.min, value),
        max: Math.max(window.max, value),
      })
    }
    const starts = [...expected.keys()].sort((a, b) => a - b)
    const query = `/stats?event_type=flight-${run}&time_interval=1h&from=${starts[0]}&to=${(starts.at(-1) ?? 0) + 3_600_000}`
    await eventually(
      lateMs,
      () => analyst.get(query),
      ({ status, body }) => {
        expect(status).toBe(200)
        const found = body.windows.map((w: Record<string, number>) => [
          w.window_start,
          { count: w.count, sum: w.sum, min: w.min, max: w.max },
        ])
        expect(found).toEqual(starts.map((start) => [start, expected.get(start)]))
        for (const window of body.windows) expect(window.avg).toBeCloseTo(window.sum / window.count, 9)
      },
    )
  })

  it('GET /events gives every one of them back, and ClickHouse holds 1,000 rows', async () => {
    await eventually(
      lateMs,
      async () => {
        const result = await clickhouse.query({
          query: 'SELECT count() AS n, uniqExact(event_id) AS ids FROM events WHERE event_type = {type:String}',
          query_params: { type: `flight-${run}` },
          format: 'JSONEachRow',
        })
        return (await result.json<{ n: string | number; ids: string | number }>())[0]
      },
      (row) => expect([Number(row?.n), Number(row?.ids)]).toEqual([1000, 1000]),
    )
    const found = new Map<string, Record<string, unknown>>()
    let cursor = ''
    do {
      const { status, body } = await analyst.get(
        `/events?event_type=flight-${run}&limit=300${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
      )
      expect(status, JSON.stringify(body)).toBe(200)
      for (const event of body.events) found.set(event.event_id, event)
      cursor = body.next_cursor ?? ''
    } while (cursor !== '')
    expect(found.size).toBe(1000)
    for (const event of events) {
      const { user_id, event_type, timestamp, metadata } = event
      expect(found.get(event.event_id)).toMatchObject({
        user_id,
        event_type,
        timestamp,
        metadata,
        value: metadata.value,
      })
    }
  })
})

describe('who may do what', () => {
  const event = { event_id: 'e', user_id: 'u', event_type: 't', timestamp: 1_700_000_000, metadata: {} }

  it('no token and a wrong token are 401, a wrong role is 403, as problem+json', async () => {
    const user = await GatewayClient.as('user')
    const answers = [
      await GatewayClient.anonymous().post('/events', event),
      await GatewayClient.withToken('not.a.token').post('/events', event),
      await user.post('/events', event),
    ]
    expect(answers.map((answer) => answer.status)).toEqual([401, 401, 403])
    for (const { headers, body, status } of answers) {
      expect(headers.get('content-type')).toContain('application/problem+json')
      expect(body).toMatchObject({
        status,
        title: expect.any(String),
        code: expect.any(String),
        request_id: expect.any(String),
      })
    }
  })

  it('a bad body is 400, names every faulty field, and nothing of it reaches Kafka', async () => {
    const producer = await GatewayClient.as('producer')
    const eventId = `bad-${run}`
    const answer = await producer.post('/events', { event_id: eventId, user_id: 7, timestamp: 'soon', metadata: [] })
    expect(answer.status).toBe(400)
    const pointers = answer.body.errors.map((error: { pointer: string }) => error.pointer).sort()
    expect(pointers).toEqual(['/event_type', '/metadata', '/timestamp', '/user_id'])

    // A good event sent afterwards arrives; the bad one before it never does.
    const marker = { ...event, event_id: `marker-${run}`, event_type: `marker-${run}` }
    expect((await producer.post('/events', marker)).status).toBe(202)
    const analyst = await GatewayClient.as('analyst')
    await eventually(
      lateMs,
      () => analyst.get(`/events?event_type=marker-${run}`),
      ({ body }) => expect(body.events).toHaveLength(1),
    )
    const result = await clickhouse.query({
      query: 'SELECT count() AS n FROM events WHERE event_id = {id:String}',
      query_params: { id: eventId },
      format: 'JSONEachRow',
    })
    expect(Number((await result.json<{ n: string | number }>())[0]?.n)).toBe(0)
  })

  it('the same wrong password and an unknown name look alike', async () => {
    const wrong = await GatewayClient.anonymous().post('/api/v1/login', {
      ...accounts.user,
      password: 'wrong-password',
    })
    const unknown = await GatewayClient.anonymous().post('/api/v1/login', {
      username: `nobody-${run}`,
      password: 'wrong-password',
    })
    expect([wrong.status, unknown.status]).toEqual([401, 401])
    expect(wrong.body.detail).toBe(unknown.body.detail)
  })
})

describe('events that are waited for', () => {
  it('can be read as soon as they are answered with 200, and their receipts say where they lie', async () => {
    const producer = await GatewayClient.as('producer')
    const analyst = await GatewayClient.as('analyst')
    const userId = `waiting-${run}`
    // Two months of many users: several partitions of Kafka, and of the table. A type of each attempt: one whose wait was too short is stored, too.
    let attempts = 0
    const eventsOf = (attempt: number) =>
      Array.from({ length: 60 }, (_, i) => ({
        user_id: i < 50 ? userId : `${userId}-${i}`,
        event_type: `waited-${run}-${attempt}`,
        timestamp: Date.UTC(2026, i % 2, 3, 4, 5, i),
        metadata: { n: i },
      }))
    const answer = await eventually(
      lateMs,
      () => producer.post('/events?wait=stored', eventsOf(++attempts)),
      ({ status, body }) => expect([status, body.durability]).toEqual([200, 'stored']),
    )
    const events = eventsOf(attempts)
    const ids: { index: number; event_id: string }[] = answer.body.event_ids
    expect(ids.map(({ index }) => index)).toEqual(events.map((_, i) => i))
    const page = await analyst.get(`/events?event_type=waited-${run}-${attempts}`)
    expect(page.body.events.map((event: { event_id: string }) => event.event_id).sort()).toEqual(
      ids.map(({ event_id }) => event_id).sort(),
    )
    const receipt = await analyst.get(`/events/${ids[0]?.event_id}/receipt`)
    expect(receipt.body).toMatchObject({
      event_id: ids[0]?.event_id,
      status: 'stored',
      records: [{ topic: 'events', user_id: userId, timestamp: events[0]?.timestamp }],
    })
    expect(receipt.body.records[0].offset).toBeGreaterThanOrEqual(0)
  })
})
