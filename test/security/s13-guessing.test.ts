import { hashPassword } from '@millrace/storage/accounts'
import { describe, expect, it, vi } from 'vitest'
import type { Account, AccountStores } from '../../services/gateway/src/accounts/ports.ts'
import { loginFailuresMax, loginsOfAllPerMinuteMax, loginsPerMinuteMax } from '../../services/gateway/src/limits.ts'
import { MemoryAccounts } from '../../services/gateway/test/memory-accounts.ts'
import { attackGateway } from './attacked-gateway.ts'
import { mustFail } from './proof.ts'

/** Passwords that were checked, by the cost of the hash; and how many at the same time. */
const checks = vi.hoisted(() => ({ costs: [] as string[], running: 0, runningMax: 0 }))
vi.mock('@millrace/storage/accounts', async (original) => {
  const real = await original<typeof import('@millrace/storage/accounts')>()
  const verifyPassword: typeof real.verifyPassword = async (password, stored) => {
    checks.costs.push(stored.split('$').slice(0, 4).join('$'))
    checks.running++
    checks.runningMax = Math.max(checks.runningMax, checks.running)
    try {
      return await real.verifyPassword(password, stored)
    } finally {
      checks.running--
    }
  }
  return { ...real, verifyPassword }
})

const passwordHash = await hashPassword('password')

function accountsWith(change: Partial<Account> = {}): MemoryAccounts {
  const memory = new MemoryAccounts(Date.now)
  const ann = { id: 'ann-1', username: 'ann', role: 'analyst', passwordHash, disabled: false }
  memory.byName.set('ann', { ...ann, ...change })
  return memory
}

/** Guesses once more than is allowed; the last guess is right. */
async function bruteForce(change: Partial<AccountStores>): Promise<void> {
  await attackGateway(
    async ({ test }) => {
      const statuses: number[] = []
      for (let i = 0; i <= loginFailuresMax; i++) {
        const body = { username: 'ann', password: i === loginFailuresMax ? 'password' : `guess ${i}` }
        // From everywhere: the bound per address is another one.
        const remoteAddress = `10.0.0.${i + 1}`
        statuses.push((await test.app.inject({ method: 'POST', url: '/api/v1/login', body, remoteAddress })).statusCode)
      }
      expect(statuses).toEqual([...Array(loginFailuresMax).fill(401), 429])
    },
    { accounts: { ...accountsWith(), ...change } },
  )
}

/** Tries accounts that are there, that are not and that are closed; the answers must not tell which is which. */
async function enumerate(answerOf?: (username: string) => object): Promise<void> {
  checks.costs = []
  const memory = accountsWith()
  memory.byName.set('off', { id: 'off-1', username: 'off', role: 'analyst', passwordHash, disabled: true })
  await attackGateway(
    async ({ ask }) => {
      const answers: unknown[] = []
      for (const username of ['ann', 'nobody', 'off', 'ANN', 'ánn']) {
        const { status, body, headers } = await ask('/api/v1/login', { body: { username, password: 'wrong' } })
        const { request_id, ...rest } = answerOf?.(username) ?? body
        const names = [...headers.keys()].sort()
        answers.push({ status, rest, names, length: headers.get('content-length') })
      }
      for (const answer of answers) expect(answer).toEqual(answers[0])
      // The same work for each: one check of one cost.
      expect(checks.costs).toHaveLength(answers.length)
      expect(new Set(checks.costs).size).toBe(1)
    },
    { accounts: memory },
  )
}

describe('S13 guessing passwords', () => {
  it('of one account stops after ten', () => bruteForce({}))
  it('proof: it would succeed if nobody counted', () => {
    const begin = async () => ({ attempts: 1, windowEndsAtMs: Date.now() })
    return mustFail(() => bruteForce({ attempts: { ...accountsWith().attempts, begin } }))
  })

  it('does not tell which accounts there are', () => enumerate())
  it('proof: an answer that tells would be found out', () =>
    mustFail(() => enumerate((username) => ({ request_id: '', detail: `no account ${username}` }))))

  it('of many accounts with one password stops at the bound of an address, and at the bound of all', async () => {
    const startMs = Date.now()
    // No hashing: it is the counting that is attacked, thousands of times.
    const memory = new MemoryAccounts(Date.now)
    const findByUsername = async () => Promise.reject(new Error('asked the store'))
    await attackGateway(
      async ({ test }) => {
        const login = async (i: number, remoteAddress: string) => {
          const body = { username: `user-${i}`, password: 'Summer2026!' }
          return (await test.app.inject({ method: 'POST', url: '/api/v1/login', body, remoteAddress })).statusCode
        }
        for (let i = 0; i < loginsPerMinuteMax; i++) expect(await login(i, '10.0.0.1')).toBe(500)
        expect(await login(0, '10.0.0.1')).toBe(429)
        for (let i = loginsPerMinuteMax; i < loginsOfAllPerMinuteMax; i++) {
          expect(await login(i, `10.1.${i % 250}.${i % 249}`)).toBe(500)
        }
        for (let i = 0; i < 5; i++) expect(await login(i, `10.2.0.${i}`)).toBe(429)
      },
      { accounts: { ...memory, users: { findByUsername } }, nowMs: () => startMs },
    )
  })

  it('all at once checks two at a time and sends the rest away', async () => {
    checks.runningMax = 0
    await attackGateway(
      async ({ test }) => {
        const tries = Array.from({ length: 80 }, (_, i) =>
          test.app.inject({
            method: 'POST',
            url: '/api/v1/login',
            body: { username: `user-${i}`, password: 'x' },
            remoteAddress: `10.3.0.${i}`,
          }),
        )
        const statuses = (await Promise.all(tries)).map(({ statusCode }) => statusCode)
        expect([...new Set(statuses)].sort()).toEqual([401, 503])
        expect(checks.runningMax).toBe(2)
      },
      { accounts: accountsWith() },
    )
  })
})
