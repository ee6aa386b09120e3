import { hashPassword, verifyPassword } from '@millrace/storage/accounts'
import { beforeEach, describe, expect, it } from 'vitest'
import { MemoryAccounts } from '../../test/memory-accounts.ts'
import { loginFailuresMax, loginsOfAllPerMinuteMax, loginWindowMs } from '../limits.ts'
import { createLogin, type Login } from './login.ts'
import { createTurnstile } from './turnstile.ts'

const hash = await hashPassword('password')
let nowMs = 0
const clock = () => nowMs
let stores: MemoryAccounts
let checked: string[]
let lost: unknown[]

/** Knows the password by its hash, and costs nothing. */
async function verifyCheaply(password: string, stored: string): Promise<boolean> {
  checked.push(stored)
  return stored === hash && password === 'password'
}

function loginOver(accounts: MemoryAccounts, verify = verifyCheaply): Login {
  const onAuditFailure = (error: unknown) => lost.push(error)
  return createLogin({ ...accounts, secret: 's', nowMs: clock, onAuditFailure, verify })
}

const as = (username: string, password: string) => ({ username, password, requestId: 'r-1' })

beforeEach(() => {
  nowMs = 1_000
  checked = []
  lost = []
  stores = new MemoryAccounts(clock)
  const base = { passwordHash: hash, role: 'admin', disabled: false }
  stores.byName.set('admin', { ...base, id: 'id-1', username: 'admin' })
  stores.byName.set('off', { ...base, id: 'id-2', username: 'off', disabled: true })
  stores.byName.set('odd', { ...base, id: 'id-3', username: 'odd', role: 'emperor' })
})

describe('a login', () => {
  it('gives who it is', async () => {
    const login = loginOver(stores, verifyPassword)
    expect(await login.check(as('Admin', 'password'))).toEqual({ id: 'id-1', username: 'admin', role: 'admin' })
    await expect(login.check(as('Admin', 'Password'))).rejects.toMatchObject({ code: 'INVALID_CREDENTIALS' })
  })

  it('fails with one and the same answer, after the same work', async () => {
    const login = loginOver(stores)
    const answers: string[] = []
    for (const [username, password] of [
      ['admin', 'wrong'],
      ['nobody', 'password'],
      ['off', 'password'],
      ['odd', 'password'],
    ]) {
      await login.check(as(username ?? '', password ?? '')).catch((error: unknown) => answers.push(String(error)))
    }
    const answer = 'GatewayError: [INVALID_CREDENTIALS] The username or the password is wrong.'
    expect(answers).toEqual([answer, answer, answer, answer])
    expect(checked).toHaveLength(4)
    const cost = (stored: string) => stored.split('$').slice(0, 4)
    expect(new Set(checked.map((stored) => cost(stored).join('$')))).toEqual(new Set([cost(hash).join('$')]))
  })

  it('that fails is noted, with the id of the account and no name', async () => {
    const login = loginOver(stores)
    await login.check(as('admin', 'wrong')).catch(() => {})
    await login.check(as('nobody', 'wrong')).catch(() => {})
    const note = { action: 'authn_login_fail', actor: null, requestId: 'r-1' }
    expect(stores.notes).toEqual([
      { ...note, subject: 'id-1' },
      { ...note, subject: null },
    ])
  })

  it('that fails is answered although it cannot be noted', async () => {
    const login = createLogin({
      ...stores,
      audit: { append: () => Promise.reject(new Error('away')) },
      secret: 's',
      nowMs: clock,
      onAuditFailure: (error) => lost.push(error),
      verify: verifyCheaply,
    })
    await expect(login.check(as('admin', 'wrong'))).rejects.toMatchObject({ code: 'INVALID_CREDENTIALS' })
    expect(String(lost)).toBe('Error: away')
  })

  it.each(['admin', 'nobody'])(
    'is refused after too many failures, for %s too, until the window is over',
    async (username) => {
      const login = loginOver(stores)
      const tries = Array.from({ length: loginFailuresMax }, () => login.check(as(username, 'wrong')))
      const results = await Promise.allSettled(tries)
      expect(results.every((result) => String(Reflect.get(result, 'reason')).includes('INVALID_CREDENTIALS'))).toBe(
        true,
      )
      for (let i = 0; i < 3; i++) {
        await expect(login.check(as(username.toUpperCase(), 'password'))).rejects.toMatchObject({
          code: 'TOO_MANY_ATTEMPTS',
          retryAfterSeconds: loginWindowMs / 1_000,
        })
      }
      expect(checked).toHaveLength(loginFailuresMax)
      expect(stores.notes.filter(({ action }) => action === 'authn_login_lock')).toHaveLength(1)
      nowMs += loginWindowMs
      await expect(login.check(as(username, 'wrong'))).rejects.toMatchObject({ code: 'INVALID_CREDENTIALS' })
    },
  )

  it('counts for one account all names by which the store finds it', async () => {
    const accented = new MemoryAccounts(clock)
    const account = { id: 'id-1', username: 'admin', passwordHash: hash, role: 'admin', disabled: false }
    for (const name of ['admin', 'ádmin', 'àdmin', 'admin ']) accented.byName.set(name, account)
    const login = loginOver(accented)
    const names = [...accented.byName.keys()]
    for (let i = 0; i < loginFailuresMax; i++) {
      await login.check(as(names[i % names.length] ?? '', 'wrong')).catch(() => {})
    }
    for (const name of names) {
      await expect(login.check(as(name, 'password'))).rejects.toMatchObject({ code: 'TOO_MANY_ATTEMPTS' })
    }
  })

  it('forgets failures after a success, and does not count what could not be checked', async () => {
    const failing = loginOver(stores, () => Promise.reject(new Error('away')))
    for (let i = 0; i < loginFailuresMax * 2; i++) await expect(failing.check(as('admin', 'x'))).rejects.toThrow('away')
    const login = loginOver(stores)
    for (let i = 0; i < loginFailuresMax - 1; i++) await login.check(as('admin', 'x')).catch(() => {})
    await login.check(as('admin', 'password'))
    for (let i = 0; i < loginFailuresMax - 1; i++) await login.check(as('admin', 'x')).catch(() => {})
    await expect(login.check(as('admin', 'password'))).resolves.toMatchObject({ role: 'admin' })
  })

  it('is for so many a minute, however many accounts are tried', async () => {
    const login = loginOver(stores)
    for (let i = 0; i < loginsOfAllPerMinuteMax; i++) await login.check(as(`user-${i}`, 'Summer2026')).catch(() => {})
    expect(checked).toHaveLength(loginsOfAllPerMinuteMax)
    const refused = login.check(as('admin', 'password'))
    await expect(refused).rejects.toMatchObject({ code: 'RATE_LIMITED', retryAfterSeconds: 60 })
    expect(checked).toHaveLength(loginsOfAllPerMinuteMax)
    nowMs += 60_000
    await expect(login.check(as('admin', 'password'))).resolves.toMatchObject({ role: 'admin' })
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
