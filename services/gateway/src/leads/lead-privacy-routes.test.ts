import { StorageError } from '@millrace/storage/mysql'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openTestApp, type TestApp } from '../../test/test-app.ts'
import type { KeptLead, KeptStep, PersonRecord, PrivacyRequest } from './ports.ts'

const id = '7b0c1d2e-0000-4000-8000-000000000001'
const rejectedId = '7b0c1d2e-0000-4000-8000-000000000002'
const at = new Date(1_700_000_000_000)

const stored: KeptLead = {
  leadId: id,
  firstName: 'Ada',
  lastName: 'Lovelace',
  email: 'ada@example.com',
  phone: null,
  dateOfBirth: null,
  address: null,
  city: null,
  postalCode: null,
  country: 'GB',
  source: null,
  campaign: null,
  consent: true,
  attributes: '{"plan":"pro"}',
  status: 'duplicate',
  duplicateOf: rejectedId,
  submittedBy: 'id-of-user',
  requestId: 'r',
  receivedAt: at,
  storedAt: at,
}
const step = (status: KeptStep['status'], reason: string | null = null): KeptStep => ({ status, at, reason })

let test: TestApp
let lead: KeptLead | undefined
let history: readonly KeptStep[]
let failure: Error | undefined
const asked: [string, PrivacyRequest][] = []

beforeAll(async () => {
  const note = (leadId: string, by: PrivacyRequest) => {
    asked.push([leadId, by])
    if (failure !== undefined) throw failure
  }
  test = await openTestApp({
    leadStore: {
      list: async () => ({ leads: [], total: 0, totalIsExact: true, nextCursor: null }),
      byId: async () => lead,
      historyOf: async () => history,
    },
    leadPrivacy: {
      async erase(leadId, by) {
        note(leadId, by)
        return lead === undefined ? undefined : { erasedAt: at }
      },
      async exportPerson(leadId, by): Promise<PersonRecord | undefined> {
        note(leadId, by)
        if (lead === undefined) return undefined
        return {
          leads: [lead],
          isComplete: true,
          history: history.map((one) => ({ ...one, leadId: id })),
          audit: [{ at, action: 'lead_exported', actor: 'id-of-admin', requestId: 'r2' }],
          submissions: [
            { requestId: 'r', method: 'POST', route: '/api/v1/lead/process', principal: 'u', receivedAt: at },
          ],
        }
      },
    },
  })
})
afterAll(() => test.close())
beforeEach(() => {
  lead = stored
  history = [step('received'), step('stored'), step('duplicate', `duplicate of ${rejectedId}`)]
  failure = undefined
  asked.length = 0
})

const send = (method: 'GET' | 'DELETE', path: string, role: 'admin' | 'user' | 'analyst' = 'admin') =>
  test.app.inject({ method, url: `/api/v1/leads/${path}`, headers: { authorization: test.bearer(role) } })

describe('one lead', () => {
  it('comes with its history, and a duplicate with the first', async () => {
    const answer = await send('GET', id)
    expect(answer.json()).toMatchObject({
      lead_id: id,
      status: 'duplicate',
      duplicate_of: rejectedId,
      first_name: 'Ada',
    })
    expect(answer.json().history).toEqual([
      { status: 'received', at: at.toISOString() },
      { status: 'stored', at: at.toISOString() },
      { status: 'duplicate', at: at.toISOString(), reason: `duplicate of ${rejectedId}` },
    ])
  })

  it('that was rejected has its history and nothing else', async () => {
    lead = undefined
    history = [step('received'), step('rejected', 'country: value too long')]
    const answer = await send('GET', rejectedId)
    expect(answer.statusCode).toBe(200)
    expect(answer.json()).toMatchObject({ lead_id: rejectedId, status: 'rejected', email: null, stored_at: null })
    expect(answer.json().history[1]).toMatchObject({ status: 'rejected', reason: 'country: value too long' })
  })

  it('that was erased shows nobody', async () => {
    lead = {
      ...stored,
      leadId: '7b0c1d2e-0000-4000-8000-00000000000b',
      status: 'erased',
      firstName: '',
      lastName: '',
      email: '',
    }
    history = [step('received'), step('stored'), step('erased')]
    const answer = await send('GET', lead.leadId)
    expect(answer.json()).toMatchObject({ status: 'erased', first_name: null, last_name: null, email: null })
  })
})

describe('erasing a lead', () => {
  it('answers when it was erased, and says who asked', async () => {
    const answer = await send('DELETE', id.toUpperCase())
    expect(answer.statusCode).toBe(200)
    expect(answer.json()).toEqual({ lead_id: id, status: 'erased', erased_at: at.toISOString() })
    expect(asked).toEqual([[id, { actor: 'id-of-admin', requestId: answer.headers['x-request-id'] }]])
  })

  it('is for admins, of leads that there are, by a database that answers', async () => {
    expect((await send('DELETE', id, 'user')).statusCode).toBe(403)
    expect((await send('DELETE', id, 'analyst')).statusCode).toBe(403)
    expect(asked).toEqual([])
    expect((await send('DELETE', 'x')).json().code).toBe('INVALID_PARAMETER')
    failure = new StorageError('UNAVAILABLE', 'MySQL at 10.0.0.5 refused')
    expect((await send('DELETE', id)).json().code).toBe('STORE_UNAVAILABLE')
    failure = undefined
    lead = undefined
    const missing = await send('DELETE', id)
    expect([missing.statusCode, missing.json().code]).toEqual([404, 'LEAD_NOT_FOUND'])
  })
})

describe('exporting a person', () => {
  it('answers a file with all that is known', async () => {
    const answer = await send('GET', `${id}/export`)
    expect(answer.statusCode).toBe(200)
    expect(answer.headers['content-disposition']).toBe(`attachment; filename="lead-${id}.json"`)
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(answer.json()).toMatchObject({
      lead_id: id,
      email: 'ada@example.com',
      is_complete: true,
      leads: [{ lead_id: id, attributes: { plan: 'pro' }, history: [{}, {}, { status: 'duplicate' }] }],
      submissions: [{ request_id: 'r', submitted_by: 'u' }],
      audit: [{ action: 'lead_exported', actor: 'id-of-admin', request_id: 'r2' }],
    })
  })

  it('is for admins, of leads that there are', async () => {
    expect((await send('GET', `${id}/export`, 'user')).statusCode).toBe(403)
    expect(asked).toEqual([])
    lead = undefined
    expect((await send('GET', `${id}/export`)).json().code).toBe('LEAD_NOT_FOUND')
  })
})
