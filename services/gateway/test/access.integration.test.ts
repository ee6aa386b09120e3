import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { hashPassword, type Role } from '@millrace/storage/accounts'
import { createApiKeyRepository, createAuditRepository, createUserRepository } from '@millrace/storage/mysql'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loginFailuresMax } from '../src/limits.ts'
import { type RunningGateway, startGateway } from './running-gateway.ts'
import { openServers, type RealServers } from './servers.ts'

const password = 'correct horse battery'
const passwordHash = await hashPassword(password)
/** Sessions and keys are read again every 2 s; the rest is for a busy machine. */
const soon = { timeout: 30_000, interval: 100 }
let servers: RealServers
let here: RunningGateway
let there: RunningGateway

beforeAll(async () => {
  servers = await openServers()
  here = await startGateway()
  there = await startGateway()
})
afterAll(async () => {
  await here?.stop()
  await there?.stop()
  await servers?.close()
})

const users = () => createUserRepository(servers.mysql)

async function makeUser(role: Role) {
  const user = { id: randomUUID(), username: `u-${randomUUID().slice(0, 8)}`, role }
  await users().create({ ...user, passwordHash }, 'test')
  return user
}

async function post(gateway: RunningGateway, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const answer = await fetch(gateway.url + path, {
    method: 'POST',
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  return { status: answer.status, json: text === '' ? undefined : JSON.parse(text) }
}

async function login(gateway: RunningGateway, username: string) {
  const answer = await post(gateway, '/api/v1/login', { username, password })
  expect(answer.status).toBe(200)
  return answer.json
}

const refresh = (gateway: RunningGateway, token: string) =>
  post(gateway, '/api/v1/token/refresh', { refresh_token: token })

async function profile(gateway: RunningGateway, headers: Record<string, string>): Promise<number> {
  const answer = await fetch(`${gateway.url}/api/v1/user/profile`, { headers })
  await answer.body?.cancel()
  return answer.status
}
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

/** Waits until both gateways answer so. */
async function bothSoon(headers: Record<string, string>, status: number): Promise<void> {
  for (const gateway of [here, there]) await expect.poll(() => profile(gateway, headers), soon).toBe(status)
}

async function millrace(...args: string[]): Promise<string> {
  const main = fileURLToPath(new URL('../../cli/src/main.ts', import.meta.url))
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  await once(child, 'close')
  expect(child.exitCode).toBe(0)
  return output.trim()
}

describe('a session', () => {
  it('is good at every gateway, and over at every one after its logout', async () => {
    const { username } = await makeUser('analyst')
    const pair = await login(here, username)
    await bothSoon(bearer(pair.token), 200)
    expect((await post(here, '/api/v1/logout', undefined, bearer(pair.token))).status).toBe(204)
    expect(await profile(here, bearer(pair.token))).toBe(401)
    await bothSoon(bearer(pair.token), 401)
    expect((await refresh(there, pair.refresh_token)).status).toBe(401)
  })

  it('goes on wherever it is refreshed, and ends everywhere when a token comes twice', async () => {
    const { username } = await makeUser('analyst')
    const first = await login(here, username)
    const second = (await refresh(there, first.refresh_token)).json
    const third = (await refresh(here, second.refresh_token)).json
    await bothSoon(bearer(third.token), 200)
    expect((await refresh(there, first.refresh_token)).json.code).toBe('INVALID_REFRESH_TOKEN')
    for (const { token } of [first, second, third]) await bothSoon(bearer(token), 401)
    expect((await refresh(here, third.refresh_token)).status).toBe(401)
  })

  it.each([
    ['disabled', (id: string) => sql`UPDATE users SET disabled = true WHERE id = ${id}`],
    ['given another role', (id: string) => sql`UPDATE users SET role = 'user' WHERE id = ${id}`],
  ])('is over when its account is %s, even by hand, and so is its stream', async (_, change) => {
    const { id, username } = await makeUser('analyst')
    const { token } = await login(here, username)
    await bothSoon(bearer(token), 200)
    const stream = await fetch(`${there.url}/stats/stream`, { headers: bearer(token) })
    expect(stream.status).toBe(200)
    const ended = stream.text()
    await servers.mysql.run('changing an account', (database) => database.execute(change(id)))
    await bothSoon(bearer(token), 401)
    expect(await ended).toContain('event: ready')
  })

  it('is over when the password is changed', async () => {
    const { username } = await makeUser('analyst')
    const pair = await login(here, username)
    await bothSoon(bearer(pair.token), 200)
    await users().update(username, { passwordHash: await hashPassword('another password') }, 'test')
    await bothSoon(bearer(pair.token), 401)
    expect((await refresh(here, pair.refresh_token)).status).toBe(401)
  })
})

describe('an API key', () => {
  const event = { event_id: randomUUID(), user_id: 'u', event_type: 'key', timestamp: 1_700_000_000, metadata: {} }

  it('is made by the command line, taken everywhere, and refused everywhere once it is revoked', async () => {
    const { username } = await makeUser('producer')
    const key = await millrace('keys', 'create', username, '--scopes', 'events:write', '--label', 'till')
    expect((await post(here, '/events', event, { 'x-api-key': key })).status).toBe(202)
    expect((await post(there, '/events', event, bearer(key))).status).toBe(202)
    expect((await fetch(`${there.url}/stats`, { headers: { 'x-api-key': key } })).status).toBe(403)
    const [, id = ''] = key.split('_')
    expect(await millrace('keys', 'list', username)).toContain(id)
    await millrace('keys', 'revoke', id)
    await bothSoon({ 'x-api-key': key }, 401)
  })

  it('is made over HTTP at one gateway, listed at another, and refused everywhere once it is revoked', async () => {
    const admin = await makeUser('admin')
    const { username } = await makeUser('producer')
    const { token } = await login(here, admin.username)
    const made = await post(here, '/api/v1/api-keys', { username, scopes: ['events:write'] }, bearer(token))
    expect(made).toMatchObject({ status: 201, json: { username, scopes: ['events:write'] } })
    const { key, key_id: id } = made.json
    expect((await post(there, '/events', event, { 'x-api-key': key })).status).toBe(202)

    const listed = await fetch(`${there.url}/api/v1/api-keys?username=${username}`, { headers: bearer(token) })
    const text = await listed.text()
    expect(JSON.parse(text)).toMatchObject({ keys: [{ key_id: id, state: 'good' }], truncated: false })
    // `mk_<id>_<secret>`, and a secret may have more of these strokes, also at its begin.
    expect(text).not.toContain(key.split('_').slice(2).join('_'))

    const revoked = await fetch(`${here.url}/api/v1/api-keys/${id}`, { method: 'DELETE', headers: bearer(token) })
    expect(revoked.status).toBe(204)
    expect(await profile(here, { 'x-api-key': key })).toBe(401)
    await bothSoon({ 'x-api-key': key }, 401)
    const entries = (await createAuditRepository(servers.mysql).newest(100)).filter(({ subject }) => subject === id)
    expect(entries.map(({ action, actor }) => [action, actor])).toEqual([
      ['api_key_revoked', admin.id],
      ['api_key_created', admin.id],
    ])
    expect(entries[0]?.requestId).toBe(revoked.headers.get('x-request-id'))
  })

  it('leaves behind when it was last used', async () => {
    const { username } = await makeUser('producer')
    const key = await millrace('keys', 'create', username, '--scopes', 'events:write')
    const beforeMs = Date.now()
    const other = await startGateway()
    expect(await profile(other, { 'x-api-key': key })).toBe(200)
    await other.stop()
    const [listed] = await createApiKeyRepository(servers.mysql).list(username)
    expect(listed?.lastUsedAtMs).toBeGreaterThanOrEqual(beforeMs)
  })
})

describe('guessing', () => {
  it('is over after ten times, at whatever gateway, under whatever spelling, after whatever restart', async () => {
    const { username } = await makeUser('analyst')
    const spellings = [username, username.toUpperCase(), username.replace('u', 'ü'), `${username} `]
    const guess = async (gateway: RunningGateway, text: string, name = username) =>
      (await post(gateway, '/api/v1/login', { username: name, password: text })).status
    const statuses: number[] = []
    for (let i = 0; i < loginFailuresMax; i++) {
      statuses.push(await guess(i % 2 === 0 ? here : there, 'wrong', spellings[i % spellings.length]))
    }
    expect(new Set(statuses)).toEqual(new Set([401]))
    const restarted = await startGateway()
    for (const gateway of [here, there, restarted]) {
      for (const name of spellings) expect([name, await guess(gateway, password, name)]).toEqual([name, 429])
    }
    await restarted.stop()
  })
})

describe('the audit log', () => {
  it('tells it all, names nobody, and holds', async () => {
    const audit = createAuditRepository(servers.mysql)
    const { id, username } = await makeUser('analyst')
    const pair = await login(here, username)
    await post(here, '/api/v1/login', { username, password: 'wrong' })
    await refresh(here, (await refresh(here, pair.refresh_token)).json.refresh_token)
    await refresh(here, pair.refresh_token)
    const entries = (await audit.newest(50)).filter(({ actor, subject }) => actor === id || subject === id)
    expect(entries.map(({ action }) => action).toReversed()).toEqual([
      'user_created',
      'authn_login_success',
      'authn_login_fail',
      'authn_token_reuse',
    ])
    const text = JSON.stringify(await audit.newest(1_000))
    for (const secret of [username, password, pair.token, pair.refresh_token]) expect(text).not.toContain(secret)
    expect(await audit.verify()).toMatchObject({ brokenAt: undefined })
    expect(await millrace('audit', 'verify')).toMatch(/^\d+ entries, all as they were written/)
    for (const gateway of [here, there]) {
      for (const secret of [username, password, pair.token, pair.refresh_token]) {
        expect(gateway.log()).not.toContain(secret)
      }
    }
  })
})
