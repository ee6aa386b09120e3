import { describe, expect, it, vi } from 'vitest'
import { attackGateway } from './attacked-gateway.ts'
import { lenientJson } from './lenient-json.ts'
import { mustFailWithout } from './proof.ts'
import { exchange } from './raw-http.ts'
import { event, lead } from './samples.ts'

const defences = vi.hoisted(() => ({ strictJson: true }))
vi.mock('../../services/gateway/src/json/strict-json.ts', async (original) => {
  const real = await original<typeof import('../../services/gateway/src/json/strict-json.ts')>()
  const readStrictJson = (bytes: Buffer) => (defences.strictJson ? real.readStrictJson(bytes) : lenientJson(bytes))
  return { ...real, readStrictJson }
})

const texts = { '/events': JSON.stringify(event), '/api/v1/lead/process-async': JSON.stringify(lead) }
/** Ways to say two things at once. Readers of other programs would take some of them, each in its own way. */
const ambiguous: readonly [string, (text: string) => string][] = [
  ['a key twice', (text) => text.replace(/"(\w+)":("?[^,"]*"?),/, '"$1":$2,"$1":$2,')],
  ['a key twice, once escaped', (text) => text.replace(/"e(\w+)":("[^,]*")/, '"e$1":$2,"\\u0065$1":$2')],
  ['a comma at the end', (text) => text.replace(/}$/, ',}')],
  ['a comment', (text) => text.replace(/^{/, '{/* x */')],
  ['a line comment', (text) => text.replace(/^{/, '{// x\n')],
  ['two documents', (text) => text + text],
  ['something behind it', (text) => `${text}x`],
  ['single quotes', (text) => text.replaceAll('"', "'")],
  ['keys without quotes', (text) => text.replace(/"(\w+)":/g, '$1:')],
  ['a line break in a text', (text) => text.replace(':"', ':"\n')],
  ['nothing', () => ''],
]

async function send(): Promise<void> {
  await attackGateway(async ({ ask, test }) => {
    for (const [path, text] of Object.entries(texts)) {
      for (const [what, change] of ambiguous) {
        expect([what, change(text) === text]).toEqual([what, false])
        const answer = await ask(path, { role: 'admin', body: change(text) })
        expect([path, what, answer.status]).toEqual([path, what, 400])
      }
    }
    expect([test.events.written, test.leads.written]).toEqual([[], []])
  })
}

/** Spellings of a media type by which validation was once passed by, in this framework or in others. */
const mediaTypes = [
  'APPLICATION/JSON',
  'Application/Json; charset=utf-8',
  'application/json ',
  'application/json\t',
  ' application/json',
  '\tapplication/json',
  'application/json ;charset=utf-8',
  'application/json\t; charset=utf-8',
  'application/json;',
  'application/json; charset="utf-8"',
  'application/json;foo',
  'application/json, text/plain',
  'application/ json',
  'application /json',
  'application/json/x',
  'application/json+x',
  'application/jsonx',
  'application/vnd.api+json',
  'text/json',
  'text/plain',
  'multipart/form-data; boundary=x',
  'application/x-www-form-urlencoded',
  '*/*',
  'application/*',
  '',
  'garbage',
]
const faulty: readonly [string, object][] = [
  ['/api/v1/login', { username: ['admin'], password: { a: 1 } }],
  ['/api/v1/token/refresh', { refresh_token: 7 }],
  ['/api/v1/lead/process-async', { ...lead, email: 'no address', admin: true }],
  ['/api/v1/leads/process-bulk', [{ ...lead, email: 'no address' }]],
  ['/events', { ...event, user_id: '' }],
]

describe('S06 what can be read in two ways', () => {
  it('is refused', send)
  it('proof: without the strict reader one of the ways would be taken', () =>
    mustFailWithout(defences, 'strictJson', send))

  it('is validated whatever the media type is called', async () => {
    await attackGateway(async ({ port, test }) => {
      const authorization = test.bearer('admin')
      for (const type of mediaTypes) {
        for (const [path, value] of faulty) {
          const body = JSON.stringify(value)
          const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: ${authorization}\r\nContent-Type:${type}\r\nContent-Length: ${body.length}`
          const { statuses } = await exchange(port, [`${head}\r\n\r\n${body}`])
          expect([400, 415], `${JSON.stringify(type)} to ${path}`).toContain(statuses[0])
          expect(statuses).toHaveLength(1)
        }
      }
      expect([test.events.written, test.leads.written]).toEqual([[], []])
    })
  })

  it('is not hidden by a second header of the same name', async () => {
    await attackGateway(async ({ port, test }) => {
      const body = JSON.stringify({ ...lead, email: 'no address' })
      for (const types of [
        ['application/json', 'text/plain'],
        ['text/plain', 'application/json'],
      ]) {
        const lines = types.map((type) => `Content-Type: ${type}\r\n`).join('')
        const head = `POST /api/v1/lead/process-async HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: ${test.bearer('admin')}\r\n${lines}`
        const { statuses } = await exchange(port, [`${head}Content-Length: ${body.length}\r\n\r\n${body}`])
        expect([400, 415]).toContain(statuses[0])
      }
      expect(test.leads.written).toEqual([])
    })
  })
})
