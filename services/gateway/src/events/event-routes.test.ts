import { writeUvarint } from '@millrace/streams'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { openTestApp, type TestApp } from '../../test/test-app.ts'
import { GatewayError } from '../errors.ts'
import { receiptRecordsMax } from '../limits.ts'
import type { EventListing, EventReceipt, KeptEvent } from './ports.ts'

let test: TestApp
const listings: EventListing[] = []
const kept: KeptEvent[] = []
const receipts: EventReceipt[] = []
let isStored = true
/** Holds the answers of the store back. */
let held: PromiseWithResolvers<void> | undefined

beforeAll(async () => {
  test = await openTestApp({
    eventStore: {
      page: async (listing) => {
        listings.push(listing)
        await held?.promise
        return { events: kept, nextCursor: 'next' }
      },
      receipts: async (eventId, limit) => {
        expect(limit).toBe(receiptRecordsMax)
        return receipts.filter((receipt) => receipt.eventId === eventId)
      },
      storedSince: async () =>
        test.events.written.map(({ event_id, user_id, event_type, timestamp }) => ({
          eventId: event_id,
          userId: user_id,
          eventType: event_type,
          timestampMs: timestamp,
          receivedAtMs: isStored ? Date.now() : 0,
        })),
    },
  })
})
afterAll(() => test.close())
beforeEach(() => {
  test.events.written.length = 0
  listings.length = 0
  kept.length = 0
})

const event = { event_id: 'e-1', user_id: 'u-1', event_type: 'view', timestamp: 1_700_000_000, metadata: { value: 1 } }

function post(body: unknown, type = 'application/json', url = '/api/v1/events') {
  const payload = typeof body === 'string' ? body : JSON.stringify(body)
  const headers = { authorization: test.bearer('producer'), 'content-type': type }
  return test.app.inject({ method: 'POST', url, headers, body: payload })
}

/** A container of one event. */
function avroContainer(value: typeof event): Buffer {
  const text = (of: string | Buffer) => Buffer.concat([Buffer.from([of.length * 2]), Buffer.from(of)])
  const string = 'string'
  const types = { event_id: string, user_id: string, event_type: string, timestamp: 'long', metadata: string }
  const fields = Object.entries(types).map(([name, type]) => ({ name, type }))
  const schema = Buffer.from(JSON.stringify({ type: 'record', name: 'Event', fields }))
  const time = writeUvarint(Buffer.alloc(8), value.timestamp * 2, 0)
  const timestamp = Buffer.alloc(time)
  writeUvarint(timestamp, value.timestamp * 2, 0)
  const texts = [value.event_id, value.user_id, value.event_type].map(text)
  const data = Buffer.concat([...texts, timestamp, text(JSON.stringify(value.metadata))])
  const size = Buffer.alloc(2)
  writeUvarint(size, schema.length * 2, 0)
  const sync = Buffer.alloc(16, 7)
  const head = [Buffer.from('Obj\u0001\u0002'), text('avro.schema'), size, schema, Buffer.from([0]), sync]
  return Buffer.concat([...head, Buffer.from([2, data.length * 2]), data, sync])
}

