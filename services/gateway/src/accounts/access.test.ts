import { formatApiKey, hashPassword, hashSecret, makeApiKey, type Scope } from '@millrace/storage/accounts'
import { StorageError } from '@millrace/storage/mysql'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { MemoryAccounts } from '../../test/memory-accounts.ts'
import { openTestApp, type TestApp } from '../../test/test-app.ts'
import { accessStaleMsMax, sessionIdleMs } from '../limits.ts'

const passwordHash = await hashPassword('correct horse')
const startMs = Date.now()
let nowMs = startMs
let test: TestApp
let accounts: MemoryAccounts

beforeEach(async () => {
  nowMs = startMs
  test = await openTestApp({ nowMs: () => nowMs })
  accounts = test.accounts
  accounts.byName.set('ann', { id: 'ann-1', username: 'ann', role: 'analyst', passwordHash, disabled: false })
})
afterEach(() => test.close())

const post = (url: string, body?: object, headers: Record<string, string> = {}) =>
  test.app.inject({ method: 'POST', url, headers, ...(body === undefined ? {} : { body }) })
const login = async () => (await post('/api/v1/login', { username: 'ann', password: 'correct horse' })).json()
const refresh = (token: string) => post('/api/v1/token/refresh', { refresh_token: token })
const profile = (token: string) =>
  test.app.inject({ url: '/api/v1/user/profile', headers: { authorization: `Bearer ${token}` } })

function addKey(change: { scopes?: Scope[]; role?: string; expiresAtMs?: number; disabled?: boolean } = {}) {
  const key = makeApiKey()
  accounts.keys.set(key.id, {
    id: key.id,
    secretHash: hashSecret(key.secret),
    userId: 'machine-1',
    username: 'machine',
    role: 'producer',
    disabled: false,
    scopes: ['events:write'],
    expiresAtMs: nowMs + 86_400_000,
    revoked: false,
    ...change,
  })
  return { ...key, text: formatApiKey(key) }
}

/** What the timer does every two seconds. */
const refreshStates = () => test.credentials.refresh()

