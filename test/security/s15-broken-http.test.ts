import { describe, expect, it, vi } from 'vitest'
import { attackGateway } from './attacked-gateway.ts'
import { mustFailWithout } from './proof.ts'
import { exchange } from './raw-http.ts'

const defences = vi.hoisted(() => ({ strictHttp: true }))
vi.mock('fastify', async (original) => {
  const real = await original<typeof import('fastify')>()
  const fastify = (options: { readonly http: object }) =>
    real.fastify(defences.strictHttp ? options : { ...options, http: { ...options.http, insecureHTTPParser: true } })
  return { ...real, fastify }
})

/** What must never be answered: the request that hides in another one's body. */
const hidden = 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n'
const post = 'POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
const json = '{"username":"a","password":"b"}'

/** Requests whose end two servers would see at two places. */
const ambiguous: Readonly<Record<string, string>> = {
  'a length and chunks': `${post}Content-Length: ${5 + hidden.length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
  'chunks and a length': `${post}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${hidden}`,
  'two lengths': `${post}Content-Length: 5\r\nContent-Length: ${5 + hidden.length}\r\n\r\n{"a":${hidden}`,
  'a list of lengths': `${post}Content-Length: 5, 5\r\n\r\n{"a":${hidden}`,
  'a length with a sign': `${post}Content-Length: +5\r\n\r\n{"a":${hidden}`,
  'a hexadecimal length': `${post}Content-Length: 0x5\r\n\r\n{"a":${hidden}`,
  'a length that is no number': `${post}Content-Length: five\r\n\r\n{"a":${hidden}`,
  'a negative length': `${post}Content-Length: -1\r\n\r\n{"a":${hidden}`,
  'a space before the colon': `${post}Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${hidden}`,
  'a folded line': `${post}Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${hidden}`,
  'another encoding': `${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${hidden}`,
  'chunked in the middle': `${post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${hidden}`,
  'chunked twice': `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n${hidden}`,
  'a broken chunk size': `${post}Transfer-Encoding: chunked\r\n\r\nzz\r\n${hidden}`,
  'a chunk that is longer than it says': `${post}Transfer-Encoding: chunked\r\n\r\n1\r\n{{{\r\n0\r\n\r\n${hidden}`,
  'lines without a carriage return': `POST /api/v1/login HTTP/1.1\nHost: x\nContent-Length: 5\n\n{"a":${hidden}`,
  'a carriage return inside': `${post}X: a\rContent-Length: 5\r\n\r\n${hidden}`,
  'NUL in a header': `${post}X: a\u0000b\r\nContent-Length: 0\r\n\r\n${hidden}`,
  'a header without a name': `${post}: x\r\nContent-Length: 0\r\n\r\n${hidden}`,
}

/** What is no HTTP/1.1, and what asks for something else. */
const foreign: Readonly<Record<string, string>> = {
  'HTTP/0.9': 'GET /livez\r\n\r\n',
  'HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'HTTP/9.9': 'GET /livez HTTP/9.9\r\nHost: x\r\n\r\n',
  'no host': 'GET /livez HTTP/1.1\r\n\r\n',
  TLS: '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003',
  'an unknown method': 'FROB /livez HTTP/1.1\r\nHost: x\r\n\r\n',
  'a lower-case method': 'get /livez HTTP/1.1\r\nHost: x\r\n\r\n',
  'a space in the address': 'GET /li vez HTTP/1.1\r\nHost: x\r\n\r\n',
  'NUL in the address': 'GET /livez\u0000 HTTP/1.1\r\nHost: x\r\n\r\n',
  noise: `${'\u00ff\u00fe'.repeat(500)}\r\n\r\n`,
}

const bytesOf = (text: string) => [Buffer.from(text, 'latin1')]

async function smuggle(): Promise<void> {
  await attackGateway(async ({ port }) => {
    for (const [what, text] of Object.entries(ambiguous)) {
      const { statuses, closed } = await exchange(port, bytesOf(text))
      expect([what, statuses, closed]).toEqual([what, [400], true])
    }
  })
}

describe('S15 broken HTTP', () => {
  it('that can be read in two ways is refused, and the connection closed', smuggle)
  it('proof: a lenient parser would answer the hidden request', () => mustFailWithout(defences, 'strictHttp', smuggle))

  it('that is none is refused, and the connection closed', async () => {
    await attackGateway(async ({ port }) => {
      for (const [what, text] of Object.entries(foreign)) {
        const { statuses, closed } = await exchange(port, bytesOf(text))
        expect([what, statuses, closed]).toEqual([what, [400], true])
      }
    })
  })

  it('with headers that are too long, or too many, is refused', async () => {
    await attackGateway(async ({ port }) => {
      const head = 'GET /livez HTTP/1.1\r\nHost: x\r\n'
      for (const headers of [
        `X: ${'x'.repeat(17_000)}\r\n`,
        `${'x'.repeat(17_000)}: x\r\n`,
        'a:b\r\n'.repeat(5_000),
        `Cookie: ${'a=b;'.repeat(5_000)}\r\n`,
      ]) {
        const { statuses, closed } = await exchange(port, [`${head}${headers}\r\n`])
        expect([headers.slice(0, 5), statuses, closed]).toEqual([headers.slice(0, 5), [431], true])
      }
      const { statuses } = await exchange(port, [`GET /${'x'.repeat(17_000)} HTTP/1.1\r\nHost: x\r\n\r\n`])
      expect(statuses).toEqual([431])
    })
  })

  it('that wants another protocol, or a go-ahead, gets neither more nor less than its answer', async () => {
    await attackGateway(async ({ port }) => {
      const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'
      const socket = await exchange(port, [`GET /stats/stream HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n`])
      expect(socket.statuses).toEqual([401])
      const h2c = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n'
      expect((await exchange(port, [`GET /events HTTP/1.1\r\nHost: x\r\n${h2c}\r\n`])).statuses).toEqual([401])
      const unknown = await exchange(port, [`${post}Expect: 200-ok\r\nContent-Length: ${json.length}\r\n\r\n${json}`])
      expect(unknown.statuses).toEqual([417])
      const large = await exchange(port, [`${post}Expect: 100-continue\r\nContent-Length: 100000000\r\n\r\n`])
      expect([large.statuses.at(-1), large.closed]).toEqual([413, true])
      const tunnel = await exchange(port, ['CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n'])
      expect([tunnel.text.includes(' 200 '), tunnel.closed]).toEqual([false, true])
      const trace = await exchange(port, ['TRACE / HTTP/1.1\r\nHost: x\r\nX-Secret: echo\r\nConnection: close\r\n\r\n'])
      expect([trace.text.includes('echo'), (trace.statuses[0] ?? 500) < 500]).toEqual([false, true])
    })
  })

  it('does not put what a caller says about the host into an answer', async () => {
    await attackGateway(async ({ port }) => {
      for (const host of [
        'evil.example',
        'evil.example:80@x',
        '"><script>evil.example</script>',
        '[::1]:evil.example',
      ]) {
        for (const path of ['/', '/docs/', '/openapi.json', '/nothing', '/api/v1/leads']) {
          const head = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nX-Forwarded-Host: evil.example\r\nConnection: close`
          expect((await exchange(port, [`${head}\r\n\r\n`])).text).not.toContain('evil.example')
        }
      }
    })
  })
})
