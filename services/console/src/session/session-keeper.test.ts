import { beforeEach, describe, expect, test } from 'vitest'
import { ConsoleError } from '../gateway/console-error.ts'
import type { Grant } from '../gateway/gateway-client.ts'
import { refreshAheadMs } from '../limits.ts'
import { createSessionKeeper, sessionOf } from './session-keeper.ts'
import type { Session } from './session-store.ts'

const grant = (number: number): Grant => {
  return { token: `t${number}`, expiresInS: 900, refreshToken: `r${number}`, refreshExpiresInS: 3_600 }
}
let nowMs: number
let stored: Session | null
let asked: string[]
let answer: () => Promise<Grant>

const keeper = () =>
  createSessionKeeper({
    sessions: {
      read: () => stored,
      write: (session) => {
        stored = session
      },
      clear: () => {
        stored = null
      },
    },
    refresh: (refreshToken) => {
      asked.push(refreshToken)
      return answer()
    },
    nowMs: () => nowMs,
  })

beforeEach(() => {
  nowMs = 1_000
  stored = sessionOf('analyst', grant(1), nowMs)
  asked = []
  answer = async () => grant(2)
})

describe('createSessionKeeper', () => {
  test('gives the token as long as it is good, and none without a session', async () => {
    const at = keeper()
    nowMs += 900_000 - refreshAheadMs - 1
    expect(await at.readToken()).toBe('t1')
    stored = null
    expect(await at.readToken()).toBeNull()
    expect(asked).toEqual([])
  })

  test('fetches the next one in time, once for all who ask', async () => {
    const at = keeper()
    nowMs += 900_000 - refreshAheadMs
    expect(await Promise.all([at.readToken(), at.readToken(), at.readToken()])).toEqual(['t2', 't2', 't2'])
    expect(asked).toEqual(['r1'])
    expect(stored).toEqual(sessionOf('analyst', grant(2), nowMs))
    expect(await at.readToken()).toBe('t2')
    expect(asked).toEqual(['r1'])
  })

  test('gives none when the gateway has ended the session', async () => {
    nowMs += 900_000
    answer = () => Promise.reject(new ConsoleError('unauthorized', 'Over.'))
    expect(await keeper().readToken()).toBeNull()
  })

  test('makes do with the old one while the gateway cannot be reached, and says so when it is over', async () => {
    answer = () => Promise.reject(new ConsoleError('unreachable', 'Away.'))
    nowMs += 900_000 - 1
    expect(await keeper().readToken()).toBe('t1')
    nowMs += 1
    await expect(keeper().readToken()).rejects.toMatchObject({ code: 'unreachable' })
  })

  test('does not bring a session back that was left meanwhile', async () => {
    nowMs += 900_000
    answer = async () => {
      stored = null
      return grant(2)
    }
    expect(await keeper().readToken()).toBeNull()
    expect(stored).toBeNull()
  })
})
