import { StorageError } from '@millrace/storage/mysql'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openTestApp, type TestApp } from '../../test/test-app.ts'
import { GatewayError } from '../errors.ts'
import { leadsPerRequestMax } from '../limits.ts'
import type { KeptLead, LeadListing } from './ports.ts'

let test: TestApp
let followed = true
const listings: LeadListing[] = []
let listFailure: Error | undefined

const stored: KeptLead = {
  leadId: '7b0c1d2e-0000-4000-8000-000000000001',
  firstName: 'Ada',
  lastName: 'Lovelace',
  email: 'ada@example.com',
  phone: null,
  dateOfBirth: '1915-12-10',
  address: null,
  city: null,
  postalCode: null,
  country: 'GB',
  source: null,
  campaign: null,
  consent: true,
  attributes: '{"plan":"pro"}',
  status: 'stored',
  duplicateOf: null,
  submittedBy: 'id-of-user',
  requestId: 'r',
  receivedAt: new Date(1_700_000_000_000),
  storedAt: new Date(1_700_000_000_500),
}

beforeAll(async () => {
  test = await openTestApp({
    leadOutcomesAreFollowed: () => followed,
    leadStore: {
      list: async (listing) => {
        listings.push(listing)
        if (listFailure !== undefined) throw listFailure
        return { leads: [stored], total: 1, totalIsExact: true, nextCursor: null }
      },
      byId: async (id) => (id === stored.leadId ? stored : undefined),
      historyOf: async () => [],
    },
  })
})
afterAll(() => test.close())
beforeEach(() => {
  test.leads.written.length = 0
  test.leads.failure = undefined
  test.leads.onWrite = () => {}
  followed = true
  listFailure = undefined
  listings.length = 0
})

const lead = { first_name: 'Ada', last_name: 'Lovelace', email: 'ada@example.com' }

function post(url: string, body: unknown, headers: Record<string, string> = {}) {
  const payload = typeof body === 'string' ? body : JSON.stringify(body)
  const all = { authorization: test.bearer('user'), 'content-type': 'application/json', ...headers }
  return test.app.inject({ method: 'POST', url: `/api/v1${url}`, headers: all, body: payload })
}

function decide(outcome: string, reason: string | null = null, duplicate_of: string | null = null) {
  test.leads.onWrite = ([written]) => {
    if (written === undefined) return
    const { lead_id, request_id } = written
    test.outcomes.settle({ lead_id, request_id, outcome, reason, duplicate_of, decided_at: 1 })
  }
}

