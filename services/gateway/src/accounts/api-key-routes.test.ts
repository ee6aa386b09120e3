import { type Role, scopes } from '@millrace/storage/accounts'
import { apiKeysMax } from '@millrace/storage/mysql'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openTestApp, type TestApp } from '../../test/test-app.ts'

const nowMs = Date.UTC(2026, 0, 1)
const dayMs = 86_400_000
let test: TestApp

beforeEach(async () => {
  test = await openTestApp()
  for (const role of ['admin', 'producer', 'analyst'] as const) {
    test.accounts.byName.set(role, { id: `id-of-${role}`, username: role, role, passwordHash: '', disabled: false })
  }
})
afterEach(() => test.close())

async function ask(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object, headers?: Record<string, string>) {
  const answer = await test.app.inject({
    method,
    url: `/api/v1/api-keys${path}`,
    headers: headers ?? { authorization: test.bearer('admin') },
    ...(body === undefined ? {} : { body }),
  })
  return { status: answer.statusCode, headers: answer.headers, body: answer.body === '' ? undefined : answer.json() }
}

const make = (body: object, headers?: Record<string, string>) => ask('POST', '', body, headers)

/** Whether the key lets its holder in. */
async function profileOf(key: string) {
  const answer = await test.app.inject({ url: '/api/v1/user/profile', headers: { 'x-api-key': key } })
  return { status: answer.statusCode, ...answer.json() }
}

describe('making a key', () => {
  it('shows it once, for the account and the scopes that were named, and notes who made it', async () => {
    const beforeMs = Date.now()
    const made = await make({ username: 'producer', scopes: ['events:write'], label: 'shop', expires_in_days: 2 })
    expect(made).toMatchObject({
      status: 201,
      body: { username: 'producer', scopes: ['events:write'], label: 'shop', key: expect.stringMatching(/^mk_/) },
    })
    expect(made.headers['cache-control']).toBe('no-store')
    expect(made.body.expires_at).toBeGreaterThanOrEqual(beforeMs + 2 * dayMs)
    expect(made.body.expires_at).toBeLessThanOrEqual(Date.now() + 2 * dayMs)
    expect(await profileOf(made.body.key)).toMatchObject({
      status: 200,
      username: 'producer',
      scopes: ['events:write'],
    })
    const [change] = test.accounts.keyChanges
    expect(change).toEqual({
      action: 'created',
      id: made.body.key_id,
      actor: 'id-of-admin',
      requestId: made.headers['x-request-id'],
    })
    const secret = made.body.key.split('_').slice(2).join('_')
    expect(JSON.stringify([test.logLines, test.apiLogs, [...test.accounts.keys.values()]])).not.toContain(secret)
  })

  it('is for the own account and a year unless said otherwise', async () => {
    const made = await make({ scopes: ['stats:read'] })
    expect(made).toMatchObject({ status: 201, body: { username: 'admin', label: '' } })
    expect(made.body.expires_at).toBeGreaterThan(Date.now() + 364 * dayMs)
  })

  it.each([
    [{ username: 'producer', scopes: ['events:write', 'leads:read'] }, ['/scopes/1']],
    [{ username: 'nobody', scopes: ['events:write'] }, ['/username']],
    [{ username: 'producer', scopes: [] }, ['/scopes']],
    [{ username: 'producer', scopes: ['everything'] }, ['/scopes/0']],
    [{ scopes: ['events:write'], label: 'x'.repeat(129), expires_in_days: 731 }, ['/expires_in_days', '/label']],
    [{ scopes: ['events:write'], label: 'two\nlines' }, ['/label']],
    [{ username: 'producer' }, ['/scopes']],
  ])('refuses %j', async (body, pointers) => {
    const refused = await make(body)
    expect(refused).toMatchObject({ status: 400, body: { code: 'INVALID_BODY' } })
    expect(refused.body.errors.map(({ pointer }: { pointer: string }) => pointer).sort()).toEqual(pointers)
    expect(test.accounts.keys.size).toBe(0)
  })

  it('gives nobody more than the maker has', async () => {
    const maker = await make({ scopes: ['api-keys:write', 'stats:read'] })
    const by = { 'x-api-key': maker.body.key }
    expect(await make({ scopes: ['stats:read'] }, by)).toMatchObject({ status: 201 })
    const refused = await make({ scopes: ['stats:read', 'leads:read'] }, by)
    expect(refused).toMatchObject({ status: 400, body: { errors: [{ pointer: '/scopes/1' }] } })
  })

  it('ends at the bound of an account', async () => {
    for (let i = 0; i < apiKeysMax; i++) await make({ username: 'producer', scopes: ['events:write'] })
    expect(await make({ username: 'producer', scopes: ['events:write'] })).toMatchObject({
      status: 409,
      body: { code: 'API_KEY_LIMIT' },
    })
    expect(await make({ scopes: ['events:write'] })).toMatchObject({ status: 201 })
  })

  it('says 503 when the store does not answer, and makes nothing', async () => {
    const headers = { authorization: test.bearer('admin') }
    await ask('GET', '', undefined, headers)
    test.accounts.failure = new Error('away')
    expect((await make({ scopes: ['events:write'] }, headers)).status).toBeGreaterThanOrEqual(500)
    test.accounts.failure = undefined
    expect(test.accounts.keys.size).toBe(0)
  })
})

