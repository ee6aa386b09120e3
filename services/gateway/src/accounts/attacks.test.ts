import { createHmac, createSign, generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import {
  formatApiKey,
  hashPassword,
  hashSecret,
  makeApiKey,
  type Role,
  roles,
  type Scope,
  scopes,
} from '@millrace/storage/accounts'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { MemoryAccounts } from '../../test/memory-accounts.ts'
import { openTestApp, secret, type TestApp } from '../../test/test-app.ts'
import { loginFailuresMax } from '../limits.ts'
import type { AccountStores, SessionState } from './ports.ts'

/*
 * Attacks, each against the gateway as it is, and against a gateway without the defence in question: an attack that is refused either way
 * would prove nothing.
 */

/** Off: every role has every scope. */
const defences = vi.hoisted(() => ({ scopesOfRoles: true }))
vi.mock('@millrace/storage/accounts', async (original) => {
  const real = await original<typeof import('@millrace/storage/accounts')>()
  const roleScopes = (role: Role) => (defences.scopesOfRoles ? real.roleScopes(role) : real.scopes)
  return { ...real, roleScopes }
})

let test: TestApp
afterEach(() => test.close())

describe('who may do what', () => {
  beforeEach(async () => {
    defences.scopesOfRoles = true
    test = await openTestApp()
  })
  afterEach(() => {
    defences.scopesOfRoles = true
  })

  it('is as docs/api.md says, for every operation of the API and every caller', async () => {
    const { asked, surprises } = await askForEverything()
    expect(surprises).toEqual([])
    expect(asked).toBeGreaterThan(operations().length * (roles.length + scopes.length))
  })

  it('would be found out if roles had more than their scopes', async () => {
    defences.scopesOfRoles = false
    const { surprises } = await askForEverything()
    expect(surprises.join('\n')).toMatch(/^user: GET \/api\/v1\/leads gives 200, not 403$/m)
    expect(surprises.join('\n')).toMatch(/^analyst: POST \/events gives \d+, not 403$/m)
    expect(surprises.every((surprise) => /^(user|analyst|producer): /.test(surprise))).toBe(true)
  })

  const tricks: readonly { url: string; method?: 'POST' | 'HEAD'; headers?: Record<string, string> }[] = [
    { url: '/api/v1/leads' },
    { url: '/api/v1/leads', method: 'HEAD' },
    { url: '/api/v1/leads?role=admin&scope=leads:read&roles[]=admin&__proto__[role]=admin' },
    { url: '/api/v1/leads', headers: { 'x-role': 'admin', 'x-user-id': 'id-of-admin', 'x-forwarded-user': 'admin' } },
    { url: '/api/v1/leads', method: 'POST', headers: { 'x-http-method-override': 'GET', 'x-method-override': 'GET' } },
    { url: '/livez', headers: { 'x-original-url': '/api/v1/leads', 'x-rewrite-url': '/api/v1/leads' } },
    { url: '/api/v1/leads/' },
    { url: '//api/v1/leads' },
    { url: '/API/V1/leads' },
    { url: '/api/v1/./leads' },
    { url: '/api/v1/%6ceads' },
    { url: '/api/v1/leads;role=admin' },
    { url: '/api/v1/leads%00' },
    { url: '/api/v1/stats/../leads' },
  ]

  it.each(tricks)('is not changed by $method $url with $headers', async ({ url, method = 'GET', headers = {} }) => {
    const ask = (extra: Record<string, string>) => test.app.inject({ url, method, headers: { ...headers, ...extra } })
    for (const extra of [{}, { authorization: test.bearer('user') }]) {
      const answer = await ask(extra)
      expect(answer.body).not.toContain('"leads"')
      expect(answer.statusCode).toBeLessThan(500)
    }
    expect(
      (await test.app.inject({ url: '/api/v1/leads', headers: { authorization: test.bearer('admin') } })).body,
    ).toContain('"leads"')
  })

  it('is not changed by a role in the body of a login', async () => {
    const body = { username: 'user', password: 'x', role: 'admin' }
    const answer = await test.app.inject({ method: 'POST', url: '/api/v1/login', body })
    expect([answer.statusCode, answer.json().errors]).toEqual([
      400,
      [{ in: 'body', pointer: '/role', detail: 'is not a known field' }],
    ])
  })

  interface Operation {
    readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
    /** As the document writes it. */
    readonly path: string
    readonly url: string
  }

  /** Every operation of the document, also at the root where there is one, and HEAD beside GET. */
  function operations(): readonly Operation[] {
    const document = JSON.parse(JSON.stringify(test.app.apiDocument()))
    const found: Operation[] = []
    for (const [path, methods] of Object.entries<Record<string, unknown>>(document.paths)) {
      for (const name of Object.keys(methods)) {
        const method = name.toUpperCase() as Operation['method']
        for (const url of new Set([path, path.replace('/api/v1', '')])) {
          const pattern = url.replace(/\{(\w+)\}/g, ':$1')
          const filled = url.replace(/\{\w+\}/g, '7b0c1d2e-0000-4000-8000-000000000000')
          for (const asked of method === 'GET' ? (['GET', 'HEAD'] as const) : [method]) {
            if (test.app.hasRoute({ method: asked, url: pattern })) found.push({ method: asked, path, url: filled })
          }
        }
      }
    }
    return found
  }

  /** By "METHOD path": the scope, and the marks of the roles. */
  function documentedAccess(): ReadonlyMap<string, readonly string[]> {
    const page = readFileSync(new URL('../../../../docs/api.md', import.meta.url), 'utf8')
    const table = page.slice(page.indexOf('## Roles and routes'), page.indexOf('## Accounts'))
    const rows = table.split('\n').flatMap((line) => {
      const [, route, scope, ...marks] = line.split('|').map((cell) => cell.trim().replaceAll('`', ''))
      return route === undefined || scope === undefined ? [] : [[route, [scope, ...marks]] as const]
    })
    return new Map(rows)
  }

  function keyWith(scope: Scope): string {
    const key = makeApiKey()
    const owner = { userId: 'id-of-admin', username: 'admin', role: 'admin', disabled: false }
    const state = { ...owner, id: key.id, secretHash: hashSecret(key.secret), scopes: [scope], revoked: false }
    test.accounts.keys.set(key.id, { ...state, expiresAtMs: Date.now() + 60_000 })
    return formatApiKey(key)
  }

  async function askForEverything() {
    const access = documentedAccess()
    const surprises: string[] = []
    let asked = 0
    for (const operation of operations()) {
      const documentedMethod = operation.method === 'HEAD' ? 'GET' : operation.method
      const [scope = '', ...marks] = access.get(`${documentedMethod} ${operation.path}`) ?? []
      const isOpen = scope === '(open)'
      const ask = async (who: string, headers: Record<string, string>, wanted: 401 | 403 | 'in') => {
        asked++
        const { method, url } = operation
        const hasBody = method !== 'GET' && method !== 'HEAD'
        // A body and a parameter that no route takes: whoever is let in gets another answer than 401 and 403.
        const answer = await test.app.inject({
          method,
          url: url.includes('/leads') || hasBody ? url : `${url}?nonsense=1`,
          headers,
          ...(hasBody ? { body: {} } : {}),
        })
        const status = answer.statusCode
        const isIn = status !== 401 && status !== 403
        const isLogin = operation.path === '/api/v1/login'
        if (wanted === 'in' ? !isIn && !isLogin : status !== wanted) {
          surprises.push(`${who}: ${method} ${url} gives ${status}, not ${wanted}`)
        }
      }
      await ask('nobody', {}, isOpen ? 'in' : 401)
      for (const [index, role] of roles.entries()) {
        await ask(role, { authorization: test.bearer(role) }, marks[index] === '✓' ? 'in' : 403)
      }
      for (const held of scopes) {
        const isAllowed = isOpen || scope === held || (scope === '(any token)' && operation.path !== '/api/v1/logout')
        await ask(`key for ${held}`, { 'x-api-key': keyWith(held) }, isAllowed ? 'in' : 403)
      }
    }
    return { asked, surprises }
  }
})

describe('a forged token', () => {
  const now = Math.floor(Date.now() / 1_000)
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const header = { alg: 'HS256', typ: 'at+jwt' }
  const claims = {
    sub: 'id-of-admin',
    username: 'admin',
    role: 'admin',
    sid: 'session-1',
    jti: 'j',
    iss: 'millrace',
    aud: 'millrace-api',
    iat: now,
    exp: now + 600,
  }
  const hmac = (head: object, body: object, key: string, algorithm = 'sha256') => {
    const input = `${encode(head)}.${encode(body)}`
    return `${input}.${createHmac(algorithm, key).update(input).digest('base64url')}`
  }
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const rsa = (head: object) => {
    const input = `${encode(head)}.${encode(claims)}`
    return `${input}.${createSign('RSA-SHA256').update(input).sign(pair.privateKey).toString('base64url')}`
  }
  const unsigned = (alg: string) => `${encode({ alg, typ: 'at+jwt' })}.${encode(claims)}.`
  const jwk = pair.publicKey.export({ format: 'jwk' })

  const forged: readonly [string, string][] = [
    ['no algorithm', unsigned('none')],
    ['no algorithm, spelt None', unsigned('None')],
    ['no algorithm, spelt nOnE', unsigned('nOnE')],
    ['no signature', unsigned('HS256')],
    [
      'the signature of something else',
      `${hmac(header, { ...claims, role: 'user' }, secret).replace(/\.[^.]+\./, `.${encode(claims)}.`)}`,
    ],
    ['another key', hmac(header, claims, 'x'.repeat(48))],
    ['HS512 and our key', hmac({ ...header, alg: 'HS512' }, claims, secret, 'sha512')],
    ['RS256 and a key of its own', rsa({ alg: 'RS256', typ: 'at+jwt' })],
    ['RS256 and its key in the header', rsa({ alg: 'RS256', typ: 'at+jwt', jwk })],
    ['a public key as secret', hmac(header, claims, pem)],
    ['a public key as secret, after a line break', hmac(header, claims, `\n${pem}`)],
    ['a key id that is an empty file', hmac({ ...header, kid: '../../../../dev/null' }, claims, '')],
    ['a key id that is SQL', hmac({ ...header, kid: "x' UNION SELECT 'key" }, claims, 'key')],
    ['a key to be fetched', hmac({ ...header, jku: 'https://evil.example/jwks.json' }, claims, 'key')],
    ['a certificate to be fetched', hmac({ ...header, x5u: 'https://evil.example/cert.pem' }, claims, 'key')],
    ['its key in the header', hmac({ ...header, jwk: { kty: 'oct', k: 'a2V5' } }, claims, 'key')],
    ['an unknown critical header', hmac({ ...header, crit: ['b64'], b64: false }, claims, secret)],
    ['another type', hmac({ ...header, typ: 'JWT' }, claims, secret)],
    ['another audience', hmac(header, { ...claims, aud: 'other' }, secret)],
    ['another issuer', hmac(header, { ...claims, iss: 'other' }, secret)],
    ['a beginning in the future', hmac(header, { ...claims, nbf: now + 300 }, secret)],
    ['an end far from its beginning', hmac(header, { ...claims, iat: now - 90_000 }, secret)],
  ]

  const session = { id: 'session-1', userId: 'id-of-admin', username: 'admin', role: 'admin' }

  async function profile(token: string) {
    test.accounts.addSession({ ...session, expiresAtMs: (now + 3_600) * 1_000 })
    const headers = { authorization: `Bearer ${token}` }
    return await test.app.inject({ url: '/api/v1/user/profile', headers })
  }

  it.each(forged)('with %s is refused, and would be taken if tokens were only decoded', async (_, token) => {
    test = await openTestApp()
    const answer = await profile(token)
    expect([answer.statusCode, answer.json().detail]).toEqual([
      401,
      'The token is not valid, or not any more: log in again.',
    ])
    await test.close()
    test = await openTestApp({}, (app) => {
      const decode = (text: string) => JSON.parse(Buffer.from(text.split('.')[1] ?? '', 'base64url').toString())
      Object.assign(app.jwt, { verify: decode })
    })
    expect((await profile(token)).json()).toMatchObject({ user_id: 'id-of-admin', role: 'admin' })
  })

  it('is told from one that is ours', async () => {
    test = await openTestApp()
    expect((await profile(hmac(header, claims, secret))).statusCode).toBe(200)
  })
})

describe('a token that was good', () => {
  const passwordHash = hashPassword('password')
  let memory: MemoryAccounts

  async function open(change: Partial<AccountStores> = {}) {
    memory = new MemoryAccounts(Date.now)
    const ann = { id: 'ann-1', username: 'ann', role: 'analyst', passwordHash: await passwordHash, disabled: false }
    memory.byName.set('ann', ann)
    test = await openTestApp({ accounts: { ...memory, ...change } })
  }

  /** Sessions are not looked at: whatever is asked for is the analyst's, and good. */
  const unwatched = () => {
    const good = { userId: 'ann-1', username: 'ann', role: 'analyst', disabled: false, ended: false }
    const states = async (ids: readonly string[]): Promise<SessionState[]> =>
      ids.map((id) => ({ ...good, id, expiresAtMs: Date.now() + 60_000 }))
    return { sessions: { ...new MemoryAccounts(Date.now).sessions, states } }
  }

  const post = (url: string, body?: object, headers: Record<string, string> = {}) =>
    test.app.inject({ method: 'POST', url, headers, ...(body === undefined ? {} : { body }) })
  const login = async () => (await post('/api/v1/login', { username: 'ann', password: 'password' })).json()
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
  const profile = async (token: string) =>
    (await test.app.inject({ url: '/api/v1/user/profile', headers: bearer(token) })).statusCode

  const endings: readonly [string, (pair: { token: string; refresh_token: string }) => Promise<unknown>][] = [
    ['its logout', ({ token }) => post('/api/v1/logout', undefined, bearer(token))],
    [
      'its refresh token came twice',
      async ({ refresh_token }) => {
        await post('/api/v1/token/refresh', { refresh_token })
        await post('/api/v1/token/refresh', { refresh_token })
      },
    ],
    ['its account was disabled', async () => memory.change('ann-1', { disabled: true })],
    ['its account was given another role', async () => memory.change('ann-1', { role: 'producer' })],
  ]

  it.each(endings)('is refused after %s, and would not be if nobody looked', async (_, end) => {
    await open()
    const pair = await login()
    expect(await profile(pair.token)).toBe(200)
    await end(pair)
    await test.credentials.refresh()
    expect(await profile(pair.token)).toBe(401)
    await test.close()
    await open(unwatched())
    const other = await login()
    await end(other)
    await test.credentials.refresh()
    expect(await profile(other.token)).toBe(200)
  })
})

describe('guessing a password', () => {
  async function guess(change: Partial<AccountStores>): Promise<readonly number[]> {
    const memory = new MemoryAccounts(Date.now)
    const passwordHash = await hashPassword('password')
    memory.byName.set('ann', { id: 'ann-1', username: 'ann', role: 'analyst', passwordHash, disabled: false })
    test = await openTestApp({ accounts: { ...memory, ...change } })
    const statuses: number[] = []
    for (let i = 0; i <= loginFailuresMax; i++) {
      const body = { username: 'ann', password: i === loginFailuresMax ? 'password' : `guess ${i}` }
      // From everywhere: the bound per address is another one.
      const remoteAddress = `10.0.0.${i + 1}`
      const answer = await test.app.inject({ method: 'POST', url: '/api/v1/login', body, remoteAddress })
      statuses.push(answer.statusCode)
    }
    return statuses
  }

  it('is stopped after ten times, and would succeed if nobody counted', async () => {
    const wrong = Array.from({ length: loginFailuresMax }, () => 401)
    expect(await guess({})).toEqual([...wrong, 429])
    await test.close()
    const uncounted = new MemoryAccounts(Date.now).attempts
    const begin = async () => ({ attempts: 1, windowEndsAtMs: Date.now() })
    expect(await guess({ attempts: { ...uncounted, begin } })).toEqual([...wrong, 200])
  })
})