describe('tokens', () => {
  it('come in pairs, and the refresh token brings the next pair', async () => {
    const first = await login()
    expect(first).toMatchObject({ token_type: 'Bearer', expires_in: 900, refresh_expires_in: 86_400 })
    expect(first.refresh_token).toMatch(/^mr_/)
    nowMs += 600_000
    const answer = await refresh(first.refresh_token)
    const second = answer.json()
    expect([answer.statusCode, answer.headers['cache-control']]).toEqual([200, 'no-store'])
    expect(second).toMatchObject({ token_type: 'Bearer', expires_in: 900, refresh_expires_in: 85_800 })
    expect((await profile(second.token)).json()).toMatchObject({ user_id: 'ann-1', role: 'analyst' })
    expect((await refresh(second.refresh_token)).statusCode).toBe(200)
  })

  it('end with their session, however often they are refreshed', async () => {
    let pair = await login()
    for (let hours = 0; hours < 23; hours += 1) {
      nowMs += 3_600_000
      pair = (await refresh(pair.refresh_token)).json()
    }
    nowMs += 3_590_000
    pair = (await refresh(pair.refresh_token)).json()
    expect(pair).toMatchObject({ expires_in: 10, refresh_expires_in: 10 })
    nowMs += 10_000
    expect((await refresh(pair.refresh_token)).json().code).toBe('INVALID_REFRESH_TOKEN')
    expect((await profile(pair.token)).statusCode).toBe(401)
  })

  it('are over for everybody when a refresh token comes twice', async () => {
    const first = await login()
    const second = (await refresh(first.refresh_token)).json()
    const stolen = await refresh(first.refresh_token)
    expect([stolen.statusCode, stolen.json().code]).toEqual([401, 'INVALID_REFRESH_TOKEN'])
    expect((await refresh(second.refresh_token)).statusCode).toBe(401)
    for (const { token } of [first, second]) expect((await profile(token)).statusCode).toBe(401)
  })

  it('cannot be refreshed after a day without it', async () => {
    const pair = await login()
    nowMs += sessionIdleMs + 1
    expect((await refresh(pair.refresh_token)).statusCode).toBe(401)
  })

  it.each(['', 'x', `mr_${'a'.repeat(22)}_${'b'.repeat(43)}`, 'a'.repeat(200)])(
    'are not given for the refresh token %j',
    async (token) => {
      const answer = await refresh(token)
      expect([400, 401]).toContain(answer.statusCode)
      expect(answer.headers['content-type']).toBe('application/problem+json')
    },
  )

  it('are not good for one another', async () => {
    const pair = await login()
    expect((await profile(pair.refresh_token)).statusCode).toBe(401)
    expect((await refresh(pair.token.slice(0, 128))).statusCode).toBe(401)
  })

  it('are over after a logout, which touches no other session', async () => {
    const here = await login()
    const there = await login()
    expect((await profile(here.token)).statusCode).toBe(200)
    const out = await post('/api/v1/logout', undefined, { authorization: `Bearer ${here.token}` })
    expect([out.statusCode, out.body]).toEqual([204, ''])
    expect((await profile(here.token)).statusCode).toBe(401)
    expect((await refresh(here.refresh_token)).statusCode).toBe(401)
    expect((await post('/api/v1/logout', undefined, { authorization: `Bearer ${here.token}` })).statusCode).toBe(401)
    expect((await profile(there.token)).statusCode).toBe(200)
  })

  it.each([{ disabled: true }, { role: 'user' }])(
    'are over with the next look at an account that was changed by %j',
    async (change) => {
      const pair = await login()
      expect((await profile(pair.token)).statusCode).toBe(200)
      accounts.change('ann-1', change)
      await refreshStates()
      expect((await profile(pair.token)).statusCode).toBe(401)
    },
  )

  it('say the new role after a refresh', async () => {
    const pair = await login()
    accounts.change('ann-1', { role: 'user' })
    const next = (await refresh(pair.refresh_token)).json()
    await refreshStates()
    expect((await profile(next.token)).json()).toMatchObject({ role: 'user', scopes: ['leads:write'] })
  })

  it('cost no query while they are in use', async () => {
    const pair = await login()
    for (let i = 0; i < 50; i++) expect((await profile(pair.token)).statusCode).toBe(200)
    expect(accounts.reads).toHaveLength(1)
    await refreshStates()
    expect(accounts.reads).toHaveLength(2)
  })

  it('stay good while the store is away, for as long as they live, and new ones are refused', async () => {
    const known = await login()
    const other = await login()
    await profile(known.token)
    accounts.failure = new StorageError('UNAVAILABLE', 'away')
    nowMs += 890_000
    expect((await profile(known.token)).statusCode).toBe(200)
    const unknown = await profile(other.token)
    expect([unknown.statusCode, unknown.json().code]).toEqual([503, 'STORE_UNAVAILABLE'])
    expect((await refresh(known.refresh_token)).statusCode).toBe(503)
    nowMs += 10_000
    expect((await profile(known.token)).statusCode).toBe(401)
  })
})

