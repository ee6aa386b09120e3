import { StorageError } from '@millrace/storage/mysql'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openTestApp, type TestApp } from '../../test/test-app.ts'
import { leadAnswerMsMax } from '../limits.ts'
import type { LeadListing } from './ports.ts'

let test: TestApp
/** Moved by hand; ahead of the clock by which tokens are made, however long this file runs. */
let nowMs = Date.now() + 300_000
let total = 1
let failure: Error | undefined
const listings: LeadListing[] = []

beforeAll(async () => {
  test = await openTestApp({
    nowMs: () => nowMs,
    leadStore: {
      list: async (listing) => {
        listings.push(listing)
        if (failure !== undefined) throw failure
        return { leads: [], total, totalIsExact: true, nextCursor: null }
      },
      byId: async () => undefined,
      historyOf: async () => [],
    },
  })
  const fields = '[{"name":"budget","type":"integer"},{"name":"plan","type":"enum","values":["free","pro"]}]'
  const by = { actor: 'test', requestId: 'r' }
  await test.leadFields.create({ id: '1', source: 'web', undefinedAttributes: 'keep', fields }, by)
  await test.liveFields.refresh()
})
afterAll(() => test.close())
beforeEach(() => {
  // Nothing that an earlier test was answered is good any more.
  nowMs += leadAnswerMsMax
  listings.length = 0
  failure = undefined
  total = 1
})

function get(path: string, headers: Record<string, string> = {}) {
  return test.app.inject({ url: `/api/v1/leads${path}`, headers: { authorization: test.bearer('admin'), ...headers } })
}

describe('leads by attribute', () => {
  it('are asked for with the conditions of the query', async () => {
    const answer = await get('?source=web&attributes.budget=gte:1000&attributes.budget=lt:5000&attributes.plan=eq:pro')
    expect(answer.statusCode).toBe(200)
    expect(listings).toMatchObject([
      {
        source: 'web',
        attributes: [
          { attribute: 'budget', operator: 'gte', type: 'number', values: [1_000] },
          { attribute: 'budget', operator: 'lt', type: 'number', values: [5_000] },
          { attribute: 'plan', operator: 'eq', type: 'text', values: ['pro'] },
        ],
      },
    ])
  })

  it('are refused with every fault, of other parameters too', async () => {
    const answer = await get('?attributes.budget=gte:much&attributes.colour=eq:red&attributes.plan=gold&from=never')
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'INVALID_PARAMETER'])
    expect(answer.json().errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
      '/from',
      '/attributes.budget',
      '/attributes.colour',
      '/attributes.plan',
    ])
    expect((await get('?attribute.budget=eq:1')).json().errors).toMatchObject([{ pointer: '/attribute.budget' }])
    expect(listings).toEqual([])
  })

  it('say so when the database takes too long for them', async () => {
    failure = new StorageError('QUERY_TOO_EXPENSIVE', 'max_statement_time exceeded')
    const answer = await get('?attributes.budget=eq:1')
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'INVALID_PARAMETER'])
    expect(answer.json().detail).toContain('narrow it')
  })
})

describe('answers about leads', () => {
  it('are 304 as long as they are the same', async () => {
    const first = await get('?limit=5')
    const { etag = '' } = first.headers
    expect([first.statusCode, first.headers['cache-control']]).toEqual([200, 'no-store'])
    nowMs += leadAnswerMsMax
    for (const header of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const same = await get('?limit=5', { 'if-none-match': header })
      expect([same.statusCode, same.body, same.headers.etag]).toEqual([304, '', etag])
    }
    expect((await get('?limit=5', { 'if-none-match': '"other"' })).body).toBe(first.body)
    total = 2
    nowMs += leadAnswerMsMax
    const changed = await get('?limit=5', { 'if-none-match': etag })
    expect([changed.statusCode, changed.json().total]).toEqual([200, 2])
  })

  it('cost one query a second, however many ask the same, however they write it', async () => {
    const queries = ['?limit=5&status=stored', '?status=stored&limit=5', '?limit=5&status=stored&page=1']
    await Promise.all([...queries, ...queries].map((query) => get(query)))
    expect(listings).toHaveLength(1)
    await get('?limit=6&status=stored')
    expect(listings).toHaveLength(2)
    nowMs += leadAnswerMsMax
    await get('?limit=5&status=stored')
    expect(listings).toHaveLength(3)
  })
})
