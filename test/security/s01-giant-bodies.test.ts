import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it, vi } from 'vitest'
import { batchBodyBytesMax, bodyBytesMax } from '../../services/gateway/src/limits.ts'
import { type AttackedGateway, attackGateway } from './attacked-gateway.ts'
import { mustFailWithout } from './proof.ts'
import { exchange } from './raw-http.ts'

const defences = vi.hoisted(() => ({ bodyBounds: true, inflateBounds: true }))
vi.mock('../../services/gateway/src/limits.ts', async (original) => {
  const real = await original<typeof import('../../services/gateway/src/limits.ts')>()
  const unbounded = 1024 ** 3
  const bound = (bytes: number) => (defences.bodyBounds && defences.inflateBounds ? bytes : unbounded)
  return {
    ...real,
    get bodyBytesMax() {
      return bound(real.bodyBytesMax)
    },
    get batchBodyBytesMax() {
      return bound(real.batchBodyBytesMax)
    },
    get inflateRatioMax() {
      return bound(real.inflateRatioMax)
    },
  }
})

const mib = 1024 ** 2
/** What a client can get rid of before it notices that nobody reads: the buffers of both ends of a socket. */
const socketBuffersMax = 24 * mib
const bounds = { '/api/v1/lead/process-async': bodyBytesMax, '/events': batchBodyBytesMax } as const
const paths = ['/api/v1/lead/process-async', '/events'] as const

const head = ({ test }: AttackedGateway, path: string, length: string) =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${test.bearer('admin')}\r\nContent-Type: application/json\r\n${length}\r\n\r\n`

describe('S01 giant bodies', () => {
  it.each(paths)('one byte too many for %s is one too many', async (path) => {
    await attackGateway(async ({ ask, test }) => {
      const bound = bounds[path]
      const over = await ask(path, { role: 'admin', body: `"${'x'.repeat(bound - 1)}"` })
      expect([over.status, over.body.code]).toEqual([413, 'BODY_TOO_LARGE'])
      const within = await ask(path, { role: 'admin', body: `"${'x'.repeat(bound - 2)}"` })
      expect(within.status).toBe(400)
      expect([test.events.written, test.leads.written]).toEqual([[], []])
    })
  })

  /** Announces 100 MiB and sends none of them. */
  async function announce(): Promise<void> {
    await attackGateway(async (gateway) => {
      for (const path of paths) {
        const answer = await exchange(gateway.port, [head(gateway, path, `Content-Length: ${100 * mib}`)])
        expect([answer.statuses, answer.closed]).toEqual([[413], true])
      }
    })
  }
  it('what is announced is refused before it is sent', announce)
  it('proof: without the bounds of bodies it would be waited for', () =>
    mustFailWithout(defences, 'bodyBounds', announce))

  function* chunks(first: string): Generator<string | Buffer> {
    yield first
    const chunk = Buffer.alloc(64 * 1024, ' ')
    for (let i = 0; i < 100 * 16; i++) {
      yield '10000\r\n'
      yield chunk
      yield '\r\n'
    }
    yield '0\r\n\r\n'
  }
  /** Sends 100 MiB without saying how much it will be. */
  async function stream(): Promise<void> {
    await attackGateway(async (gateway) => {
      const answer = await exchange(gateway.port, chunks(head(gateway, '/events', 'Transfer-Encoding: chunked')))
      // A client that goes on writing may find the connection reset before it has read the answer.
      expect([[413], []]).toContainEqual(answer.statuses)
      expect([answer.closed, answer.bytesWritten < batchBodyBytesMax + socketBuffersMax]).toEqual([true, true])
    })
  }
  it('what comes without a length is cut off at the bound', stream)
  it('proof: without the bounds of bodies all of it would be taken', () =>
    mustFailWithout(defences, 'bodyBounds', stream))

  /** A few kilobytes that are 64 MiB. */
  async function bomb(): Promise<void> {
    const zeros = Buffer.alloc(64 * mib, ' ')
    const bombs = { gzip: gzipSync(zeros), zstd: zstdCompressSync(zeros) }
    await attackGateway(async ({ ask, test }) => {
      for (const [encoding, bytes] of Object.entries(bombs)) {
        for (const path of paths) {
          const body = new Uint8Array(bytes)
          const answer = await ask(path, { role: 'admin', headers: { 'content-encoding': encoding }, body })
          expect([encoding, path, answer.status, answer.body.code]).toEqual([encoding, path, 413, 'BODY_TOO_LARGE'])
        }
      }
      expect([test.events.written, test.leads.written]).toEqual([[], []])
    })
  }
  it('what grows when it is decompressed is refused', bomb)
  it('proof: without the bounds of decompression it would be decompressed to its end', () =>
    mustFailWithout(defences, 'inflateBounds', bomb))
})
