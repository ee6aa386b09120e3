import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTestApp, type TestApp } from '../../test/test-app.ts'
import { loginsPerMinuteMax, rateLimitKeysMax, rateLimitWindowMs } from '../limits.ts'
import { RequestCounts } from './rate-limit.ts'

describe('counting requests', () => {
  it('begins anew when a window is over, for each key by itself', () => {
    const counts = new RequestCounts()
    expect(counts.add('a', 1_000)).toEqual({ count: 1, endMs: 1_000 + rateLimitWindowMs })
    expect(counts.add('a', 1_500).count).toBe(2)
    expect(counts.add('b', 1_500).count).toBe(1)
    expect(counts.add('a', 999 + rateLimitWindowMs).count).toBe(3)
    expect(counts.add('a', 1_000 + rateLimitWindowMs)).toEqual({ count: 1, endMs: 1_000 + 2 * rateLimitWindowMs })
  })

  it('forgets the key that began first when there are too many', () => {
    const counts = new RequestCounts()
    counts.add('first', 0)
    for (let i = 0; i < rateLimitKeysMax - 1; i++) counts.add(`key ${i}`, 1)
    expect(counts.add('first', 2).count).toBe(2)
    counts.add('one more', 3)
    expect(counts.add('first', 4).count).toBe(1)
    expect(counts.add('one more', 4).count).toBe(2)
  })
})

describe('the bound of requests', () => {
  let test: TestApp
  let nowMs = 1_000_000
  beforeAll(async () => {
    test = await openTestApp({ rateLimitPerMinute: 3, nowMs: () => nowMs })
  })
  afterAll(() => test.close())

  it('is told with every answer, and is there again after a minute', async () => {
    const get = (url: string) => test.app.inject({ url, remoteAddress: '10.1.1.1' })
    const headers = async (url: string) => {
      const answer = await get(url)
      return [answer.statusCode, answer.headers['ratelimit-policy'], answer.headers.ratelimit]
    }
    expect(await headers('/nothing')).toEqual([404, '"address";q=3;w=60', '"address";r=2;t=60'])
    nowMs += 10_500
    expect(await headers('/events')).toEqual([401, undefined, undefined])
    expect(await headers('/other')).toEqual([404, '"address";q=3;w=60', '"address";r=1;t=50'])
    expect(await headers('/third')).toEqual([404, '"address";q=3;w=60', '"address";r=0;t=50'])
    const refused = await get('/fourth')
    expect([refused.statusCode, refused.headers['retry-after'], refused.json().code]).toEqual([
      429,
      '50',
      'RATE_LIMITED',
    ])
    nowMs += 50_000
    expect(await headers('/nothing')).toEqual([404, '"address";q=3;w=60', '"address";r=2;t=60'])
  })

  it('does not hold for probes, and logins have their own', async () => {
    for (let i = 0; i < 5; i++) {
      const answer = await test.app.inject({ url: '/livez', remoteAddress: '10.1.1.2' })
      expect([answer.statusCode, answer.headers.ratelimit]).toEqual([200, undefined])
    }
    const login = await test.app.inject({
      method: 'POST',
      url: '/api/v1/login',
      remoteAddress: '10.1.1.2',
      body: { username: 'nobody', password: 'x' },
    })
    expect(login.headers['ratelimit-policy']).toBe(`"login";q=${loginsPerMinuteMax};w=60`)
  })
})
