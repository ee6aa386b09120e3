import { readFileSync } from 'node:fs'
import { formatApiKey, hashSecret, makeApiKey, type Role, roles, type Scope, scopes } from '@millrace/storage/accounts'
import { describe, expect, it, vi } from 'vitest'
import { type AttackedGateway, attackGateway } from './attacked-gateway.ts'
import { mustFailWithout } from './proof.ts'
import { exchange } from './raw-http.ts'

/** Off: every role has every scope. */
const defences = vi.hoisted(() => ({ scopesOfRoles: true }))
vi.mock('@millrace/storage/accounts', async (original) => {
  const real = await original<typeof import('@millrace/storage/accounts')>()
  const roleScopes = (role: Role) => (defences.scopesOfRoles ? real.roleScopes(role) : real.scopes)
  return { ...real, roleScopes }
})

interface Operation {
  readonly method: string
  /** As the document writes it. */
  readonly path: string
  readonly url: string
}

const someId = '7b0c1d2e-0000-4000-8000-000000000000'

/** Every operation of the API's document, also at the root where there is one, and HEAD beside GET. */
async function operations({ ask, test }: AttackedGateway): Promise<readonly Operation[]> {
  const { body: document } = await ask('/openapi.json')
  const found: Operation[] = []
  for (const [path, methods] of Object.entries<Record<string, unknown>>(document.paths)) {
    for (const name of Object.keys(methods)) {
      const method = name.toUpperCase()
      for (const url of new Set([path, path.replace('/api/v1', '')])) {
        const pattern = url.replace(/\{(\w+)\}/g, ':$1')
        const filled = url.replace(/\{\w+\}/g, someId)
        for (const asked of method === 'GET' ? ['GET', 'HEAD'] : [method]) {
          if (test.app.hasRoute({ method: asked as 'GET', url: pattern }))
            found.push({ method: asked, path, url: filled })
        }
      }
    }
  }
  return found
}

/** What docs/api.md says, by "METHOD path": the scope, and the marks of the roles. */
function documentedAccess(): ReadonlyMap<string, readonly string[]> {
  const page = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8')
  const table = page.slice(page.indexOf('## Roles and routes'), page.indexOf('## Accounts'))
  const rows = table.split('\n').flatMap((line) => {
    const [, route, scope, ...marks] = line.split('|').map((cell) => cell.trim().replaceAll('`', ''))
    return route === undefined || scope === undefined ? [] : [[route, [scope, ...marks]] as const]
  })
  return new Map(rows)
}

function keyWith({ test }: AttackedGateway, scope: Scope): string {
  const key = makeApiKey()
  const owner = { userId: 'id-of-admin', username: 'admin', role: 'admin', disabled: false }
  const state = { ...owner, id: key.id, secretHash: hashSecret(key.secret), scopes: [scope], revoked: false }
  test.accounts.keys.set(key.id, { ...state, expiresAtMs: Date.now() + 600_000 })
  return formatApiKey(key)
}

/** Asks for every operation as everybody, and compares with the documentation. */
async function askForEverything(gateway: AttackedGateway) {
  const access = documentedAccess()
  const surprises: string[] = []
  let asked = 0
  const all = await operations(gateway)
  for (const { method, path, url } of all) {
    const [scope = '', ...marks] = access.get(`${method === 'HEAD' ? 'GET' : method} ${path}`) ?? []
    const isOpen = scope === '(open)'
    const expectStatus = async (who: string, headers: Record<string, string>, wanted: 401 | 403 | 'in') => {
      asked++
      const hasBody = method !== 'GET' && method !== 'HEAD'
      // A body and a parameter that no route takes: whoever is let in gets another answer than 401 and 403.
      const target = url.includes('/leads') || hasBody ? url : `${url}?nonsense=1`
      const { status } = await gateway.ask(target, { method, headers, ...(hasBody ? { body: {} } : {}) })
      const isIn = status !== 401 && status !== 403
      const isWrong = wanted === 'in' ? !isIn && path !== '/api/v1/login' : status !== wanted
      if (isWrong) surprises.push(`${who}: ${method} ${url} gives ${status}, not ${wanted}`)
    }
    await expectStatus('nobody', {}, isOpen ? 'in' : 401)
    for (const [index, role] of roles.entries()) {
      const headers = { authorization: gateway.test.bearer(role) }
      await expectStatus(role, headers, marks[index] === '✓' ? 'in' : 403)
    }
    for (const held of scopes) {
      const isAllowed = isOpen || scope === held || (scope === '(any token)' && path !== '/api/v1/logout')
      await expectStatus(`key for ${held}`, { 'x-api-key': keyWith(gateway, held) }, isAllowed ? 'in' : 403)
    }
  }
  return { asked, surprises, operations: all.length }
}

async function everything(): Promise<void> {
  await attackGateway(async (gateway) => {
    const { asked, surprises, operations: count } = await askForEverything(gateway)
    expect(surprises).toEqual([])
    expect(asked).toBe(count * (1 + roles.length + scopes.length))
    expect(count).toBeGreaterThan(20)
  })
}

