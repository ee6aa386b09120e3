import { afterEach, describe, expect, it, vi } from 'vitest'
import { attackGateway } from './attacked-gateway.ts'
import { mergingJson } from './lenient-json.ts'
import { mustFailWithout } from './proof.ts'
import { event, eventWith, lead, leadWith } from './samples.ts'

const defences = vi.hoisted(() => ({ plainParsing: true }))
vi.mock('../../services/gateway/src/json/strict-json.ts', async (original) => {
  const real = await original<typeof import('../../services/gateway/src/json/strict-json.ts')>()
  const readStrictJson = (bytes: Buffer) => (defences.plainParsing ? real.readStrictJson(bytes) : mergingJson(bytes))
  return { ...real, readStrictJson }
})
// The proof pollutes on purpose.
afterEach(() => {
  Reflect.deleteProperty(Object.prototype, 'polluted')
})

/** As it would be read after a pollution. */
const inherited = (name: string): unknown => Reflect.get({}, name)

const values = [
  '{"__proto__":{"polluted":true}}',
  '{"__pr\\u006fto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"prototype":{"polluted":true},"toString":1,"hasOwnProperty":null,"valueOf":"x"}',
  '{"a":{"b":[{"__proto__":{"polluted":true}}]}}',
]

/** In free-form objects such keys are names like any other. */
async function pollute(): Promise<void> {
  await attackGateway(async ({ ask, test }) => {
    for (const value of values) {
      const taken = await ask('/api/v1/lead/process-async', { role: 'admin', body: leadWith(value) })
      expect([value, taken.status, inherited('polluted')]).toEqual([value, 202, undefined])
      expect(test.leads.written.at(-1)?.attributes).toBe(JSON.stringify(JSON.parse(value)))
      const events = await ask('/events', { role: 'admin', body: eventWith(value) })
      expect([value, events.status, inherited('polluted')]).toEqual([value, 202, undefined])
      expect(test.events.written.at(-1)?.metadata).toBe(value)
    }
  })
}

describe('S04 keys that are names of prototypes', () => {
  it('are stored as they came where keys are free, and pollute nothing', pollute)
  it('proof: with a parser that merges, every object would be polluted', () =>
    mustFailWithout(defences, 'plainParsing', pollute))

  it.each(['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty'])(
    'are unknown fields elsewhere: %s',
    async (name) => {
      await attackGateway(async ({ ask, test }) => {
        const add = (value: object) => `${JSON.stringify(value).slice(0, -1)},"${name}":{"role":"admin"}}`
        const bodies: readonly [string, string][] = [
          ['/api/v1/login', add({ username: 'admin', password: 'x' })],
          ['/api/v1/token/refresh', add({ refresh_token: 'x' })],
          ['/api/v1/lead/process-async', add(lead)],
          ['/api/v1/leads/process-bulk', `[${add(lead)}]`],
          ['/events', add(event)],
        ]
        for (const [path, body] of bodies) {
          const answer = await ask(path, { role: 'admin', body })
          expect([path, answer.status]).toEqual([path, 400])
        }
        for (const path of ['/api/v1/leads', '/events', '/stats', '/stats/stream']) {
          const answer = await ask(`${path}?${name}[role]=admin&${name}=x`, { role: 'admin' })
          expect([path, answer.status]).toEqual([path, 400])
        }
        expect([test.events.written, test.leads.written, inherited('role')]).toEqual([[], [], undefined])
      })
    },
  )
})
