import { createHmac } from 'node:crypto'
import { hashPassword, type Role, roles } from '@millrace/storage/accounts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTestApp, secret, signToken, type TestApp } from '../test/test-app.ts'
import { GatewayError } from './errors.ts'

let test: TestApp

beforeAll(async () => {
  test = await openTestApp()
  const passwordHash = await hashPassword('password')
  test.accounts.byName.set('admin', { id: 'id-1', username: 'admin', role: 'admin', passwordHash, disabled: false })
})
afterAll(() => test.close())

const event = { event_id: 'e-1', user_id: 'u-1', event_type: 'view', timestamp: 1_700_000_000, metadata: { value: 1 } }
const lead = { first_name: 'Ada', last_name: 'Lovelace', email: 'ada@example.com' }

/** Every route that is not public, with a request that is right but for the caller. */
const guarded: readonly {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  url: string
  body?: object
  roles: readonly Role[]
}[] = [
  { method: 'GET', url: '/api/v1/user/profile', roles },
  { method: 'POST', url: '/api/v1/user/profile', roles },
  { method: 'POST', url: '/api/v1/logout', roles },
  { method: 'POST', url: '/api/v1/events', body: event, roles: ['admin', 'producer'] },
  { method: 'POST', url: '/events', body: event, roles: ['admin', 'producer'] },
  { method: 'GET', url: '/api/v1/events', roles: ['admin', 'analyst'] },
  { method: 'GET', url: '/events', roles: ['admin', 'analyst'] },
  { method: 'GET', url: '/api/v1/events/e-1/receipt', roles: ['admin', 'analyst'] },
  { method: 'GET', url: '/events/e-1/receipt', roles: ['admin', 'analyst'] },
  { method: 'GET', url: '/api/v1/stats', roles: ['admin', 'analyst'] },
  { method: 'GET', url: '/stats', roles: ['admin', 'analyst'] },
  { method: 'GET', url: '/api/v1/stats/stream?time_interval=nonsense', roles: ['admin', 'analyst'] },
  { method: 'GET', url: '/stats/stream?time_interval=nonsense', roles: ['admin', 'analyst'] },
  { method: 'POST', url: '/api/v1/lead/process', body: lead, roles: ['admin', 'user'] },
  { method: 'POST', url: '/api/v1/lead/process-async', body: lead, roles: ['admin', 'user'] },
  { method: 'POST', url: '/api/v1/leads/process-bulk', body: [lead], roles: ['admin', 'user'] },
  { method: 'GET', url: '/api/v1/leads', roles: ['admin'] },
  { method: 'GET', url: '/api/v1/leads/7b0c1d2e-0000-4000-8000-000000000000', roles: ['admin'] },
  { method: 'DELETE', url: '/api/v1/leads/7b0c1d2e-0000-4000-8000-000000000000', roles: ['admin'] },
  { method: 'GET', url: '/api/v1/leads/7b0c1d2e-0000-4000-8000-000000000000/export', roles: ['admin'] },
  { method: 'GET', url: '/api/v1/lead-fields', roles: ['admin'] },
  { method: 'POST', url: '/api/v1/lead-fields', body: { source: 'web', fields: [] }, roles: ['admin'] },
  { method: 'GET', url: '/api/v1/lead-fields/7b0c1d2e-0000-4000-8000-000000000000', roles: ['admin'] },
  {
    method: 'PUT',
    url: '/api/v1/lead-fields/7b0c1d2e-0000-4000-8000-000000000000',
    body: { fields: [] },
    roles: ['admin'],
  },
  { method: 'DELETE', url: '/api/v1/lead-fields/7b0c1d2e-0000-4000-8000-000000000000', roles: ['admin'] },
  { method: 'GET', url: '/api/v1/api-keys', roles: ['admin'] },
  { method: 'POST', url: '/api/v1/api-keys', body: {}, roles: ['admin'] },
  { method: 'DELETE', url: '/api/v1/api-keys/AbCdEf0123456789', roles: ['admin'] },
  { method: 'GET', url: '/api/v1/ops/lag', roles: ['admin'] },
  { method: 'GET', url: '/api/v1/ops/reconciliation', roles: ['admin'] },
  { method: 'GET', url: '/api/v1/ops/dead-letters/events.dlq', roles: ['admin'] },
  { method: 'GET', url: '/api/v1/ops/dead-letters/events.dlq/0', roles: ['admin'] },
  { method: 'POST', url: '/api/v1/ops/dead-letters/events.dlq/replay', body: {}, roles: ['admin'] },
]