describe('S08 who may do what', () => {
  it('is as docs/api.md says, for every operation of the API and every caller', everything)
  it('proof: it would be found out if roles had more than their scopes', () =>
    mustFailWithout(defences, 'scopesOfRoles', everything))

  const tricks: readonly { url: string; method?: string; headers?: Record<string, string> }[] = [
    { url: '/api/v1/leads' },
    { url: '/api/v1/leads', method: 'HEAD' },
    { url: '/api/v1/leads', method: 'OPTIONS' },
    { url: '/api/v1/leads', method: 'PATCH' },
    { url: '/api/v1/leads?role=admin&scope=leads:read&roles[]=admin&__proto__[role]=admin' },
    { url: '/api/v1/leads?access_token=x&api_key=x' },
    { url: '/api/v1/leads', headers: { 'x-role': 'admin', 'x-user-id': 'id-of-admin', 'x-forwarded-user': 'admin' } },
    { url: '/api/v1/leads', method: 'POST', headers: { 'x-http-method-override': 'GET', 'x-method-override': 'GET' } },
    { url: '/api/v1/leads', headers: { cookie: 'role=admin; session=session-1' } },
    { url: '/livez', headers: { 'x-original-url': '/api/v1/leads', 'x-rewrite-url': '/api/v1/leads' } },
    { url: '/api/v1/leads/' },
    { url: '//api/v1/leads' },
    { url: '/API/V1/leads' },
    { url: '/api/v1/./leads' },
    { url: '/api/v1/%6ceads' },
    { url: '/api/v1/%2e/leads' },
    { url: '/api/v1/leads;role=admin' },
    { url: '/api/v1/leads%00' },
    { url: '/api/v1/leads%20' },
    { url: '/api/v1/stats/../leads' },
    { url: '/docs/../api/v1/leads' },
    { url: 'http://127.0.0.1/api/v1/leads' },
  ]

  /** Raw, because clients tidy addresses up. */
  async function askRaw({ port }: AttackedGateway, trick: (typeof tricks)[number], extra: Record<string, string>) {
    const headers = Object.entries({ ...trick.headers, ...extra }).map(([name, value]) => `${name}: ${value}\r\n`)
    const { method = 'GET', url } = trick
    return await exchange(port, [
      `${method} ${url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers.join('')}\r\n`,
    ])
  }

  async function trickAll(): Promise<void> {
    await attackGateway(async (gateway) => {
      for (const trick of tricks) {
        for (const extra of [{}, { authorization: gateway.test.bearer('user') }]) {
          const { text, statuses } = await askRaw(gateway, trick, extra)
          expect([trick.url, text.includes('"leads":'), statuses.length]).toEqual([trick.url, false, 1])
          expect(statuses[0], trick.url).toBeLessThan(500)
        }
      }
      const [plain = { url: '' }] = tricks
      expect((await askRaw(gateway, plain, { authorization: gateway.test.bearer('admin') })).text).toContain('"leads":')
    })
  }
  it('is not changed by tricks with addresses, methods, headers and parameters', trickAll)
  it('proof: the tricks would show leads to a role that had every scope', () =>
    mustFailWithout(defences, 'scopesOfRoles', trickAll))

  it('is not changed by fields that the caller has no business with', async () => {
    await attackGateway(async ({ ask, test }) => {
      for (const field of ['role', 'roles', 'scopes', 'user_id', 'submitted_by', 'status', 'lead_id', 'tenant_id']) {
        const login = await ask('/api/v1/login', { body: { username: 'user', password: 'x', [field]: 'admin' } })
        expect([field, login.status, login.body.errors[0].pointer]).toEqual([field, 400, `/${field}`])
        const body = { first_name: 'A', last_name: 'B', email: 'a@b.example', [field]: 'admin' }
        const lead = await ask('/api/v1/lead/process-async', { role: 'user', body })
        expect([field, lead.status]).toEqual([field, 400])
      }
      const mine = await ask('/api/v1/lead/process-async', {
        role: 'user',
        body: { first_name: 'A', last_name: 'B', email: 'a@b.example' },
      })
      expect(mine.status).toBe(202)
      expect(test.leads.written.map(({ submitted_by }) => submitted_by)).toEqual(['id-of-user'])
    })
  })

  it('leaves a line in the log when somebody tries', async () => {
    await attackGateway(async ({ ask, test }) => {
      const { headers } = await ask('/api/v1/leads', { role: 'user' })
      const lines = test.logLines.map((line) => JSON.parse(line)).filter(({ code }) => code === 'authz_fail')
      expect(lines).toMatchObject([{ level: 'warn', principal: 'id-of-user' }])
      expect(test.apiLogs.at(-1)).toMatchObject({
        status: 403,
        error_code: 'FORBIDDEN',
        principal: 'id-of-user',
        request_id: headers.get('x-request-id'),
      })
    })
  })
})
