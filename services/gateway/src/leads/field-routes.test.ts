import { StorageError } from '@millrace/storage/mysql'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { MemoryLeadFields } from '../../test/memory-lead-fields.ts'
import { openTestApp, type TestApp } from '../../test/test-app.ts'
import { LiveLeadFields } from './live-fields.ts'

let test: TestApp
beforeAll(async () => {
  test = await openTestApp()
})
afterAll(() => test.close())
beforeEach(async () => {
  test.leadFields.failure = undefined
  for (const id of [...test.leadFields.kept.keys()]) {
    await test.leadFields.remove(id, { actor: 'test', requestId: 'r', versions: 'any' })
  }
  await test.liveFields.refresh()
  test.leadFields.notes.length = 0
  test.leads.written.length = 0
})

interface Sent {
  readonly role?: 'admin' | 'user' | 'analyst'
  readonly headers?: Record<string, string>
  readonly body?: unknown
}

function send(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, { role = 'admin', headers, body }: Sent = {}) {
  const type = body === undefined ? {} : { 'content-type': 'application/json' }
  return test.app.inject({
    method,
    url: `/api/v1${path}`,
    headers: { authorization: test.bearer(role), ...type, ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

const budget = { name: 'budget', type: 'integer', required: true, min: 0 }
const web = { source: 'web', undefined_attributes: 'refuse', fields: [budget] }

describe('/api/v1/lead-fields', () => {
  it('makes, gives, replaces and deletes the definitions of a source, version by version', async () => {
    const made = await send('POST', '/lead-fields', { body: web })
    expect([made.statusCode, made.headers.etag]).toEqual([201, '"1"'])
    const { id } = made.json()
    expect(made.headers.location).toBe(`/api/v1/lead-fields/${id}`)
    expect(made.json()).toMatchObject({ ...web, id, version: 1, changed_at: expect.stringMatching(/Z$/) })

    const got = await send('GET', `/lead-fields/${id.toUpperCase()}`)
    expect([got.statusCode, got.headers.etag, got.body]).toEqual([200, '"1"', made.body])
    expect((await send('GET', '/lead-fields')).json()).toEqual({ sources: [made.json()] })
    expect((await send('GET', '/lead-fields?source=web')).json()).toEqual({ sources: [made.json()] })
    expect((await send('GET', '/lead-fields?source=shop')).json()).toEqual({ sources: [] })

    const change = { fields: [budget, { name: 'plan', type: 'enum', values: ['free', 'pro'] }] }
    const replaced = await send('PUT', `/lead-fields/${id}`, { body: change, headers: { 'if-match': '"1"' } })
    expect([replaced.statusCode, replaced.headers.etag]).toEqual([200, '"2"'])
    expect(replaced.json()).toMatchObject({ id, source: 'web', version: 2, undefined_attributes: 'keep', ...change })

    const deleted = await send('DELETE', `/lead-fields/${id}`, { headers: { 'if-match': '"1", "2"' } })
    expect([deleted.statusCode, deleted.body]).toEqual([204, ''])
    expect((await send('GET', `/lead-fields/${id}`)).json().code).toBe('LEAD_FIELDS_NOT_FOUND')
    expect(test.leadFields.notes).toEqual(
      ['created', 'updated', 'deleted'].map((action) => ({ action, id, actor: 'id-of-admin' })),
    )
  })

  it('lets nobody change what he has not seen', async () => {
    const { id } = (await send('POST', '/lead-fields', { body: web })).json()
    const change = { fields: [] }
    for (const method of ['PUT', 'DELETE'] as const) {
      const body = method === 'PUT' ? { body: change } : {}
      const blind = await send(method, `/lead-fields/${id}`, body)
      expect([blind.statusCode, blind.json().code]).toEqual([428, 'PRECONDITION_REQUIRED'])
      for (const tag of ['"2"', 'W/"1"', '1', '']) {
        const late = await send(method, `/lead-fields/${id}`, { ...body, headers: { 'if-match': tag } })
        expect([late.statusCode, late.json().code, late.headers.etag]).toEqual([412, 'PRECONDITION_FAILED', '"1"'])
      }
    }
    expect(test.leadFields.notes).toHaveLength(1)
    expect((await send('PUT', `/lead-fields/${id}`, { body: change, headers: { 'if-match': '*' } })).statusCode).toBe(
      200,
    )
  })

  it('has one set of definitions per source, and a bound on sources', async () => {
    const { id } = (await send('POST', '/lead-fields', { body: web })).json()
    const again = await send('POST', '/lead-fields', { body: web })
    expect([again.statusCode, again.json().code, again.json().id]).toEqual([409, 'LEAD_FIELDS_EXIST', id])
    for (let i = 1; i < 100; i++) {
      expect((await send('POST', '/lead-fields', { body: { ...web, source: `s${i}` } })).statusCode).toBe(201)
    }
    const full = await send('POST', '/lead-fields', { body: { ...web, source: null } })
    expect([full.statusCode, full.json().code]).toEqual([409, 'LEAD_FIELDS_FULL'])
  })

  it('names every fault of definitions', async () => {
    const fields = [
      { name: 'a', type: 'string', pattern: '(a', min: 1 },
      { name: 'a', type: 'enum' },
    ]
    const answer = await send('POST', '/lead-fields', { body: { source: 'web', fields } })
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'INVALID_BODY'])
    expect(answer.json().errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
      '/fields/0/min',
      '/fields/0/pattern',
      '/fields/1/name',
      '/fields/1/values',
    ])
    const form = await send('POST', '/lead-fields', {
      body: { source: 'web', fields: [{ name: '-', type: 'x', y: 1 }] },
    })
    expect(
      form
        .json()
        .errors.map(({ pointer }: { pointer: string }) => pointer)
        .sort(),
    ).toEqual(['/fields/0/name', '/fields/0/type', '/fields/0/y'])
    expect(test.leadFields.kept.size).toBe(0)
  })

  it('is for admins', async () => {
    for (const role of ['user', 'analyst'] as const) {
      expect((await send('GET', '/lead-fields', { role })).statusCode).toBe(403)
      expect((await send('POST', '/lead-fields', { role, body: web })).statusCode).toBe(403)
    }
  })

  it('answers 503 while the store is away', async () => {
    test.leadFields.failure = new StorageError('UNAVAILABLE', 'away')
    expect((await send('GET', '/lead-fields')).json().code).toBe('STORE_UNAVAILABLE')
    expect((await send('POST', '/lead-fields', { body: web })).json().code).toBe('STORE_UNAVAILABLE')
  })
})

describe('leads of a source with fields', () => {
  const lead = { first_name: 'Ada', last_name: 'Lovelace', email: 'ada@example.com', source: 'web' }
  const good = { ...lead, attributes: { budget: 5 } }
  const bad = { ...lead, email: 'ada', attributes: { budget: '5', size: 1 } }
  const faultsOfBad = ['/attributes/budget', '/attributes/size', '/email']

  beforeEach(async () => {
    await send('POST', '/lead-fields', { body: web })
  })

  it.each(['/lead/process', '/lead/process-async'])('are checked at %s, all faults at once', async (path) => {
    const answer = await send('POST', path, { body: bad })
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'INVALID_BODY'])
    expect(
      answer
        .json()
        .errors.map(({ pointer }: { pointer: string }) => pointer)
        .sort(),
    ).toEqual(faultsOfBad)
    expect(test.leads.written).toEqual([])
    await send('POST', path, { body: good })
    expect(test.leads.written).toMatchObject([{ source: 'web', attributes: '{"budget":5}' }])
  })

  it('are checked one by one in bulk', async () => {
    const answer = await send('POST', '/leads/process-bulk', { body: [good, bad, { ...lead, source: 'shop' }] })
    expect(answer.statusCode).toBe(207)
    const [, rejected] = answer.json().results
    expect(rejected.errors.map(({ pointer }: { pointer: string }) => pointer).sort()).toEqual(
      faultsOfBad.map((pointer) => `/1${pointer}`),
    )
    expect(test.leads.written).toHaveLength(2)
  })

  it('are taken again as soon as the definitions are changed or gone', async () => {
    const [{ id }] = (await send('GET', '/lead-fields')).json().sources
    const changed = { fields: [{ ...budget, type: 'string', min: undefined }] }
    await send('PUT', `/lead-fields/${id}`, { body: changed, headers: { 'if-match': '*' } })
    const accept = async (attributes: object) =>
      (await send('POST', '/lead/process-async', { body: { ...lead, attributes } })).statusCode
    expect([await accept({ budget: '5', size: 1 }), await accept({})]).toEqual([202, 400])
    await send('DELETE', `/lead-fields/${id}`, { headers: { 'if-match': '*' } })
    expect(await accept({})).toBe(202)
  })

  it('are checked by the last definitions while the store is away', async () => {
    test.leadFields.failure = new StorageError('UNAVAILABLE', 'away')
    expect((await send('POST', '/lead/process-async', { body: bad })).statusCode).toBe(400)
    expect((await send('POST', '/lead/process-async', { body: good })).statusCode).toBe(202)
  })
})

it('a gateway that never had definitions refuses leads for now', async () => {
  const store = new MemoryLeadFields()
  store.failure = new StorageError('UNAVAILABLE', 'away')
  const live = new LiveLeadFields({ store, logger: test.app.log, nowMs: Date.now })
  const other = await openTestApp({ leadFields: live, leadFieldStore: store })
  const body = { first_name: 'Ada', last_name: 'Lovelace', email: 'ada@example.com' }
  const post = (url: string, payload: object) =>
    other.app.inject({ method: 'POST', url, headers: { authorization: other.bearer('user') }, payload })
  for (const [url, payload] of [
    ['/api/v1/lead/process', body],
    ['/api/v1/lead/process-async', body],
    ['/api/v1/leads/process-bulk', [body]],
  ] as const) {
    const answer = await post(url, payload)
    expect([answer.statusCode, answer.json().code, answer.headers['retry-after']]).toEqual([503, 'NOT_READY', '2'])
  }
  store.failure = undefined
  await live.refresh()
  expect((await post('/api/v1/lead/process-async', body)).statusCode).toBe(202)
  live.close()
  await other.close()
})