describe('an API key', () => {
  const withKey = (headers: Record<string, string>, url = '/api/v1/user/profile') => test.app.inject({ url, headers })

  it('is taken in either header', async () => {
    const { text } = addKey()
    for (const headers of [
      { authorization: `Bearer ${text}` },
      { authorization: `bearer ${text}` },
      { 'x-api-key': text },
    ]) {
      const answer = await withKey(headers)
      expect(answer.json()).toMatchObject({
        user_id: 'machine-1',
        username: 'machine',
        role: 'producer',
        scopes: ['events:write'],
        token_expires_at: Math.floor((nowMs + 86_400_000) / 1_000) * 1_000,
      })
    }
  })

  it('may do what it was made for, and no more than its account', async () => {
    const event = { event_id: 'e', user_id: 'u', event_type: 't', timestamp: 1, metadata: {} }
    const writer = addKey({ scopes: ['events:write', 'leads:read'] })
    const reader = addKey({ role: 'analyst', scopes: ['stats:read'] })
    const send = (text: string) => post('/events', event, { 'x-api-key': text })
    expect((await send(writer.text)).statusCode).toBe(202)
    expect((await send(reader.text)).statusCode).toBe(403)
    // Its account is a producer: a scope that the key has and the role has not is none.
    expect((await withKey({ 'x-api-key': writer.text }, '/api/v1/leads')).statusCode).toBe(403)
    expect((await withKey({ 'x-api-key': reader.text }, '/api/v1/stats')).statusCode).toBe(200)
    expect((await withKey({ 'x-api-key': reader.text }, '/api/v1/events')).json().detail).toContain('This API key')
  })

  it.each<[string, (text: string) => Record<string, string>]>([
    ['another secret', (text) => ({ 'x-api-key': `${text.slice(0, -1)}${text.endsWith('A') ? 'B' : 'A'}` })],
    ['another id', (text) => ({ 'x-api-key': text.replace(/^mk_..../, 'mk_aaaa') })],
    ['no form of a key', () => ({ 'x-api-key': 'secret' })],
    ['spaces around', (text) => ({ 'x-api-key': `"${text}"` })],
    ['two keys', (text) => ({ 'x-api-key': `${text}, ${text}` })],
    ['a token beside it', (text) => ({ 'x-api-key': text, authorization: `Bearer ${text}` })],
    ['another scheme', (text) => ({ authorization: `Basic ${text}` })],
    ['nothing', () => ({ 'x-api-key': '' })],
  ])('with %s is refused', async (_, headersOf) => {
    const answer = await withKey(headersOf(addKey().text))
    expect(answer.statusCode).toBe(401)
    expect(answer.headers['content-type']).toBe('application/problem+json')
    expect(answer.headers['www-authenticate']).toContain('Bearer realm="millrace"')
  })

  it('ends at its time, with its account, and when it is revoked', async () => {
    const { id, text } = addKey({ expiresAtMs: nowMs + 1_000 })
    expect((await withKey({ 'x-api-key': text })).statusCode).toBe(200)
    nowMs += 1_000
    expect((await withKey({ 'x-api-key': text })).statusCode).toBe(401)
    const off = addKey({ disabled: true })
    expect((await withKey({ 'x-api-key': off.text })).statusCode).toBe(401)
    const revoked = addKey()
    expect((await withKey({ 'x-api-key': revoked.text })).statusCode).toBe(200)
    const state = accounts.keys.get(revoked.id)
    if (state !== undefined) accounts.keys.set(revoked.id, { ...state, revoked: true })
    await refreshStates()
    expect((await withKey({ 'x-api-key': revoked.text })).statusCode).toBe(401)
    expect(accounts.keys.has(id)).toBe(true)
  })

  it('costs no query while it is in use, and its last use is written down once for many', async () => {
    const { id, text } = addKey()
    for (let i = 0; i < 20; i++) await withKey({ 'x-api-key': text })
    expect(accounts.reads).toEqual([[id]])
    expect(accounts.keyUses.size).toBe(0)
    await test.close()
    expect([...accounts.keyUses]).toEqual([[id, nowMs]])
  })

  it('stays good while the store is away, up to a bound', async () => {
    const { text } = addKey()
    await withKey({ 'x-api-key': text })
    accounts.failure = new StorageError('UNAVAILABLE', 'away')
    nowMs += accessStaleMsMax
    expect((await withKey({ 'x-api-key': text })).statusCode).toBe(200)
    nowMs += 1
    expect((await withKey({ 'x-api-key': text })).statusCode).toBe(503)
  })

  it('has no session to log out of', async () => {
    const answer = await post('/api/v1/logout', undefined, { 'x-api-key': addKey().text })
    expect([answer.statusCode, answer.json().code]).toEqual([403, 'FORBIDDEN'])
  })
})

describe('a caller that stays', () => {
  it('is live until its session, account or key is not', async () => {
    const pair = await login()
    const principal = await test.credentials.identify({ authorization: `Bearer ${pair.token}` })
    const { id, text } = addKey()
    const machine = await test.credentials.identify({ 'x-api-key': text })
    expect([await test.credentials.isLive(principal), await test.credentials.isLive(machine)]).toEqual([true, true])
    accounts.change('ann-1', { disabled: true })
    accounts.keys.delete(id)
    await refreshStates()
    expect([await test.credentials.isLive(principal), await test.credentials.isLive(machine)]).toEqual([false, false])
    accounts.change('ann-1', { disabled: false })
    await refreshStates()
    expect(await test.credentials.isLive(principal)).toBe(true)
    nowMs += 900_000
    expect(await test.credentials.isLive(principal)).toBe(false)
  })
})
