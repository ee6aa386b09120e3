import { describe, expect, it, vi } from 'vitest'
import { eventsPerRequestMax, leadsPerRequestMax } from '../../services/gateway/src/limits.ts'
import { type Answer, attackGateway } from './attacked-gateway.ts'
import { lenientJson } from './lenient-json.ts'
import { mustFailWithout } from './proof.ts'
import { event, eventWith, lead, leadWith } from './samples.ts'

const defences = vi.hoisted(() => ({ strictJson: true }))
vi.mock('../../services/gateway/src/json/strict-json.ts', async (original) => {
  const real = await original<typeof import('../../services/gateway/src/json/strict-json.ts')>()
  const readStrictJson = (bytes: Buffer) => (defences.strictJson ? real.readStrictJson(bytes) : lenientJson(bytes))
  return { ...real, readStrictJson }
})

const lists = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
const objects = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`

/** A client's fault, told as one, with the place of the fault where the body was read. */
function expectRefusal(answer: Answer, what: string): void {
  expect([what, answer.headers.get('content-type')]).toEqual([what, 'application/problem+json'])
  expect([400, 413], what).toContain(answer.status)
  if (answer.status === 400 && answer.body.errors !== undefined) {
    expect(answer.body.errors[0].pointer, what).toMatch(/^(\/|$)/)
  }
}

/** Nested from one level more than is taken to what overflows any stack. */
async function nest(): Promise<void> {
  await attackGateway(async ({ ask, test }) => {
    for (const levels of [33, 1_000, 5_000, 100_000, 500_000]) {
      for (const [kind, text] of [
        ['lists', `{"a":${lists(levels)}}`],
        ['objects', objects(levels)],
      ] as const) {
        const body = { event: eventWith(text), lead: leadWith(text), leads: `[${leadWith(text)}]` }
        const role = 'admin'
        expectRefusal(await ask('/events', { role, body: body.event }), `${levels} ${kind} in an event`)
        expectRefusal(await ask('/api/v1/lead/process-async', { role, body: body.lead }), `${levels} ${kind} in a lead`)
        const bulk = await ask('/api/v1/leads/process-bulk', { role, body: body.leads })
        expectRefusal(bulk, `${levels} ${kind} in a list of leads`)
      }
    }
    expectRefusal(await ask('/api/v1/login', { body: lists(30_000) }), 'lists as a login')
    expect([test.events.written, test.leads.written]).toEqual([[], []])
  })
}

describe('S02 deep and wide JSON', () => {
  it('what is nested too deep is refused, everywhere, and crashes nothing', nest)
  it('proof: without the strict reader it would be taken', () => mustFailWithout(defences, 'strictJson', nest))

  it('what is nested as deep as is allowed is taken', async () => {
    await attackGateway(async ({ ask }) => {
      // The event or lead is one level, its metadata or attributes are the next.
      const text = objects(31)
      expect((await ask('/events', { role: 'admin', body: eventWith(text) })).status).toBe(202)
      const taken = await ask('/api/v1/lead/process-async', { role: 'admin', body: leadWith(text) })
      expect(taken.status).toBe(202)
    })
  })

  it('what is too wide is refused', async () => {
    await attackGateway(async ({ ask, test }) => {
      const keys = JSON.stringify(Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`key${i}`, i])))
      const text = JSON.stringify({ a: 'x'.repeat(1_000_000) })
      for (const [what, value] of [
        ['100,000 keys', keys],
        ['a text of 1 MB', text],
      ] as const) {
        expectRefusal(await ask('/events', { role: 'admin', body: eventWith(value) }), what)
        expectRefusal(await ask('/api/v1/lead/process-async', { role: 'admin', body: leadWith(value) }), what)
      }
      const unknown = Object.fromEntries(Array.from({ length: 3_000 }, (_, i) => [`key${i}`, i]))
      expectRefusal(await ask('/api/v1/lead/process-async', { role: 'admin', body: { ...lead, ...unknown } }), 'fields')
      const many = await ask('/events', { role: 'admin', body: Array(eventsPerRequestMax + 1).fill(event) })
      expectRefusal(many, 'one event too many')
      const bulk = await ask('/api/v1/leads/process-bulk', {
        role: 'admin',
        body: Array(leadsPerRequestMax + 1).fill(lead),
      })
      expectRefusal(bulk, 'one lead too many')
      expect([test.events.written, test.leads.written]).toEqual([[], []])
    })
  })
})
