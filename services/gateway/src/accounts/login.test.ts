import { hashPassword, verifyPassword } from '@millrace/storage/accounts'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { loginFailuresMax, loginWindowMs } from '../limits.ts'
import { createLogin } from './login.ts'
import type { Account } from './ports.ts'
import { createTurnstile } from './turnstile.ts'

const hash = await hashPassword('password')
const accounts = new Map<string, Account>()
const store = { findByUsername: async (username: string) => accounts.get(username.toLowerCase()) }
let nowMs = 0
const clock = () => nowMs

beforeEach(() => {
  nowMs = 1_000
  accounts.clear()
  const base = { passwordHash: hash, role: 'admin', disabled: false }
  accounts.set('admin', { ...base, id: 'id-1', username: 'admin' })
  accounts.set('off', { ...base, id: 'id-2', username: 'off', disabled: true })
  accounts.set('odd', { ...base, id: 'id-3', username: 'odd', role: 'emperor' })
})

afterEach(() => {
  vi.restoreAllMocks()
})

describe('a password', () => {
  it('is hashed with Argon2id, salted, and known again', async () => {
    expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
    expect(await hashPassword('password')).not.toBe(hash)
    expect(await verifyPassword('password', hash)).toBe(true)
    expect(await verifyPassword('Password', hash)).toBe(false)
    expect(await verifyPassword('', hash)).toBe(false)
  })

  it('is the same in every Unicode form', async () => {
    expect(await verifyPassword('caf\u0065\u0301', await hashPassword('caf\u00e9'))).toBe(true)
  })

  it.each(['', 'plain', '$2b$10$abc', hash.replace('m=19456', 'm=9999999'), hash.replace('argon2id', 'argon2i')])(
    'is not compared with the hash %j',
    async (stored) => {
      await expect(verifyPassword('x', stored)).rejects.toThrow('not an Argon2id hash')
    },
  )
})

describe('a login', () => {
  it('gives who it is', async () => {
    const login = createLogin(store, clock)
    expect(await login.check('Admin', 'password')).toEqual({ id: 'id-1', username: 'admin', role: 'admin' })
  })

  it('fails with one and the same answer', async () => {
    const login = createLogin(store, clock)
    const answers: string[] = []
    for (const [username, password] of [
      ['admin', 'wrong'],
      ['nobody', 'password'],
      ['off', 'password'],
      ['odd', 'password'],
    ]) {
      await login.check(username ?? '', password ?? '').catch((error: unknown) => answers.push(String(error)))
    }
    const answer = 'GatewayError: [INVALID_CREDENTIALS] The username or the password is wrong.'
    expect(answers).toEqual([answer, answer, answer, answer])
  })

  it.each(['admin', 'nobody'])(
    'is refused after too many failures, for %s too, until the window is over',
    async (username) => {
      const login = createLogin(store, clock)
      const tries = Array.from({ length: loginFailuresMax }, () => login.check(username, 'wrong'))
      expect(
        (await Promise.allSettled(tries)).every((result) =>
          String(Reflect.get(result, 'reason')).includes('INVALID_CREDENTIALS'),
        ),
      ).toBe(true)
      const refused = login.check(username.toUpperCase(), 'password')
      await expect(refused).rejects.toMatchObject({
        code: 'TOO_MANY_ATTEMPTS',
        retryAfterSeconds: loginWindowMs / 1_000,
      })
      nowMs += loginWindowMs
      await expect(login.check(username, 'wrong')).rejects.toMatchObject({ code: 'INVALID_CREDENTIALS' })
    },
  )

  it('forgets failures after a success, and does not count what could not be checked', async () => {
    const login = createLogin(store, clock)
    const failing = vi.spyOn(store, 'findByUsername').mockRejectedValue(new Error('away'))
    for (let i = 0; i < loginFailuresMax * 2; i++) await expect(login.check('admin', 'x')).rejects.toThrow('away')
    failing.mockRestore()
    for (let i = 0; i < loginFailuresMax - 1; i++) await login.check('admin', 'x').catch(() => {})
    await login.check('admin', 'password')
    for (let i = 0; i < loginFailuresMax - 1; i++) await login.check('admin', 'x').catch(() => {})
    await expect(login.check('admin', 'password')).resolves.toMatchObject({ role: 'admin' })
  })
})

describe('the turnstile', () => {
  it('lets few in, some wait, and sends the rest away', async () => {
    const turnstile = createTurnstile({ concurrentMax: 1, waitingMax: 1 })
    const first = Promise.withResolvers<string>()
    const order: string[] = []
    const a = turnstile.pass(() => first.promise).then((text) => order.push(text))
    const b = turnstile.pass(async () => 'b').then((text) => order.push(text))
    await expect(turnstile.pass(async () => 'c')).rejects.toMatchObject({ code: 'OVERLOADED' })
    first.resolve('a')
    await Promise.all([a, b])
    expect(order).toEqual(['a', 'b'])
    await expect(turnstile.pass(async () => Promise.reject(new Error('d')))).rejects.toThrow('d')
    await expect(turnstile.pass(async () => 'e')).resolves.toBe('e')
  })
})
