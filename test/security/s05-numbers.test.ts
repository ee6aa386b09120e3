import { describe, expect, it, vi } from 'vitest'
import { attackGateway } from './attacked-gateway.ts'
import { lenientJson } from './lenient-json.ts'
import { mustFailWithout } from './proof.ts'
import { event, eventWith, leadWith } from './samples.ts'

const defences = vi.hoisted(() => ({ strictJson: true }))
vi.mock('../../services/gateway/src/json/strict-json.ts', async (original) => {
  const real = await original<typeof import('../../services/gateway/src/json/strict-json.ts')>()
  const readStrictJson = (bytes: Buffer) => (defences.strictJson ? real.readStrictJson(bytes) : lenientJson(bytes))
  return { ...real, readStrictJson }
})

/** What a 64-bit float cannot hold, and what is no number of JSON. */
const refused = [
  '9007199254740992',
  '9007199254740993',
  '-9007199254740993',
  '18446744073709551616',
  '1e999',
  '-1e999',
  '9'.repeat(400),
  'NaN',
  'Infinity',
  '-Infinity',
  '0x10',
  '012',
  '1.',
  '.5',
  '+1',
  '1_000',
  '１',
]
const exact = ['9007199254740991', '-9007199254740991', '-4503599627370497', '0.1', '1e308', '5e-324', '-1.5e-7', '0']

async function send(): Promise<void> {
  await attackGateway(async ({ ask, test }) => {
    for (const number of refused) {
      const value = `{"value":${number}}`
      for (const [path, body] of [
        ['/events', eventWith(value)],
        ['/api/v1/lead/process-async', leadWith(value)],
        ['/api/v1/leads/process-bulk', `[${leadWith(value)}]`],
      ] as const) {
        const answer = await ask(path, { role: 'admin', body })
        expect([path, number, answer.status]).toEqual([path, number, 400])
      }
    }
    expect([test.events.written, test.leads.written]).toEqual([[], []])
  })
}

describe('S05 numbers', () => {
  it('that cannot be kept exactly are refused, not rounded', send)
  it('proof: without the strict reader they would be rounded', () => mustFailWithout(defences, 'strictJson', send))

  it('that can be kept are kept', async () => {
    await attackGateway(async ({ ask, test }) => {
      for (const number of exact) {
        const value = `{"value":${number}}`
        expect((await ask('/events', { role: 'admin', body: eventWith(value) })).status).toBe(202)
        expect(test.events.written.at(-1)).toMatchObject({ metadata: value, value: Number(number) })
        expect((await ask('/api/v1/lead/process-async', { role: 'admin', body: leadWith(value) })).status).toBe(202)
        expect(JSON.parse(test.leads.written.at(-1)?.attributes ?? '')).toEqual({ value: Number(number) })
      }
    })
  })

  it('are not made of text, of true or of null', async () => {
    await attackGateway(async ({ ask }) => {
      for (const timestamp of ['1700000000', true, null, [1_700_000_000], {}, 1.5, -1]) {
        const answer = await ask('/events', { role: 'admin', body: { ...event, timestamp } })
        expect([timestamp, answer.status]).toEqual([timestamp, 400])
      }
      for (const limit of ['1e2', '0x10', '010x', '1.0', ' 5', '+5', '99999999999999999999', 'NaN', '', '-1']) {
        const answer = await ask(`/events?limit=${encodeURIComponent(limit)}`, { role: 'admin' })
        expect([limit, answer.status]).toEqual([limit, 400])
      }
    })
  })
})