const publicRoutes = [
  '/',
  '/api/v1/health',
  '/livez',
  '/readyz',
  '/metrics',
  '/openapi.json',
  '/docs/',
  '/docs/js/scalar.js',
]

describe('access', () => {
  it('has a rule in this test for every route', () => {
    const paths = new Set([...guarded.map((route) => `${route.method} ${route.url.split('?')[0]}`)])
    const document = JSON.parse(JSON.stringify(test.app.apiDocument()))
    const described = Object.entries<Record<string, { security?: unknown[] }>>(document.paths).flatMap(
      ([path, methods]) =>
        Object.entries(methods)
          .filter(([, operation]) => operation.security === undefined)
          .map(
            ([method]) =>
              `${method.toUpperCase()} ${path
                .replace(/\{(lead_)?id\}/, '7b0c1d2e-0000-4000-8000-000000000000')
                .replace('{key_id}', 'AbCdEf0123456789')
                .replace('{event_id}', 'e-1')
                .replace('{topic}', 'events.dlq')
                .replace('{offset}', '0')}`,
          ),
    )
    expect(described.filter((route) => !paths.has(route))).toEqual([])
  })

  it.each(publicRoutes)('%s is open', async (url) => {
    const answer = await test.app.inject({ url })
    expect([url, answer.statusCode]).toEqual([url, url === '/' ? 404 : 200])
  })

  describe.each(guarded)('$method $url', ({ method, url, body, roles: allowed }) => {
    it('wants a token', async () => {
      const answer = await test.app.inject({ method, url, ...(body === undefined ? {} : { body }) })
      expect(answer.statusCode).toBe(401)
      expect(answer.headers['content-type']).toBe('application/problem+json')
      expect(answer.headers['www-authenticate']).toBe('Bearer realm="millrace"')
      expect(answer.json()).toMatchObject({
        status: 401,
        code: 'UNAUTHENTICATED',
        type: 'urn:millrace:problem:unauthenticated',
      })
    })

    it.each(roles)('by role %s', async (role) => {
      const headers = { authorization: test.bearer(role) }
      const answer = await test.app.inject({ method, url, headers, ...(body === undefined ? {} : { body }) })
      if (allowed.includes(role)) expect([401, 403]).not.toContain(answer.statusCode)
      else {
        expect(answer.statusCode).toBe(403)
        expect(answer.headers['content-type']).toBe('application/problem+json')
        expect(answer.json()).toMatchObject({ status: 403, code: 'FORBIDDEN' })
      }
    })
  })

  it('is refused before the body is read', async () => {
    const before = test.events.written.length
    const headers = { authorization: test.bearer('analyst'), 'content-type': 'application/json' }
    const answer = await test.app.inject({ method: 'POST', url: '/events', headers, body: '{"broken' })
    expect(answer.statusCode).toBe(403)
    expect(test.events.written).toHaveLength(before)
  })

  it('keeps the service from starting when a route has no rule', async () => {
    const opening = openTestApp({}, (app) => app.get('/open-by-mistake', async () => 'secret'))
    await expect(opening).rejects.toThrow('routes without config.access: GET /open-by-mistake')
  })
})

