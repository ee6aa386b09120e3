import { describe, expect, it, vi } from 'vitest'
import { attackGateway } from './attacked-gateway.ts'
import { lenientJson } from './lenient-json.ts'
import { mustFailWithout } from './proof.ts'
import { eventWith, leadWith } from './samples.ts'

const defences = vi.hoisted(() => ({ strictJson: true }))
vi.mock('../../services/gateway/src/json/strict-json.ts', async (original) => {
  const real = await original<typeof import('../../services/gateway/src/json/strict-json.ts')>()
  const readStrictJson = (bytes: Buffer) => (defences.strictJson ? real.readStrictJson(bytes) : lenientJson(bytes))
  return { ...real, readStrictJson }
})

const malformed: readonly [string, number[]][] = [
  ['a byte that begins nothing', [0x80]],
  ['a sequence that is not finished', [0xc3]],
  ['a wrong second byte', [0xc3, 0x28]],
  ['an overlong slash', [0xc0, 0xaf]],
  ['an overlong NUL', [0xc0, 0x80]],
  ['an encoded surrogate', [0xed, 0xa0, 0x80]],
  ['more than Unicode has', [0xf4, 0x90, 0x80, 0x80]],
  ['bytes that are never UTF-8', [0xfe, 0xff]],
]
const escapes: readonly [string, string][] = [
  ['half a character', '\\ud800'],
  ['the other half', 'x\\udc00'],
  ['halves in the wrong order', '\\udc00\\ud800'],
  ['NUL', '\\u0000'],
]
/** Odd and right. */
const kept = ['\u202eevil\u202c', '😀 \u{1F469}\u200D\u{1F680}', 'e\u0301 and é', '\ufeffinside', '\u2028\u2029', '‮‏']

/** Puts bytes in the place of the marker. */
function bodyOf(text: string, bytes: readonly number[]): Uint8Array<ArrayBuffer> {
  const [before = '', after = ''] = text.split('MARK')
  return new Uint8Array([...Buffer.from(before), ...bytes, ...Buffer.from(after)])
}

async function send(): Promise<void> {
  await attackGateway(async ({ ask, test }) => {
    const texts = { '/events': eventWith('{"a":"MARK"}'), '/api/v1/lead/process-async': leadWith('{"a":"MARK"}') }
    for (const [path, text] of Object.entries(texts)) {
      const bodies = [
        ...malformed.map(([what, bytes]) => [what, bodyOf(text, bytes)] as const),
        ...escapes.map(([what, written]) => [what, bodyOf(text, [...Buffer.from(written)])] as const),
        ['a byte order mark', new Uint8Array([0xef, 0xbb, 0xbf, ...Buffer.from(text)])] as const,
        ['UTF-16', new Uint8Array(Buffer.from(text, 'utf16le'))] as const,
      ]
      for (const [what, body] of bodies) {
        const answer = await ask(path, { role: 'admin', body })
        expect([path, what, answer.status]).toEqual([path, what, 400])
      }
    }
    expect([test.events.written, test.leads.written]).toEqual([[], []])
  })
}

describe('S03 broken text', () => {
  it('what is not whole and valid UTF-8 is refused, not mended', send)
  it('proof: without the strict reader it would be mended and taken', () =>
    mustFailWithout(defences, 'strictJson', send))

  it('what is odd and right goes to Kafka as it came', async () => {
    await attackGateway(async ({ ask, test }) => {
      for (const text of kept) {
        const value = JSON.stringify({ text, [text]: 1 })
        expect((await ask('/events', { role: 'admin', body: eventWith(value) })).status).toBe(202)
        expect(test.events.written.at(-1)?.metadata).toBe(value)
        expect((await ask('/api/v1/lead/process-async', { role: 'admin', body: leadWith(value) })).status).toBe(202)
        expect(JSON.parse(test.leads.written.at(-1)?.attributes ?? '')).toEqual({ text, [text]: 1 })
      }
    })
  })
})
