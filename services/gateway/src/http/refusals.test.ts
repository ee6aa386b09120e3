import { afterEach, beforeEach, expect, it } from 'vitest'
import { openTestApp, type TestApp } from '../../test/test-app.ts'
import { forbiddenLoggedPerMinuteMax, unauthenticatedPerMinuteMax } from '../limits.ts'

let test: TestApp
let nowMs = Date.now()
let bearer: string
beforeEach(async () => {
  test = await openTestApp({ nowMs: () => nowMs })
  bearer = test.bearer('user')
  nowMs = Date.now()
})
afterEach(() => test.close())

function profile(remoteAddress: string, authorization?: string) {
  const headers = authorization === undefined ? {} : { authorization }
  return test.app.inject({ url: '/api/v1/user/profile', remoteAddress, headers })
}

it('tells an address so many times a minute that its credentials are not good, and keeps none with good ones out', async () => {
  for (let i = 0; i < unauthenticatedPerMinuteMax; i++) {
    const answer = await profile(`2001:db8:1:2::${i.toString(16)}`, i % 2 === 0 ? `Bearer guess-${i}` : undefined)
    expect(answer.statusCode).toBe(401)
  }
  const refused = await profile('2001:db8:1:2:ffff::1', 'Bearer another')
  expect([refused.statusCode, refused.json().code]).toEqual([429, 'RATE_LIMITED'])
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
  expect((await profile('2001:db8:1:2:ffff::1', bearer)).statusCode).toBe(200)
  expect((await profile('2001:db8:1:3::1', 'Bearer another')).statusCode).toBe(401)
  nowMs += 60_000
  expect((await profile('2001:db8:1:2:ffff::1', 'Bearer another')).statusCode).toBe(401)
})

it('logs who asked for more than it may, and does not let one fill the log', async () => {
  const headers = { authorization: bearer }
  for (let i = 0; i < forbiddenLoggedPerMinuteMax + 5; i++) {
    expect((await test.app.inject({ url: '/api/v1/leads?email=a%40b.example', headers })).statusCode).toBe(403)
  }
  const lines = test.logLines.map((line) => JSON.parse(line)).filter((line) => line.code === 'authz_fail')
  expect(lines).toHaveLength(forbiddenLoggedPerMinuteMax)
  expect(lines[0]).toMatchObject({ level: 'warn', principal: 'id-of-user' })
  expect(test.logLines.join('')).not.toContain('b.example')
})