describe('a token', () => {
  const now = Math.floor(Date.now() / 1_000)
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = {
    sub: 's',
    username: 'admin',
    role: 'admin',
    jti: 'j',
    sid: 'session-of-s',
    iss: 'millrace',
    aud: 'millrace-api',
    iat: now,
    exp: now + 600,
  }
  const forge = (header: object, payload: object, algorithm = 'sha256', key = secret) => {
    const input = `${encode(header)}.${encode(payload)}`
    return `${input}.${createHmac(algorithm, key).update(input).digest('base64url')}`
  }
  const header = { alg: 'HS256', typ: 'at+jwt' }
  const without = (name: string) => Object.fromEntries(Object.entries(claims).filter(([key]) => key !== name))

  beforeAll(() => {
    test.accounts.addSession({
      id: 'session-of-s',
      userId: 's',
      username: 'admin',
      role: 'admin',
      expiresAtMs: (now + 3_600) * 1_000,
    })
  })

  it('that is ours is taken', async () => {
    const answer = await profile(forge(header, claims))
    expect(answer.json()).toMatchObject({ user_id: 's', role: 'admin', token_expires_at: (now + 600) * 1_000 })
    expect(answer.statusCode).toBe(200)
  })

  it.each([
    ['none of ours', 'nonsense'],
    ['an empty one', ''],
    ['one with spaces', 'a b c'],
    ['a very long one', `a.${'b'.repeat(100_000)}.c`],
    ['one without signature', `${encode(header)}.${encode(claims)}.`],
    ['algorithm none', `${encode({ alg: 'none', typ: 'at+jwt' })}.${encode(claims)}.`],
    ['algorithm nOnE', `${encode({ alg: 'nOnE', typ: 'at+jwt' })}.${encode(claims)}.`],
    ['algorithm none, signed', forge({ alg: 'none', typ: 'at+jwt' }, claims)],
    ['another key', forge(header, claims, 'sha256', 'x'.repeat(40))],
    ['HS512 with our key', forge({ alg: 'HS512', typ: 'at+jwt' }, claims, 'sha512')],
    ['another type', forge({ alg: 'HS256', typ: 'JWT' }, claims)],
    ['no type', forge({ alg: 'HS256' }, claims)],
    ['an unknown critical header', forge({ ...header, crit: ['x'], x: 1 }, claims)],
    ['expired', forge(header, { ...claims, iat: now - 700, exp: now - 60 })],
    ['no exp', forge(header, without('exp'))],
    ['a text as exp', forge(header, { ...claims, exp: String(now + 600) })],
    ['a list as exp', forge(header, { ...claims, exp: [now + 600] })],
    ['an exp far ahead of an old iat', forge(header, { ...claims, iat: now - 5_000, exp: now + 600 })],
    ['no iat', forge(header, without('iat'))],
    ['an iat in the future', forge(header, { ...claims, iat: now + 300 })],
    ['an nbf in the future', forge(header, { ...claims, nbf: now + 300 })],
    ['no sub', forge(header, without('sub'))],
    ['a number as sub', forge(header, { ...claims, sub: 7 })],
    ['no jti', forge(header, without('jti'))],
    ['no session', forge(header, without('sid'))],
    ['a session that there is not', forge(header, { ...claims, sid: 'another' })],
    ['the session of somebody else', forge(header, { ...claims, sub: 'somebody else' })],
    ['another role than the account has', forge(header, { ...claims, role: 'user' })],
    ['no role', forge(header, without('role'))],
    ['an unknown role', forge(header, { ...claims, role: 'emperor' })],
    ['a list of roles', forge(header, { ...claims, role: ['admin'] })],
    ['another issuer', forge(header, { ...claims, iss: 'other' })],
    ['no issuer', forge(header, without('iss'))],
    ['another audience', forge(header, { ...claims, aud: 'other' })],
    ['no audience', forge(header, without('aud'))],
    ['claims that are no object', `${encode(header)}.${Buffer.from('null').toString('base64url')}.x`],
  ])('with %s is refused with 401', async (_, token) => {
    const answer = await profile(token)
    expect(answer.statusCode).toBe(401)
    expect(answer.headers['content-type']).toBe('application/problem+json')
    expect(answer.headers['www-authenticate']).toBe('Bearer realm="millrace", error="invalid_token"')
    expect(answer.json().detail).toBe('The token is not valid, or not any more: log in again.')
  })

  it.each(['Basic YTpi', 'Bearer', 'bearer\ttoken', 'Token abc'])(
    'in the header %j is refused with 401',
    async (authorization) => {
      const answer = await test.app.inject({ url: '/api/v1/user/profile', headers: { authorization } })
      expect(answer.statusCode).toBe(401)
    },
  )

  it('is what the login gives', async () => {
    const login = await test.app.inject({
      method: 'POST',
      url: '/api/v1/login',
      body: { username: 'admin', password: 'password' },
    })
    expect(login.statusCode).toBe(200)
    expect(login.json()).toMatchObject({ token_type: 'Bearer', expires_in: 900 })
    expect(login.headers['cache-control']).toBe('no-store')
    const answer = await profile(login.json().token)
    expect(answer.json()).toMatchObject({ user_id: 'id-1', username: 'admin', roles: ['admin'] })
  })

  it('is not given for a wrong password, an unknown account, or a body with faults', async () => {
    const post = (body: object) => test.app.inject({ method: 'POST', url: '/api/v1/login', body })
    const wrong = await post({ username: 'admin', password: 'x' })
    const unknown = await post({ username: 'nobody', password: 'password' })
    expect([wrong.statusCode, unknown.statusCode]).toEqual([401, 401])
    expect(wrong.json().detail).toBe(unknown.json().detail)
    const faulty = await post({ username: 7, pass: 'x' })
    expect(faulty.statusCode).toBe(400)
    expect(
      faulty
        .json()
        .errors.map((fault: { pointer: string }) => fault.pointer)
        .sort(),
    ).toEqual(['/pass', '/password', '/username'])
  })

  function profile(token: string) {
    return test.app.inject({ url: '/api/v1/user/profile', headers: { authorization: `Bearer ${token}` } })
  }
})

