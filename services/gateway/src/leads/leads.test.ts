import type { LeadOutcome } from '@millrace/schemas'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { leadId, NewLeadIds } from './lead-id.ts'
import { LeadOutcomes } from './lead-outcomes.ts'
import { createLeadReader } from './lead-reader.ts'

const reader = createLeadReader({ of: () => undefined })
const nowMs = Date.UTC(2026, 10, 21)
const valid = { first_name: 'Ada', last_name: 'Lovelace', email: 'ada@example.com' }
const reception = { leadId: 'id', submittedBy: 'u', requestId: 'r', receivedAtMs: nowMs }

const faults = (value: unknown) =>
  reader.faults(value, { root: '', nowMs }).map(({ pointer, detail }) => `${pointer} ${detail}`)

describe('a lead', () => {
  it('needs names and an address to write to; the rest may be absent or null', () => {
    expect(faults(valid)).toEqual([])
    expect(faults({ ...valid, phone: null, date_of_birth: null, consent: null })).toEqual([])
    expect(faults({})).toEqual(['/first_name is required', '/last_name is required', '/email is required'])
    expect(faults([])).toEqual([' must be object'])
  })

  it('takes every known field', () => {
    const full = {
      ...valid,
      phone: '+44 (0)20 7946-0000 x12',
      date_of_birth: '1815-12-10',
      address: '12 St James’s Sq\nLondon',
      city: 'London',
      postal_code: 'SW1Y 4JH',
      country: 'GB',
      source: 'web',
      campaign: 'spring',
      consent: true,
      attributes: { plan: 'pro', nested: { a: [1] } },
    }
    expect(faults(full)).toEqual(['/date_of_birth must be 1900-01-01 or later'])
    expect(faults({ ...full, date_of_birth: '1915-12-10' })).toEqual([])
  })

  it.each([
    [{ email: 'ada' }, '/email must be an e-mail address'],
    [{ email: 'a@b' }, '/email must be an e-mail address'],
    [{ email: 'a b@example.com' }, '/email must be an e-mail address'],
    [{ email: 'a@b@example.com' }, '/email must be an e-mail address'],
    [{ first_name: '' }, '/first_name must not have fewer than 1 characters'],
    [{ first_name: 'a\u0007' }, '/first_name must not hold control characters'],
    [{ first_name: 5 }, '/first_name must be string'],
    [{ date_of_birth: '2001-02-29' }, '/date_of_birth must be a day that exists'],
    [{ date_of_birth: '2026-11-23' }, '/date_of_birth must not be in the future'],
    [{ date_of_birth: '29.02.2000' }, '/date_of_birth must be a day as YYYY-MM-DD'],
    [{ country: 'de' }, '/country must be two capital letters'],
    [{ country: 'XQ' }, '/country must be a country of ISO 3166-1'],
    [{ phone: '+ () -' }, '/phone must have at least 5 digits'],
    [{ phone: 'call me' }, '/phone must hold digits, spaces and + ( ) . / - x only'],
    [{ consent: 'yes' }, '/consent must be either boolean or null'],
    [{ attributes: { a: 'x'.repeat(17_000) } }, '/attributes must have at most 16384 bytes; it has 17008'],
    [{ attributes: [] }, '/attributes must be object'],
    [{ shoe_size: 42 }, '/shoe_size is not a known field: put it into "attributes"'],
    [{ lead_id: 'mine' }, '/lead_id is not a known field: put it into "attributes"'],
  ])('with %j is refused', (change, fault) => {
    expect(faults({ ...valid, ...change })).toEqual([fault])
  })

  it('has all of its faults named', () => {
    expect(faults({ first_name: 1, email: 'x', a: 1, b: 2, country: 'de' })).toHaveLength(6)
  })

  it('is hashed by what it says, not by how it is written', () => {
    const hash = (text: string) => reader.toLead(JSON.parse(text), reception).content_hash
    const a = hash('{"first_name":"A","last_name":"B","email":"a@b.de","attributes":{"x":1,"y":2.0}}')
    expect(hash('{ "email": "a@b.de", "last_name": "B", "attributes":{"y":2,"x":1}, "first_name": "A" }')).toBe(a)
    expect(hash('{"first_name":"A","last_name":"B","email":"a@b.de","attributes":{"x":1,"y":3}}')).not.toBe(a)
  })

  it('becomes a record that says what was submitted', () => {
    const lead = reader.toLead({ ...valid, country: null, attributes: { b: 1, a: [true] } }, reception)
    expect(lead).toMatchObject({
      ...valid,
      country: null,
      phone: null,
      attributes: '{"b":1,"a":[true]}',
      lead_id: 'id',
    })
  })
})

describe('the id of a lead', () => {
  it('is the same for the same principal, key and index, and for nothing else', () => {
    const place = fc.record({ principal: fc.string(), key: fc.string() })
    fc.assert(
      fc.property(place, place, (a, b) => {
        expect(leadId(a)).toBe(leadId({ ...a }))
        expect(leadId(a)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
        expect(leadId(a) === leadId(b)).toBe(a.principal === b.principal && a.key === b.key)
        expect(leadId({ ...a, index: 0 })).not.toBe(leadId(a))
        expect(leadId({ ...a, index: 0 })).not.toBe(leadId({ ...a, index: 1 }))
      }),
    )
  })

  it('never changes from one version to the next', () => {
    expect(leadId({ principal: 'p', key: 'k' })).toBe(fixedId)
  })

  it('is new without a key, and begins with the time', () => {
    const newIds = new NewLeadIds(0x0190_c5a4_5c1e)
    const ids = Array.from({ length: 1_000 }, () => newIds.next())
    expect(new Set(ids).size).toBe(1_000)
    for (const id of ids) expect(id).toMatch(/^0190c5a4-5c1e-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(new NewLeadIds(1).next()).toMatch(/^00000000-0001-7/)
  })
})

const fixedId = 'c7af2dcb-414c-5fc5-8a35-ee494a6c0d0c'

describe('outcomes', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const outcome = (request_id: string): LeadOutcome => {
    return { lead_id: 'l', request_id, outcome: 'stored', reason: null, duplicate_of: null, decided_at: 1 }
  }

  it('reach the request that waits, and no other', async () => {
    const outcomes = new LeadOutcomes()
    const first = outcomes.expect('r1', 1_000)
    const second = outcomes.expect('r2', 1_000)
    outcomes.settle(outcome('unknown'))
    outcomes.settle(outcome('r2'))
    expect(await second.outcome).toMatchObject({ request_id: 'r2' })
    expect(outcomes.size).toBe(1)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(await first.outcome).toBeUndefined()
    expect(outcomes.size).toBe(0)
  })

  it('are not waited for by too many, nor after the wait was given up', async () => {
    const outcomes = new LeadOutcomes(1)
    const waiting = outcomes.expect('r1', 1_000)
    expect(() => outcomes.expect('r2', 1_000)).toThrow('[OVERLOADED]')
    waiting.cancel()
    waiting.cancel()
    expect(await waiting.outcome).toBeUndefined()
    const last = outcomes.expect('r3', 1_000)
    outcomes.giveUp()
    expect(await last.outcome).toBeUndefined()
    expect(vi.getTimerCount()).toBe(0)
    expect(outcomes.size).toBe(0)
  })
})