describe('a synchronous lead', () => {
  it('answers stored once the database has it', async () => {
    decide('stored')
    const answer = await post('/lead/process', lead)
    expect(answer.statusCode).toBe(201)
    expect(answer.json()).toEqual({ lead_id: test.leads.written[0]?.lead_id, outcome: 'stored' })
    expect(test.leads.written).toMatchObject([{ ...lead, submitted_by: 'id-of-user', attributes: '{}' }])
  })

  it('answers duplicate for what is stored already', async () => {
    decide('duplicate')
    const answer = await post('/lead/process', lead)
    const lead_id = test.leads.written[0]?.lead_id
    // Of a sink that does not say yet what it is a duplicate of: nothing but the lead itself.
    expect([answer.statusCode, answer.json()]).toEqual([200, { lead_id, outcome: 'duplicate', duplicate_of: lead_id }])
  })

  it('answers duplicate with the first lead of the person and source', async () => {
    decide('duplicate', null, stored.leadId)
    const answer = await post('/lead/process', lead)
    const lead_id = test.leads.written[0]?.lead_id
    const outcome = { lead_id, outcome: 'duplicate', duplicate_of: stored.leadId }
    expect([answer.statusCode, answer.json()]).toEqual([200, outcome])
  })

  it.each([
    ['conflict', 'LEAD_CONFLICT'],
    ['rejected', 'LEAD_REJECTED'],
    ['erased', 'LEAD_REJECTED'],
    ['something new', 'LEAD_REJECTED'],
  ])('answers 422 for %s, with the reason', async (outcome, code) => {
    decide(outcome, 'email: too long')
    const answer = await post('/lead/process', lead)
    expect(answer.statusCode).toBe(422)
    expect(answer.headers['content-type']).toBe('application/problem+json')
    const lead_id = test.leads.written[0]?.lead_id
    expect(answer.json()).toMatchObject({ code, lead_id, outcome, reason: 'email: too long' })
  })

  it('answers 504 with the id when nobody has decided in time, and no success', async () => {
    const answer = await post('/lead/process', lead)
    expect(answer.statusCode).toBe(504)
    expect(answer.json()).toMatchObject({ code: 'OUTCOME_PENDING', lead_id: test.leads.written[0]?.lead_id })
    expect(test.outcomes.size).toBe(0)
  })

  it('answers 503 with the id when Kafka does not acknowledge, and waits for nothing', async () => {
    test.leads.failure = new Error('away')
    const answer = await post('/lead/process', lead)
    expect(answer.statusCode).toBe(503)
    expect(answer.json()).toMatchObject({
      code: 'KAFKA_UNAVAILABLE',
      lead_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
    expect(test.outcomes.size).toBe(0)
  })

  it('answers 503, and writes nothing, while outcomes are not followed', async () => {
    followed = false
    const answer = await post('/lead/process', lead)
    expect([answer.statusCode, answer.json().code]).toEqual([503, 'NOT_READY'])
    expect(test.leads.written).toEqual([])
  })
})

describe('an asynchronous lead', () => {
  it('is accepted once Kafka has it', async () => {
    const answer = await post('/lead/process-async', lead)
    expect(answer.statusCode).toBe(202)
    expect(answer.json()).toEqual({
      lead_id: test.leads.written[0]?.lead_id,
      status: 'accepted',
      durability: 'kafka',
    })
  })

  it('gets the same id for the same key, and another one for another key or account', async () => {
    const submit = async (key: string, role: 'user' | 'admin' = 'user', body: object = lead) => {
      const answer = await post('/lead/process-async', body, {
        'idempotency-key': key,
        authorization: test.bearer(role),
      })
      return answer.json().lead_id
    }
    const first = await submit('k-1')
    expect(first).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5/)
    expect(await submit('k-1')).toBe(first)
    expect(await submit('k-1', 'user', { ...lead, city: 'London' })).toBe(first)
    expect(await submit('k-2')).not.toBe(first)
    expect(await submit('k-1', 'admin')).not.toBe(first)
    const [a, b, c] = test.leads.written
    expect(a?.content_hash).toBe(b?.content_hash)
    expect(a?.content_hash).not.toBe(c?.content_hash)
  })

  it.each(['', 'a b', 'é', 'x'.repeat(256)])('with the key %j is refused', async (key) => {
    const answer = await post('/lead/process-async', lead, { 'idempotency-key': key })
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'INVALID_PARAMETER'])
    expect(answer.json().errors).toMatchObject([{ in: 'header', pointer: '/idempotency-key' }])
  })

  it.each(['/lead/process', '/lead/process-async'])(
    'with faults is refused at %s: all are named, nothing is written',
    async (url) => {
      const answer = await post(url, '{"first_name":"","email":"x","email":"y","attributes":{"a":"\\ud800"},"shoe":1}')
      expect(answer.statusCode).toBe(400)
      expect(answer.json().code).toBe('INVALID_BODY')
      expect(
        answer
          .json()
          .errors.map((fault: { pointer: string }) => fault.pointer)
          .sort(),
      ).toEqual(['/attributes/a', '/email'])
      const more = await post(url, { first_name: '', email: 'x', shoe: 1 })
      expect(
        more
          .json()
          .errors.map((fault: { pointer: string }) => fault.pointer)
          .sort(),
      ).toEqual(['/email', '/first_name', '/last_name', '/shoe'])
      expect(test.leads.written).toEqual([])
    },
  )

  it.each(['', 'null', '[]', '"x"'])('of the body %j is refused', async (body) => {
    const answer = await post('/lead/process-async', body)
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'INVALID_BODY'])
  })
})

