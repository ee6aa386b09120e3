import { describe, expect, it, vi } from 'vitest'
import { loginFailuresMax, unauthenticatedPerMinuteMax } from '../../services/gateway/src/limits.ts'
import { type AttackedGateway, attackGateway } from './attacked-gateway.ts'
import { mustFailWithout } from './proof.ts'
import { exchange } from './raw-http.ts'

const defences = vi.hoisted(() => ({ ownAddress: true, byAccount: true }))
/** A gateway that believes forwarded headers, as behind a proxy that nobody has set up. */
vi.mock('fastify', async (original) => {
  const real = await original<typeof import('fastify')>()
  const fastify = (options: object) => real.fastify(defences.ownAddress ? options : { ...options, trustProxy: true })
  return { ...real, fastify }
})
/** A gateway that counts tokens in place of accounts. */
vi.mock('../../services/gateway/src/http/rate-limit.ts', async (original) => {
  const real = await original<typeof import('../../services/gateway/src/http/rate-limit.ts')>()
  const registerRateLimit: typeof real.registerRateLimit = (app, options) => {
    app.addHook('onRequest', async (request) => {
      if (defences.byAccount || request.principal === null) return
      request.principal = { ...request.principal, id: String(request.headers.authorization) }
    })
    return real.registerRateLimit(app, options)
  }
  return { ...real, registerRateLimit }
})

const bound = 5
/** Asks more often than is allowed, each time in another way, and expects one bound for all. */
async function exhaust(
  gateway: AttackedGateway,
  count: number,
  ask: (i: number) => Promise<number | undefined>,
): Promise<void> {
  const statuses: (number | undefined)[] = []
  for (let i = 0; i < count; i++) statuses.push(await ask(i))
  expect(statuses.slice(0, bound)).not.toContain(429)
  expect(statuses.slice(bound)).toEqual(Array(count - bound).fill(429))
  expect(gateway.port).toBeGreaterThan(0)
}

const attackLimited = (attack: (gateway: AttackedGateway) => Promise<void>) =>
  attackGateway(attack, { rateLimitPerMinute: bound })

const raw = async ({ port }: AttackedGateway, target: string, headers = '') =>
  (await exchange(port, [`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers}\r\n`])).statuses[0]

describe('S12 ways round the rate limit', () => {
  const forwarded = () =>
    attackLimited((gateway) =>
      exhaust(gateway, bound + 4, (i) => {
        const from = `203.0.113.${i}`
        const headers = `X-Forwarded-For: ${from}\r\nForwarded: for=${from}\r\nX-Real-IP: ${from}\r\nX-Client-IP: ${from}\r\nTrue-Client-IP: ${from}\r\nCF-Connecting-IP: ${from}\r\n`
        return raw(gateway, `/nothing-${i}`, headers)
      }),
    )
  it('an address that the caller makes up is not believed', forwarded)
  it('proof: a gateway that believes it would serve all', () => mustFailWithout(defences, 'ownAddress', forwarded))

  const tokens = () =>
    attackLimited((gateway) =>
      exhaust(gateway, bound + 4, async () => (await gateway.ask('/api/v1/user/profile', { role: 'user' })).status),
    )
  it('many tokens of one account are one caller', tokens)
  it('proof: a gateway that counts tokens would serve all', () => mustFailWithout(defences, 'byAccount', tokens))

  it('many spellings of an address are one caller’s, found or not', async () => {
    const targets = ['/nothing', '/nothing/', '//nothing', '/NOTHING', '/nothing?a=1', '/nothing?a=1&a=2', '/%6eothing']
    await attackLimited((gateway) => exhaust(gateway, targets.length, (i) => raw(gateway, targets[i] ?? '/')))
  })

  it('requests in one connection count one by one', async () => {
    await attackLimited(async (gateway) => {
      const requests = Array.from({ length: bound + 4 }, (_, i) => `GET /nothing-${i} HTTP/1.1\r\nHost: x\r\n\r\n`)
      const { statuses } = await exchange(gateway.port, [requests.join('')])
      expect(statuses).toEqual([...Array(bound).fill(404), ...Array(4).fill(429)])
    })
  })

  it('addresses of one IPv6 network are one caller', async () => {
    await attackLimited(async ({ test }) => {
      const statuses: number[] = []
      for (let i = 0; i < bound + 4; i++) {
        const remoteAddress = `2001:db8:1:2:${i}::${i + 1}`
        statuses.push((await test.app.inject({ url: '/nothing', remoteAddress })).statusCode)
      }
      expect(statuses).toEqual([...Array(bound).fill(404), ...Array(4).fill(429)])
    })
  })

  it('guessing tokens and keys is bounded, and keeps nobody else out', async () => {
    const clock = { ms: Date.now() }
    await attackGateway(
      async ({ ask, test }) => {
        const authorization = test.bearer('user')
        // No minute ends meanwhile.
        clock.ms = Date.now()
        const guess = (i: number) =>
          ask('/api/v1/user/profile', {
            headers: i % 2 === 0 ? { authorization: `Bearer guess-${i}` } : { 'x-api-key': `mk_${i}_guess` },
          })
        for (let i = 0; i < unauthenticatedPerMinuteMax; i++) expect((await guess(i)).status).toBe(401)
        for (let i = 0; i < 4; i++) expect((await guess(i)).status).toBe(429)
        expect((await ask('/api/v1/user/profile', { headers: { authorization } })).status).toBe(200)
      },
      { nowMs: () => clock.ms },
    )
  })

  it('failed logins count for the account, wherever they come from, and in every gateway', async () => {
    await attackGateway(async ({ test }) => {
      const login = async (app: typeof test.app, i: number) => {
        const body = { username: i % 2 === 0 ? 'nobody' : 'NOBODY', password: `guess ${i}` }
        return (await app.inject({ method: 'POST', url: '/api/v1/login', body, remoteAddress: `10.0.0.${i}` }))
          .statusCode
      }
      const statuses: number[] = []
      for (let i = 0; i < loginFailuresMax; i++) statuses.push(await login(test.app, i))
      expect(statuses).toEqual(Array(loginFailuresMax).fill(401))
      // Started anew, or another one: the count is in the store.
      await attackGateway(async (other) => expect(await login(other.test.app, 99)).toBe(429), {
        accounts: test.accounts,
      })
    })
  })
})