describe('errors', () => {
  const inject = (options: object) => test.app.inject({ headers: { authorization: test.bearer('admin') }, ...options })

  it.each([
    [{ url: '/nothing' }, 404, 'ROUTE_NOT_FOUND'],
    [{ url: '/api/v1/nothing', method: 'DELETE' }, 404, 'ROUTE_NOT_FOUND'],
    [{ url: '/api/v1/login', method: 'GET' }, 405, 'METHOD_NOT_ALLOWED'],
    [{ url: '/api/v1/leads/x', method: 'PATCH' }, 405, 'METHOD_NOT_ALLOWED'],
    [{ url: '/api/v1/leads/not-a-uuid' }, 400, 'INVALID_PARAMETER'],
    [{ url: '/api/v1/leads/7b0c1d2e-0000-4000-8000-000000000000' }, 404, 'LEAD_NOT_FOUND'],
    [{ url: `/api/v1/leads/${'x'.repeat(200)}` }, 414, 'URI_TOO_LONG'],
    [{ url: '/api/v1/leads/%E0%A4%A' }, 400, 'BAD_REQUEST'],
    [{ url: '/api/v1/events?limit=0' }, 400, 'INVALID_PARAMETER'],
  ])('%j is a problem', async (options, status, code) => {
    const answer = await inject(options)
    expect(answer.headers['content-type']).toBe('application/problem+json')
    expect(answer.json()).toMatchObject({ status, code, title: expect.any(String), detail: expect.any(String) })
    expect(answer.statusCode).toBe(status)
    expect(answer.json().request_id).toBe(answer.headers['x-request-id'])
  })

  it('say which methods an address knows', async () => {
    const answer = await inject({ url: '/events', method: 'PUT' })
    expect(answer.headers.allow).toBe('GET, HEAD, POST')
  })

  it.each([
    ['text/plain', 'x', 415],
    ['application/xml', '<a/>', 415],
    ['application/json; charset=latin1', '{}', 415],
    ['application/jsonx', '{}', 415],
    ['', '{}', 415],
  ])('for a body of type %j', async (type, body, status) => {
    for (const url of ['/api/v1/login', '/events', '/api/v1/lead/process-async', '/api/v1/leads/process-bulk']) {
      const headers = { authorization: test.bearer('admin'), 'content-type': type }
      const answer = await test.app.inject({ method: 'POST', url, headers, body })
      expect([url, answer.statusCode, answer.json().code]).toEqual([url, status, 'UNSUPPORTED_MEDIA_TYPE'])
    }
  })

  it('for a body in an encoding that is not supported', async () => {
    const headers = {
      authorization: test.bearer('admin'),
      'content-type': 'application/json',
      'content-encoding': 'br',
    }
    const answer = await test.app.inject({ method: 'POST', url: '/events', headers, body: 'x' })
    expect([answer.statusCode, answer.json().code]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE'])
  })

  it('for a body that is too large', async () => {
    const body = { ...lead, attributes: { a: 'x'.repeat(70_000) } }
    const answer = await inject({ method: 'POST', url: '/api/v1/lead/process-async', body })
    expect([answer.statusCode, answer.json().code]).toEqual([413, 'BODY_TOO_LARGE'])
    const events = await inject({
      method: 'POST',
      url: '/events',
      body: [{ ...event, metadata: { a: 'x'.repeat(8_400_000) } }],
    })
    expect([events.statusCode, events.json().code]).toEqual([413, 'BODY_TOO_LARGE'])
  })

  it('of ours tell the client nothing about us', async () => {
    const refuse = () => Promise.reject(new Error("Duplicate entry 'a@b.c' at 10.0.0.5:3306"))
    const failing = await openTestApp({
      eventStore: { page: refuse, receipts: refuse, storedSince: refuse },
    })
    const answer = await failing.app.inject({ url: '/events', headers: { authorization: failing.bearer('admin') } })
    expect(answer.statusCode).toBe(500)
    expect(answer.headers['content-type']).toBe('application/problem+json')
    expect(answer.body).not.toContain('Duplicate')
    expect(answer.body).not.toContain('10.0.0.5')
    expect(answer.json()).toMatchObject({ code: 'INTERNAL', request_id: answer.headers['x-request-id'] })
    expect(failing.logLines.join('')).toContain('Duplicate entry')
    expect(failing.logLines.join('')).toContain(answer.json().request_id)
    await failing.close()
  })

  it('are told to try again when that helps', async () => {
    test.events.failure = new GatewayError('KAFKA_UNAVAILABLE', 'away')
    const answer = await inject({ method: 'POST', url: '/events', body: event })
    test.events.failure = undefined
    expect(answer.statusCode).toBe(503)
    expect(answer.headers['retry-after']).toBe('2')
  })
})

describe('protection', () => {
  it('bounds the requests of one account, whatever address they come from', async () => {
    const few = await openTestApp({ rateLimitPerMinute: 2 })
    const get = (role: Role, from: string) =>
      few.app.inject({
        url: '/api/v1/user/profile',
        remoteAddress: from,
        headers: { authorization: few.bearer(role), 'x-forwarded-for': from },
      })
    const statuses = [await get('admin', '10.0.0.1'), await get('admin', '10.0.0.2'), await get('admin', '10.0.0.3')]
    expect(statuses.map((answer) => answer.statusCode)).toEqual([200, 200, 429])
    const refused = statuses[2]
    expect(refused?.json()).toMatchObject({ status: 429, code: 'RATE_LIMITED' })
    expect(Number(refused?.headers['retry-after'])).toBeGreaterThan(0)
    expect((await get('user', '10.0.0.1')).statusCode).toBe(200)
    await few.close()
  })

  it('counts unknown callers behind a trusted proxy by what the proxy says, and by nothing that stands before it', async () => {
    const few = await openTestApp({ rateLimitPerMinute: 2, trustedProxies: ['10.0.0.0/8', '::1'] })
    const statusOf = async (forwardedFor: string, remoteAddress = '10.0.0.1') => {
      const headers = { 'x-forwarded-for': forwardedFor }
      return (await few.app.inject({ url: '/nothing', remoteAddress, headers })).statusCode
    }
    for (const made of ['1.1.1.1', '2.2.2.2']) expect(await statusOf(`${made}, 198.51.100.7, 10.0.0.2`)).toBe(404)
    expect(await statusOf('3.3.3.3, 198.51.100.7')).toBe(429)
    expect(await statusOf('198.51.100.8')).toBe(404)
    // No proxy of ours.
    for (const made of ['1.1.1.1', '2.2.2.2']) expect(await statusOf(made, '198.51.100.9')).toBe(404)
    expect(await statusOf('3.3.3.3', '198.51.100.9')).toBe(429)
    await few.close()
  })

  it('bounds what finds nothing, too', async () => {
    const few = await openTestApp({ rateLimitPerMinute: 2 })
    const statuses: number[] = []
    for (const url of ['/a', '/b', '/c']) statuses.push((await few.app.inject({ url })).statusCode)
    expect(statuses).toEqual([404, 404, 429])
    await few.close()
  })

  it('sends security headers, and lets no other origin in', async () => {
    const answer = await test.app.inject({ url: '/livez', headers: { origin: 'https://evil.example' } })
    expect(answer.headers['access-control-allow-origin']).toBeUndefined()
    expect(answer.headers['x-content-type-options']).toBe('nosniff')
    expect(answer.headers['content-security-policy']).toContain("default-src 'none';script-src 'self'")
  })

  it('lets the origins in that are listed', async () => {
    const listed = await openTestApp({ corsOrigins: ['https://app.example'] })
    const preflight = (origin: string) =>
      listed.app.inject({
        method: 'OPTIONS',
        url: '/events',
        headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
      })
    expect((await preflight('https://app.example')).headers['access-control-allow-origin']).toBe('https://app.example')
    expect((await preflight('https://evil.example')).headers['access-control-allow-origin']).not.toBe(
      'https://evil.example',
    )
    await listed.close()
  })

  it('lets the page of the docs run its own script and no other', async () => {
    const answer = await test.app.inject({ url: '/docs/' })
    const policy = String(answer.headers['content-security-policy'])
    expect(policy).toMatch(/script-src 'self' 'sha256-[A-Za-z0-9+/=]{44}';/)
    expect(answer.body).not.toMatch(/https?:\/\/cdn/)
  })
})

describe('the log of the API', () => {
  it('has an entry for every request, without bodies or personal data', async () => {
    test.apiLogs.length = 0
    const headers = { authorization: test.bearer('producer') }
    await test.app.inject({ method: 'POST', url: '/events', headers, body: [event, {}] })
    await test.app.inject({ url: '/api/v1/leads/7b0c1d2e-0000-4000-8000-000000000000?x=1', headers })
    await test.app.inject({ url: '/nothing' })
    await test.app.inject({ url: '/livez' })
    expect(test.apiLogs).toMatchObject([
      {
        method: 'POST',
        route: '/events',
        principal: 'id-of-producer',
        role: 'producer',
        status: 202,
        accepted: 1,
        rejected: 1,
        error_code: null,
      },
      { method: 'GET', route: '/api/v1/leads/:lead_id', status: 403, error_code: 'FORBIDDEN', accepted: null },
      { method: 'GET', route: '(unknown)', status: 404, error_code: 'ROUTE_NOT_FOUND', principal: null },
    ])
    const [entry] = test.apiLogs
    expect(entry?.request_bytes).toBe(JSON.stringify([event, {}]).length)
    expect(entry?.response_bytes).toBeGreaterThan(10)
    expect(entry?.duration_ms).toBeGreaterThan(0)
    expect(entry?.content_type).toBe('application/json')
  })
})

describe('health', () => {
  it('tells each dependency with state and latency, and no reasons', async () => {
    const checks = [
      { name: 'kafka', run: () => {} },
      { name: 'mysql', required: false, run: () => Promise.reject(new Error('10.0.0.5 refused')) },
    ]
    const sick = await openTestApp({
      checks,
      readiness: [{ name: 'kafka', run: () => Promise.reject(new Error('x')) }],
    })
    const answer = await sick.app.inject({ url: '/api/v1/health' })
    expect(answer.statusCode).toBe(200)
    expect(answer.json()).toMatchObject({
      status: 'degraded',
      version: '0.0.0-test',
      checks: { kafka: { status: 'ok' }, mysql: { status: 'down' } },
    })
    expect(answer.body).not.toContain('refused')
    expect((await sick.app.inject({ url: '/readyz' })).statusCode).toBe(503)
    expect((await sick.app.inject({ url: '/api/v1/livez' })).statusCode).toBe(200)
    await sick.close()
  })

  it('has figures for Prometheus', async () => {
    const answer = await test.app.inject({ url: '/metrics' })
    expect(answer.headers['content-type']).toMatch(/^text\/plain; version=/)
    expect(answer.body).toContain('millrace_gateway_request_duration_seconds_count')
  })
})

describe('the document of the API', () => {
  it('is OpenAPI 3.1 with an operation for every route', async () => {
    const document = (await test.app.inject({ url: '/openapi.json' })).json()
    expect(document.openapi).toBe('3.1.0')
    expect(Object.keys(document.paths).sort()).toEqual([
      '/api/v1/api-keys',
      '/api/v1/api-keys/{key_id}',
      '/api/v1/events',
      '/api/v1/events/{event_id}/receipt',
      '/api/v1/health',
      '/api/v1/lead-fields',
      '/api/v1/lead-fields/{id}',
      '/api/v1/lead/process',
      '/api/v1/lead/process-async',
      '/api/v1/leads',
      '/api/v1/leads/process-bulk',
      '/api/v1/leads/{lead_id}',
      '/api/v1/leads/{lead_id}/export',
      '/api/v1/login',
      '/api/v1/logout',
      '/api/v1/ops/dead-letters/{topic}',
      '/api/v1/ops/dead-letters/{topic}/replay',
      '/api/v1/ops/dead-letters/{topic}/{offset}',
      '/api/v1/ops/lag',
      '/api/v1/ops/reconciliation',
      '/api/v1/stats',
      '/api/v1/stats/stream',
      '/api/v1/token/refresh',
      '/api/v1/user/profile',
      '/livez',
      '/metrics',
      '/readyz',
    ])
    expect(Object.keys(document.paths['/api/v1/events'].post.requestBody.content)).toEqual([
      'application/json',
      'application/x-ndjson',
      'application/avro',
      'avro/binary',
    ])
  })
})

describe('closing', () => {
  it('sends new requests away with a problem', async () => {
    const closing = await openTestApp()
    await closing.close()
    await expect(closing.app.inject({ url: '/livez' })).rejects.toThrow()
    expect(signToken(test, 'user')).toMatch(/\./)
  })
})