describe('posting events', () => {
  it.each(['/api/v1/events', '/events'])('takes one event at %s', async (url) => {
    const sentMs = Date.now()
    const answer = await post(event, 'application/json', url)
    expect(answer.statusCode).toBe(202)
    expect(answer.json()).toEqual({ accepted: 1, rejected: [], durability: 'kafka' })
    expect(test.events.written).toMatchObject([
      {
        event_id: 'e-1',
        user_id: 'u-1',
        event_type: 'view',
        timestamp: 1_700_000_000_000,
        value: 1,
        metadata: '{"value":1}',
        source: 'id-of-producer',
      },
    ])
    expect(test.events.written[0]?.received_at).toBeGreaterThanOrEqual(sentMs)
    expect(test.events.written[0]?.received_at).toBeLessThanOrEqual(Date.now())
  })

  it('names the ids that it gave', async () => {
    const { event_id: _, ...anonymous } = event
    const answer = await post([event, anonymous])
    const id = test.events.written[1]?.event_id
    expect(answer.json()).toEqual({
      accepted: 2,
      event_ids: [{ index: 1, event_id: id }],
      rejected: [],
      durability: 'kafka',
    })
  })

  it.each(['application/avro', 'avro/binary'])('takes a container of %s', async (type) => {
    const headers = { authorization: test.bearer('producer'), 'content-type': type }
    const inject = (body: Buffer) => test.app.inject({ method: 'POST', url: '/events', headers, body })
    const written = avroContainer(event)
    expect((await inject(written)).json()).toEqual({ accepted: 1, rejected: [], durability: 'kafka' })
    expect(test.events.written).toMatchObject([{ event_id: 'e-1', metadata: '{"value":1}', value: 1 }])
    const broken = await inject(written.subarray(0, -1))
    expect([broken.statusCode, broken.json().code]).toEqual([400, 'INVALID_AVRO'])
  })

  it('takes the valid ones of an array and names every fault of the others', async () => {
    const answer = await post([event, { ...event, event_id: '', timestamp: 'now' }, 7, { ...event, event_id: 'e-4' }])
    expect(answer.statusCode).toBe(202)
    expect(answer.json()).toEqual({
      accepted: 2,
      rejected: [
        { index: 1, code: 'WRONG_LENGTH', pointer: '/1/event_id', detail: 'must have 1 to 128 characters; it has 0' },
        { index: 1, code: 'WRONG_TYPE', pointer: '/1/timestamp', detail: 'must be a number; it is a string' },
        { index: 2, code: 'WRONG_TYPE', pointer: '/2', detail: 'must be an event object; it is a number' },
      ],
      durability: 'kafka',
    })
    expect(test.events.written.map((written) => written.event_id)).toEqual(['e-1', 'e-4'])
  })

  it.each(['application/x-ndjson', 'application/x-ndjson; charset=utf-8', 'Application/X-NDJSON'])(
    'takes the good lines of %s',
    async (type) => {
      const line = JSON.stringify(event)
      const answer = await post(`${line}\n{"event_id":\n${line}\n`, type)
      expect(answer.statusCode).toBe(202)
      expect(answer.json()).toMatchObject({ accepted: 2, rejected: [{ index: 1, code: 'NOT_JSON', pointer: '/1' }] })
      expect(test.events.written).toHaveLength(2)
    },
  )

  it('refuses a body without any valid event, names every fault, and writes nothing', async () => {
    const answer = await post([{ event_id: 1, more: true }, null])
    expect(answer.statusCode).toBe(400)
    expect(answer.headers['content-type']).toBe('application/problem+json')
    const problem = answer.json()
    expect(problem.code).toBe('NO_VALID_ITEM')
    expect(problem.errors.map((fault: { pointer: string }) => fault.pointer)).toEqual([
      '/0/event_id',
      '/0/more',
      '/0/user_id',
      '/0/event_type',
      '/0/timestamp',
      '/0/metadata',
      '/1',
    ])
    expect(test.events.written).toEqual([])
  })

  it.each([
    ['', 'INVALID_JSON'],
    ['{', 'INVALID_JSON'],
    ['[]', 'INVALID_BODY'],
    ['"text"', 'INVALID_BODY'],
    [`[${JSON.stringify(event)}`, 'INVALID_JSON'],
    [`${JSON.stringify(event)}${JSON.stringify(event)}`, 'INVALID_JSON'],
    [JSON.stringify(event).replace('"u-1"', '"u-1","user_id":"u-2"'), 'NO_VALID_ITEM'],
    [JSON.stringify(event).replace('"u-1"', '"\\ud800"'), 'NO_VALID_ITEM'],
    [JSON.stringify(event).replace('{"value":1}', '{"value":9007199254740993}'), 'NO_VALID_ITEM'],
    [
      JSON.stringify(event).replace('{"value":1}', `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`),
      'NO_VALID_ITEM',
    ],
  ])('refuses %j, and writes nothing', async (body, code) => {
    const answer = await post(body)
    expect([answer.statusCode, answer.json().code]).toEqual([400, code])
    expect(test.events.written).toEqual([])
  })

  it('refuses bytes that are not UTF-8', async () => {
    const headers = { authorization: test.bearer('producer'), 'content-type': 'application/json' }
    const body = Buffer.from(JSON.stringify(event).replace('u-1', 'u-\u00ff'), 'latin1')
    const answer = await test.app.inject({ method: 'POST', url: '/events', headers, body })
    expect([answer.statusCode, answer.json().detail]).toEqual([400, 'The body is not valid UTF-8.'])
  })

  it('waits for the store when it is asked to, and says when it has the events', async () => {
    const answer = await post([event, { ...event, user_id: 7 }], 'application/json', '/events?wait=stored')
    expect(answer.statusCode).toBe(200)
    expect(answer.json()).toMatchObject({ accepted: 1, rejected: [{ index: 1 }], durability: 'stored' })
  })

  it('does not wait for the store while Kafka is away', async () => {
    test.events.durability = 'spooled'
    isStored = false
    const answer = await post(event, 'application/json', '/events?wait=stored')
    isStored = true
    test.events.durability = 'kafka'
    expect([answer.statusCode, answer.json()]).toEqual([202, { accepted: 1, rejected: [], durability: 'spooled' }])
  })

  it.each(['/events?wait=long', '/events?wait=', '/events?weit=stored'])('refuses %s', async (url) => {
    const answer = await post(event, 'application/json', url)
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'INVALID_PARAMETER'])
    expect(test.events.written).toEqual([])
  })

  it('never says 202 when Kafka has not acknowledged', async () => {
    test.events.failure = new GatewayError('KAFKA_UNAVAILABLE', 'Kafka is away.')
    const answer = await post(event)
    test.events.failure = undefined
    expect(answer.statusCode).toBe(503)
    expect(answer.headers['retry-after']).toBe('2')
    expect(answer.json()).toMatchObject({ code: 'KAFKA_UNAVAILABLE', status: 503 })
  })
})