describe('a bulk request', () => {
  it.each([
    ['an array', (leads: object[]) => leads, ''],
    ['an object', (leads: object[]) => ({ leads }), '/leads'],
  ])('as %s is taken lead by lead', async (_, wrap, root) => {
    const all = await post('/leads/process-bulk', wrap([lead, lead]))
    expect(all.statusCode).toBe(202)
    expect(all.json()).toMatchObject({
      accepted: 2,
      rejected: 0,
      results: [{ index: 0, status: 'accepted' }, { index: 1 }],
    })

    const some = await post('/leads/process-bulk', wrap([{ ...lead, email: 1, x: 2 }, lead]))
    expect(some.statusCode).toBe(207)
    expect(some.json()).toEqual({
      accepted: 1,
      rejected: 1,
      durability: 'kafka',
      results: [
        {
          index: 0,
          status: 'rejected',
          errors: [
            { pointer: `${root}/0/x`, detail: 'is not a known field: put it into "attributes"' },
            { pointer: `${root}/0/email`, detail: 'must be string' },
          ],
        },
        { index: 1, status: 'accepted', lead_id: test.leads.written[2]?.lead_id },
      ],
    })

    const none = await post('/leads/process-bulk', wrap([{}]))
    expect([none.statusCode, none.json().code]).toEqual([400, 'NO_VALID_ITEM'])
    expect(none.json().errors).toHaveLength(3)
    expect(test.leads.written).toHaveLength(3)
  })

  it('loses only the leads whose content cannot be taken as it is', async () => {
    const text = JSON.stringify(lead)
    const twice = text.replace('"Ada"', '"Ada","first_name":"Eve"')
    const answer = await post('/leads/process-bulk', `{"leads":[${text},${twice},${text}]}`)
    expect(answer.statusCode).toBe(207)
    expect(answer.json().results).toMatchObject([
      { status: 'accepted' },
      {
        status: 'rejected',
        errors: [{ pointer: '/leads/1/first_name', detail: 'appears more than once in its object' }],
      },
      { status: 'accepted' },
    ])
  })

  it('is refused as a whole when its faults cannot be told apart', async () => {
    const text = JSON.stringify(lead).replace('"Ada"', '"Ada","first_name":"Eve"')
    const many = await post('/leads/process-bulk', `[${new Array(150).fill(text).join(',')}]`)
    expect([many.statusCode, many.json().code]).toEqual([400, 'INVALID_BODY'])
    const outside = await post('/leads/process-bulk', `{"leads":[${JSON.stringify(lead)}],"leads":[]}`)
    expect([outside.statusCode, outside.json().code]).toEqual([400, 'INVALID_BODY'])
    const deep = await post('/leads/process-bulk', `${'['.repeat(5_000)}${']'.repeat(5_000)}`)
    expect([deep.statusCode, deep.json().code]).toEqual([400, 'INVALID_BODY'])
    expect(test.leads.written).toEqual([])
  })

  it('gives each lead an id of its own from one key, the same on every repetition', async () => {
    const submit = async () => {
      const answer = await post('/leads/process-bulk', [lead, lead, {}], { 'idempotency-key': 'bulk-1' })
      return answer.json().results.map((item: { lead_id?: string }) => item.lead_id)
    }
    const first = await submit()
    expect(new Set(first).size).toBe(3)
    expect(await submit()).toEqual(first)
  })

  it.each([
    ['[]', ''],
    ['{"leads":[]}', '/leads'],
    ['{"leads":{}}', ''],
    ['{"leads":[{}],"dry_run":true}', '/dry_run'],
    ['7', ''],
  ])('of the body %s is refused', async (body, pointer) => {
    const answer = await post('/leads/process-bulk', body)
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'INVALID_BODY'])
    expect(answer.json().errors).toMatchObject([{ pointer }])
  })

  it('may hold 10,000 leads and no more', async () => {
    const answer = await post('/leads/process-bulk', new Array(leadsPerRequestMax).fill(lead))
    expect([answer.statusCode, answer.json().accepted]).toEqual([202, leadsPerRequestMax])
    const more = await post('/leads/process-bulk', new Array(leadsPerRequestMax + 1).fill(lead))
    expect([more.statusCode, more.json().code]).toEqual([413, 'BODY_TOO_LARGE'])
  })

  it('says nothing of success when Kafka does not acknowledge', async () => {
    test.leads.failure = new GatewayError('KAFKA_UNAVAILABLE', 'away')
    expect((await post('/leads/process-bulk', [lead])).statusCode).toBe(503)
  })
})

describe('reading leads', () => {
  const get = (path: string) =>
    test.app.inject({ url: `/api/v1/leads${path}`, headers: { authorization: test.bearer('admin') } })

  it('lists pages, with filters', async () => {
    const answer = await get('?page=2&limit=10&status=stored&email=a%40b.de&from=1700000000&sort=received_at')
    expect(answer.statusCode).toBe(200)
    expect(answer.json()).toMatchObject({ page: 2, limit: 10, total: 1, total_is_exact: true, next_cursor: null })
    expect(answer.json().leads[0]).toMatchObject({
      lead_id: stored.leadId,
      date_of_birth: '1915-12-10',
      attributes: { plan: 'pro' },
      received_at: '2023-11-14T22:13:20.000Z',
    })
    expect(listings).toMatchObject([
      { page: 2, limit: 10, status: 'stored', email: 'a@b.de', fromMs: 1_700_000_000_000, sort: 'received_at' },
    ])
  })

  it('goes on from a cursor, and says when it is none', async () => {
    await get('?cursor=abc')
    expect(listings[0]).toMatchObject({ cursor: 'abc', page: undefined })
    listFailure = new StorageError('INVALID_QUERY', 'cursor is not one of ours')
    const answer = await get('?cursor=abd')
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'INVALID_PARAMETER'])
    expect(answer.json().errors).toMatchObject([{ pointer: '/cursor' }])
  })

  it.each([
    ['?page=0', '/page'],
    ['?page=2000&limit=100', '/page'],
    ['?limit=501', '/limit'],
    ['?status=lost', '/status'],
    ['?page=2&cursor=x', '/cursor'],
    ['?sort=email', '/sort'],
  ])('refuses %s', async (query, pointer) => {
    const answer = await get(query)
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'INVALID_PARAMETER'])
    expect(answer.json().errors).toMatchObject([{ pointer, in: 'query' }])
  })

  it('gives one lead, in whatever case its id is written', async () => {
    expect((await get(`/${stored.leadId.toUpperCase()}`)).json().lead_id).toBe(stored.leadId)
    const missing = await get('/7b0c1d2e-0000-4000-8000-000000000002')
    expect([missing.statusCode, missing.json().code]).toEqual([404, 'LEAD_NOT_FOUND'])
  })

  it('answers 503 when the database is away', async () => {
    listFailure = new StorageError('UNAVAILABLE', 'MySQL at 10.0.0.5 refused')
    const answer = await get('?limit=7')
    expect([answer.statusCode, answer.json().code]).toEqual([503, 'STORE_UNAVAILABLE'])
    expect(answer.body).not.toContain('10.0.0.5')
    expect(answer.headers['retry-after']).toBe('2')
  })
})
