import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTestApp, type TestApp } from '../../test/test-app.ts'

let test: TestApp
beforeAll(async () => {
  test = await openTestApp()
})
afterAll(() => test.close())

describe('an address that does not know the method', () => {
  it.each(['DELETE', 'PUT', 'PATCH', 'TRACE', 'OPTIONS', 'QUERY'] as const)(
    'answers %s with 405 and Allow',
    async (method) => {
      const answer = await test.app.inject({ method, url: '/api/v1/stats' })
      expect([answer.statusCode, answer.headers.allow, answer.json().code]).toEqual([
        405,
        'GET, HEAD',
        'METHOD_NOT_ALLOWED',
      ])
    },
  )

  it('does not take a word of the path for the parameter of another route', async () => {
    const headers = { authorization: test.bearer('admin') }
    const answer = await test.app.inject({ method: 'DELETE', url: '/api/v1/leads/process-bulk', headers })
    expect([answer.statusCode, answer.headers.allow]).toEqual([405, 'POST'])
  })

  it('does not look for the word among the ids of another route of the method', async () => {
    const headers = { authorization: test.bearer('admin') }
    const answer = await test.app.inject({ method: 'GET', url: '/api/v1/leads/process-bulk?limit=1', headers })
    expect([answer.statusCode, answer.headers.allow]).toEqual([405, 'POST'])
  })

  it('knows a word behind a parameter from a parameter', async () => {
    const headers = { authorization: test.bearer('admin') }
    const url = '/api/v1/ops/dead-letters/events/replay'
    for (const method of ['GET', 'DELETE'] as const) {
      const answer = await test.app.inject({ method, url, headers })
      expect([method, answer.statusCode, answer.headers.allow]).toEqual([method, 405, 'POST'])
    }
  })

  it('says so whatever the body is', async () => {
    const headers = { 'content-type': 'text/strange', 'content-encoding': 'nothing-known' }
    const answer = await test.app.inject({ method: 'DELETE', url: '/api/v1/stats', headers, body: 'x' })
    expect(answer.statusCode).toBe(405)
  })
})

describe('an address that is none', () => {
  it('is 404, whatever the body is', async () => {
    const headers = { 'content-type': 'text/strange' }
    const answer = await test.app.inject({ method: 'POST', url: '/api/v1/nothing', headers, body: 'x' })
    expect([answer.statusCode, answer.json().code]).toEqual([404, 'ROUTE_NOT_FOUND'])
  })
})