describe('a receipt', () => {
  const get = (id: string) =>
    test.app.inject({
      url: `/api/v1/events/${encodeURIComponent(id)}/receipt`,
      headers: { authorization: test.bearer('analyst') },
    })

  it('says where the records of an id lie', async () => {
    const base = { eventId: 'a/b ü', userId: 'u-1', eventType: 'view', timestampMs: 5, receivedAtMs: 7 }
    receipts.push({ ...base, partition: 3, offset: 42 })
    const answer = await get('a/b ü')
    expect(answer.statusCode).toBe(200)
    const place = { topic: 'events', partition: 3, offset: 42, received_at: 7 }
    expect(answer.json()).toEqual({
      event_id: 'a/b ü',
      status: 'stored',
      records: [{ ...place, user_id: 'u-1', event_type: 'view', timestamp: 5 }],
    })
  })

  it('of an id that the store does not have is not found', async () => {
    const answer = await get('nobody')
    expect([answer.statusCode, answer.json().code]).toEqual([404, 'EVENT_NOT_FOUND'])
  })
})

describe('reading events', () => {
  const get = (query: string) =>
    test.app.inject({ url: `/events${query}`, headers: { authorization: test.bearer('analyst') } })

  it('asks the store for what was asked for', async () => {
    await get('?user_id=u%201&event_type=view&from=1700000000&to=2024-01-01T00:00:00%2B01:00&limit=7&cursor=abc')
    expect(listings).toEqual([
      {
        userId: 'u 1',
        eventType: 'view',
        fromMs: 1_700_000_000_000,
        toMs: Date.UTC(2023, 11, 31, 23),
        limit: 7,
        cursor: 'abc',
        signal: expect.any(AbortSignal),
      },
    ])
    await get('')
    expect(listings[1]).toMatchObject({ limit: 100, fromMs: undefined })
  })

  it('lets the store end a query when its client leaves', async () => {
    await test.app.listen({ host: '127.0.0.1', port: 0 })
    const left = new AbortController()
    held = Promise.withResolvers()
    const answer = fetch(`${test.app.listeningOrigin}/events`, {
      headers: { authorization: test.bearer('analyst') },
      signal: left.signal,
    })
    answer.catch(() => {})
    await vi.waitFor(() => expect(listings).toHaveLength(1), { timeout: 30_000 })
    const [listing] = listings
    expect(listing?.signal.aborted).toBe(false)
    left.abort()
    await vi.waitFor(() => expect(listing?.signal.aborted).toBe(true), { timeout: 30_000 })
    held.resolve()
    held = undefined
    await expect(answer).rejects.toMatchObject({ name: 'AbortError' })
  })

  it('says so when a page is still the same, and asks the store each time', async () => {
    const event = { eventId: 'e', userId: 'u', eventType: 'view', timestampMs: 1_700_000_000_123, value: null }
    kept.push({ ...event, metadata: '{}' })
    const first = await get('')
    const etag = String(first.headers.etag)
    const ask = (tag: string) =>
      test.app.inject({ url: '/events', headers: { authorization: test.bearer('analyst'), 'if-none-match': tag } })
    const same = await ask(etag)
    expect([same.statusCode, same.body, same.headers.etag]).toEqual([304, '', etag])
    expect((await ask('"another"')).statusCode).toBe(200)
    kept.push({ ...event, eventId: 'f', metadata: '{}' })
    const other = await ask(etag)
    expect(other.statusCode).toBe(200)
    expect(other.headers.etag).not.toBe(etag)
    expect(listings).toHaveLength(4)
  })

  it('gives metadata out as it came in', async () => {
    const base = { eventId: 'e', userId: 'u', eventType: 'view', timestampMs: 1_700_000_000_123, value: null }
    kept.push(
      { ...base, metadata: '{"n": 1.50, "big":1e2}' },
      { ...base, metadata: 'broken' },
      { ...base, metadata: '[1]' },
    )
    const answer = await get('')
    expect(answer.statusCode).toBe(200)
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(answer.body).toContain('"metadata":{"n": 1.50, "big":1e2}}')
    expect(answer.json()).toMatchObject({
      events: [
        {
          event_id: 'e',
          user_id: 'u',
          event_type: 'view',
          timestamp: 1_700_000_000_123,
          occurred_at: '2023-11-14T22:13:20.123Z',
          value: null,
        },
        { metadata: { not_an_object: 'broken' } },
        { metadata: { not_an_object: '[1]' } },
      ],
      next_cursor: 'next',
    })
  })

  it.each([
    ['?limit=0', ['/limit']],
    ['?limit=1001', ['/limit']],
    ['?limit=ten', ['/limit']],
    ['?limit=1e2', ['/limit']],
    ['?limit=1&limit=2', ['/limit']],
    ['?from=yesterday', ['/from']],
    ['?from=2024-01-01T00:00:00', ['/from']],
    ['?from=-1&to=9999999999999999', ['/from', '/to']],
    ['?from=2024-02-01&to=2024-01-01', ['/from']],
    ['?user_id=', ['/user_id']],
    ['?usr_id=u', ['/usr_id']],
    ['?user_id=a&user_id=b', ['/user_id']],
    ['?__proto__[x]=1', ['/__proto__[x]']],
    [`?cursor=${'x'.repeat(2_000)}`, ['/cursor']],
  ])('refuses %s and names the parameter', async (query, pointers) => {
    const answer = await get(query)
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'INVALID_PARAMETER'])
    expect(answer.json().errors).toMatchObject(pointers.map((pointer) => ({ pointer, in: 'query' })))
    expect(listings).toEqual([])
  })
})