describe('listing keys', () => {
  const key = (id: string, change: object = {}) => ({
    id,
    secretHash: '',
    userId: 'id-of-producer',
    username: 'producer',
    role: 'producer',
    disabled: false,
    scopes: ['events:write'] as const,
    expiresAtMs: Date.now() + dayMs,
    revoked: false,
    ...change,
  })

  it('tells the state of each, and never its hash', async () => {
    const { keys, keyUses } = test.accounts
    for (const one of [
      key('a'),
      key('b', { revoked: true }),
      key('c', { expiresAtMs: nowMs }),
      key('d', { disabled: true }),
    ])
      keys.set(one.id, one)
    keyUses.set('a', nowMs)
    const { status, body } = await ask('GET', '')
    expect(status).toBe(200)
    expect(body.truncated).toBe(false)
    const states = body.keys.map((one: { key_id: string; state: string }) => [one.key_id, one.state])
    expect(states).toEqual([
      ['d', 'account_disabled'],
      ['c', 'expired'],
      ['b', 'revoked'],
      ['a', 'good'],
    ])
    expect(body.keys[3]).toMatchObject({ last_used_at: nowMs })
    expect(body.keys[2]).toMatchObject({ last_used_at: null })
    expect(JSON.stringify(body)).not.toMatch(/hash|secret/i)
  })

  it('is of one account when asked so, and bounded', async () => {
    const { keys } = test.accounts
    for (const id of ['a', 'b', 'c']) keys.set(id, key(id))
    keys.set('x', key('x', { username: 'analyst' }))
    expect((await ask('GET', '?username=analyst')).body.keys).toHaveLength(1)
    const page = await ask('GET', '?username=producer&limit=2')
    expect(page.body).toMatchObject({ truncated: true, keys: [{ key_id: 'c' }, { key_id: 'b' }] })
    expect(await ask('GET', '?limit=1001')).toMatchObject({ status: 400, body: { code: 'INVALID_PARAMETER' } })
  })
})

describe('revoking a key', () => {
  it('ends it at once on this gateway, is noted, and happens once', async () => {
    const { body } = await make({ username: 'producer', scopes: ['events:write'] })
    expect(await profileOf(body.key)).toMatchObject({ status: 200 })
    const revoked = await ask('DELETE', `/${body.key_id}`)
    expect(revoked.status).toBe(204)
    expect(await profileOf(body.key)).toMatchObject({ status: 401 })
    expect(test.accounts.keyChanges[1]).toEqual({
      action: 'revoked',
      id: body.key_id,
      actor: 'id-of-admin',
      requestId: revoked.headers['x-request-id'],
    })
    expect(await ask('DELETE', `/${body.key_id}`)).toMatchObject({ status: 404, body: { code: 'API_KEY_NOT_FOUND' } })
    expect(await ask('DELETE', '/nobody')).toMatchObject({ status: 404 })
  })
})

it.each<Role>(['user', 'analyst', 'producer'])('is nothing for the role %s', async (role) => {
  const headers = { authorization: test.bearer(role) }
  const answers = await Promise.all([
    ask('GET', '', undefined, headers),
    make({ scopes: [scopes[0]] }, headers),
    ask('DELETE', '/a', undefined, headers),
  ])
  expect(answers.map(({ status }) => status)).toEqual([403, 403, 403])
})
