import { Readable } from 'node:stream'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTestApp, type TestApp } from '../../test/test-app.ts'
import { batchBodyBytesMax, bodyBytesMax, inflateRatioMax } from '../limits.ts'
import { contentEncodings, InflatedBody } from './inflated-body.ts'

let test: TestApp

beforeAll(async () => {
  test = await openTestApp()
})
afterAll(() => test.close())

const event = { event_id: 'e-1', user_id: 'u-1', event_type: 'view', timestamp: 1_700_000_000, metadata: { value: 1 } }
const text = JSON.stringify(event)

function post(body: Buffer, encoding: string, change: Record<string, string> = {}) {
  const headers = { authorization: test.bearer('producer'), 'content-type': 'application/json', ...change }
  return test.app.inject({
    method: 'POST',
    url: '/api/v1/events',
    headers: { ...headers, 'content-encoding': encoding },
    body,
  })
}

/** Bytes that do not compress much. */
function events(count: number): string {
  return JSON.stringify(Array.from({ length: count }, (_, i) => ({ ...event, event_id: crypto.randomUUID() + i })))
}

describe('a compressed body that nobody reads', () => {
  const headers = { 'content-encoding': 'gzip' }

  it('ends with its error, and takes nothing else down', async () => {
    const body = new InflatedBody(Readable.from([Buffer.from('not gzip')]), 'gzip', 100)
    // Not by once(): that would listen for the error.
    await new Promise<void>((resolve) => body.on('close', resolve))
    expect(body.errored).toMatchObject({ code: 'INVALID_COMPRESSION' })
  })

  it('does not matter to a route without a body', async () => {
    for (const encoding of contentEncodings) {
      const answer = await test.app.inject({
        url: '/livez',
        headers: { 'content-encoding': encoding },
        body: Buffer.from('not compressed at all'),
      })
      expect(answer.statusCode).toBe(200)
    }
  })

  it('is refused for what else is wrong with the request', async () => {
    const authorization = test.bearer('producer')
    const body = Buffer.from('not gzip')
    const untyped = await test.app.inject({
      method: 'POST',
      url: '/api/v1/events',
      headers: { ...headers, authorization },
      body,
    })
    expect([untyped.statusCode, untyped.json().code]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE'])
    const nowhere = await test.app.inject({ method: 'DELETE', url: '/api/v1/events', headers, body })
    expect(nowhere.statusCode).toBeLessThan(500)
  })
})

describe('a compressed body', () => {
  it.each([
    ['gzip', gzipSync(text)],
    ['GZIP', gzipSync(text)],
    ['zstd', zstdCompressSync(text)],
  ])('in %s is taken like any other', async (encoding, body) => {
    const before = test.events.written.length
    const answer = await post(body, encoding)
    expect([answer.statusCode, answer.json()]).toEqual([202, { accepted: 1, rejected: [], durability: 'kafka' }])
    expect(test.events.written.at(-1)).toMatchObject({ event_id: 'e-1', metadata: '{"value":1}' })
    expect(test.events.written).toHaveLength(before + 1)
  })

  it('may be large, and as NDJSON', async () => {
    const lines = Array.from({ length: 9_000 }, (_, i) =>
      JSON.stringify({ ...event, event_id: crypto.randomUUID() + i }),
    )
    const answer = await post(gzipSync(lines.join('\n')), 'gzip', { 'content-type': 'application/x-ndjson' })
    expect(answer.json()).toMatchObject({ accepted: 9_000, rejected: [] })
  })

  it.each([
    ['gzip', Buffer.from(text), 'INVALID_COMPRESSION'],
    ['gzip', gzipSync(text).subarray(0, -3), 'INVALID_COMPRESSION'],
    ['gzip', Buffer.concat([gzipSync(text), Buffer.from('more')]), 'INVALID_COMPRESSION'],
    ['gzip', Buffer.alloc(0), 'INVALID_COMPRESSION'],
    ['zstd', gzipSync(text), 'INVALID_COMPRESSION'],
    ['zstd', zstdCompressSync(text).subarray(0, -3), 'INVALID_COMPRESSION'],
    ['gzip', gzipSync('{'), 'INVALID_JSON'],
    ['gzip', gzipSync(Buffer.from([0x22, 0xff, 0x22])), 'INVALID_JSON'],
    ['br', Buffer.from(text), 'UNSUPPORTED_MEDIA_TYPE'],
    ['deflate', Buffer.from(text), 'UNSUPPORTED_MEDIA_TYPE'],
    ['gzip, gzip', gzipSync(gzipSync(text)), 'UNSUPPORTED_MEDIA_TYPE'],
  ])('in %s that is not as it must be (%#) is refused as %3$s', async (encoding, body, code) => {
    const answer = await post(body, encoding)
    expect(answer.json().code).toBe(code)
    if (code === 'UNSUPPORTED_MEDIA_TYPE') expect(answer.headers['accept-encoding']).toBe('gzip, zstd, identity')
  })

  it('is bounded by what it becomes, not by what it is', async () => {
    const large = events(Math.ceil(batchBodyBytesMax / 100))
    expect(large.length).toBeGreaterThan(batchBodyBytesMax)
    const body = gzipSync(large)
    expect(body.length).toBeLessThan(batchBodyBytesMax)
    const answer = await post(body, 'gzip')
    expect([answer.statusCode, answer.json().code]).toEqual([413, 'BODY_TOO_LARGE'])
    expect(answer.json().detail).toContain(`${batchBodyBytesMax} bytes`)
  })

  it.each([
    ['gzip', gzipSync(' '.repeat(4 * 1024 * 1024))],
    ['zstd', zstdCompressSync(' '.repeat(4 * 1024 * 1024))],
  ])('in %s that grows out of proportion is cut off early', async (encoding, body) => {
    const answer = await post(body, encoding)
    expect([answer.statusCode, answer.json().code]).toEqual([413, 'BODY_TOO_LARGE'])
    expect(answer.json().detail).toContain(`${inflateRatioMax} times`)
  })

  it('is taken, and bounded, by every other route too', async () => {
    const inject = (body: Buffer) =>
      test.app.inject({
        method: 'POST',
        url: '/api/v1/lead/process-async',
        headers: {
          authorization: test.bearer('user'),
          'content-type': 'application/json',
          'content-encoding': 'gzip',
        },
        body,
      })
    const lead = { first_name: 'A', last_name: 'B', email: 'a@example.com' }
    expect((await inject(gzipSync(JSON.stringify(lead)))).statusCode).toBe(202)
    const large = JSON.stringify({ ...lead, last_name: events(1_000) })
    expect(large.length).toBeGreaterThan(bodyBytesMax)
    expect((await inject(gzipSync(large))).json().code).toBe('BODY_TOO_LARGE')
  })
})
