import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FakeWriter, openTestApp, type TestApp } from '../../test/test-app.ts'
import { GatewayError } from '../errors.ts'

let test: TestApp
beforeEach(async () => {
  test = await openTestApp({ leadsNow: new FakeWriter() })
})
afterEach(() => test.close())

const event = { event_id: 'e', user_id: 'u', event_type: 't', timestamp: 1, metadata: {} }
const lead = { first_name: 'A', last_name: 'B', email: 'a@example.org' }

function post(url: string, payload: object) {
  return test.app.inject({ method: 'POST', url, headers: { authorization: test.bearer('admin') }, payload })
}

describe('what went to the spill log', () => {
  it.each([
    ['/events', event, { accepted: 1, durability: 'spooled' }],
    ['/api/v1/events', [event, { ...event, user_id: 7 }], { accepted: 1, durability: 'spooled' }],
    ['/api/v1/lead/process-async', lead, { status: 'accepted', durability: 'spooled' }],
    ['/api/v1/leads/process-bulk', [lead], { accepted: 1, durability: 'spooled' }],
  ])('is answered as such: %s', async (url, payload, expected) => {
    test.events.durability = 'spooled'
    test.leads.durability = 'spooled'
    const answer = await post(url, payload)
    expect([answer.statusCode, answer.json()]).toMatchObject([202, expected])
  })

  it.each([
    ['/events', event],
    ['/api/v1/lead/process-async', lead],
    ['/api/v1/leads/process-bulk', [lead]],
  ])('and what it has no room for is refused with the time to wait: %s', async (url, payload) => {
    const full = new GatewayError('SPILL_UNAVAILABLE', 'Full.', { retryAfterSeconds: 15 })
    test.events.failure = full
    test.leads.failure = full
    const answer = await post(url, payload)
    expect([answer.statusCode, answer.headers['retry-after']]).toEqual([503, '15'])
    expect(answer.json()).toMatchObject({ code: 'SPILL_UNAVAILABLE', detail: 'Full.' })
  })

  it('is never a lead whose outcome is waited for', async () => {
    test.leads.durability = 'spooled'
    const answer = await post('/api/v1/lead/process', lead)
    expect(answer.statusCode).toBe(504)
    expect(test.leads.written).toEqual([])
  })
})
