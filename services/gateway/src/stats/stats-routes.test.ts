import type { Readable } from 'node:stream'
import type { EventStats } from '@millrace/schemas'
import { StorageError } from '@millrace/storage/mysql'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTestApp, type TestApp } from '../../test/test-app.ts'
import { createStatsReader } from './stats-reader.ts'
import { StatsStream } from './stats-stream.ts'
import { StatsView } from './stats-view.ts'

let test: TestApp
let following = true
const opened: Readable[] = []

beforeAll(async () => {
  test = await openTestApp({ statsAreFollowed: () => following })
  for (const start of [0, 60_000, 120_000]) {
    test.view.apply(stats('view', start))
    test.view.apply(
      stats('buy', start, '1m', { avg: 2.5, sum: 5, value_count: 2, min: 1, max: 4, count: 3, final: true }),
    )
  }
})
afterAll(async () => {
  for (const stream of opened) stream.destroy()
  await test.close()
})

function stats(
  event_type: string,
  window_start: number,
  interval = '1m',
  change: Partial<EventStats> = {},
): EventStats {
  const none = { value_count: 0, sum: 0, avg: null, min: null, max: null, final: false }
  return {
    event_type,
    interval,
    window_start,
    window_end: window_start + 60_000,
    count: 1,
    updated_at: 7,
    ...none,
    ...change,
  }
}

const get = (query: string, app: TestApp = test) =>
  app.app.inject({ url: `/api/v1/stats${query}`, headers: { authorization: app.bearer('analyst') } })

describe('asking for statistics', () => {
  it('gives windows oldest first', async () => {
    const answer = await get('?event_type=buy&time_interval=1m&from=0&to=120')
    expect(answer.statusCode).toBe(200)
    expect(answer.json()).toEqual({
      event_type: 'buy',
      time_interval: '1m',
      from: 0,
      to: 120_000,
      windows: [0, 60_000].map((start) => ({
        event_type: 'buy',
        window_start: start,
        window_end: start + 60_000,
        count: 3,
        value_count: 2,
        sum: 5,
        avg: 2.5,
        min: 1,
        max: 4,
        final: true,
        updated_at: 7,
      })),
      truncated: false,
      source: 'memory',
    })
  })

  it('gives all types without one, and the newest windows without a beginning', async () => {
    const all = await get('')
    expect(all.json().windows.map((w: EventStats) => [w.window_start, w.event_type])).toEqual([
      [0, 'buy'],
      [0, 'view'],
      [60_000, 'buy'],
      [60_000, 'view'],
      [120_000, 'buy'],
      [120_000, 'view'],
    ])
    expect(all.json()).toMatchObject({ event_type: null, from: null, to: null, truncated: false })
    const newest = await get('?event_type=view&limit=1')
    expect(newest.json()).toMatchObject({ truncated: true, windows: [{ window_start: 120_000, avg: null }] })
    const oldest = await get('?event_type=view&limit=1&from=0')
    expect(oldest.json()).toMatchObject({ truncated: true, windows: [{ window_start: 0 }] })
  })

  it.each([
    ['?time_interval=2m', '/time_interval', 'must be one of 10s, 1m, 5m, 1h, 1d'],
    ['?event_type=a%40b', '/event_type', 'must be an event type'],
    ['?limit=10001', '/limit', 'must be <= 10000'],
    ['?from=x', '/from', undefined],
    ['?interval=1m', '/interval', 'is not a known field'],
  ])('refuses %s', async (query, pointer, detail) => {
    const answer = await get(query)
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'INVALID_PARAMETER'])
    expect(answer.json().errors).toMatchObject([{ pointer, in: 'query', ...(detail === undefined ? {} : { detail }) }])
  })

  it('gives the same answer again only as long as nothing changes', async () => {
    const question = '?event_type=changing&time_interval=5m'
    const counts = async () => (await get(question)).json().windows.map((w: EventStats) => w.count)
    test.view.apply(stats('changing', 0, '5m', { count: 1 }))
    expect([await counts(), await counts()]).toEqual([[1], [1]])
    test.view.apply(stats('changing', 0, '5m', { count: 2 }))
    expect(await counts()).toEqual([2])
    expect((await get(`${question}&limit=x`)).statusCode).toBe(400)
  })

  it('gives out sums beyond all numbers as null', async () => {
    test.view.apply(stats('huge', 0, '1d', { sum: Number.POSITIVE_INFINITY, avg: Number.NaN, min: 1, max: 2 }))
    const answer = await get('?event_type=huge&time_interval=1d')
    expect(answer.json().windows).toMatchObject([{ sum: null, avg: null, min: 1, max: 2 }])
  })

  it('answers 503 rather than half when older windows are only in a store that is away', async () => {
    const view = new StatsView(1)
    view.caughtUp = true
    view.apply(stats('view', 0))
    view.apply(stats('view', 60_000))
    const away = { range: () => Promise.reject(new StorageError('UNAVAILABLE', 'x')) }
    const half = await openTestApp({ stats: createStatsReader(view, away) })
    expect((await get('?from=0', half)).statusCode).toBe(503)
    expect((await get('?from=60', half)).json()).toMatchObject({
      source: 'memory',
      windows: [{ window_start: 60_000 }],
    })
    await half.close()
  })
})

describe('streaming statistics', () => {
  async function open(query = '', headers: Record<string, string> = {}) {
    const answer = await test.app.inject({
      url: `/stats/stream${query}`,
      headers: { authorization: test.bearer('analyst'), ...headers },
      payloadAsStream: true,
    })
    const stream = answer.stream()
    opened.push(stream)
    const chunks: string[] = []
    stream.on('data', (chunk) => chunks.push(String(chunk)))
    const text = async (wanted: string) => {
      while (!chunks.join('').includes(wanted)) await new Promise((resolve) => stream.once('data', resolve))
      return chunks.join('')
    }
    return { answer, text, stream }
  }

  it('sends what is published, with ids to go on from', async () => {
    const { answer, text } = await open('?event_type=live&time_interval=10s')
    expect(answer.statusCode).toBe(200)
    expect(answer.headers['content-type']).toBe('text/event-stream; charset=utf-8')
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(answer.headers['x-accel-buffering']).toBe('no')
    expect(answer.headers['content-security-policy']).toBeDefined()
    await text('event: ready')
    test.hub.publish(stats('other', 0, '10s'), { partition: 0, offset: 0 })
    test.hub.publish(stats('live', 0, '10s', { count: 41 }), { partition: 0, offset: 1 })
    const got = await text('"count":41')
    expect(got).not.toContain('other')
    expect(got).toContain('id: 2.0\nevent: stats\ndata: {"time_interval":"10s","event_type":"live"')
  })

  it('goes on from Last-Event-ID', async () => {
    test.hub.publish(stats('again', 0, '10s', { count: 51 }), { partition: 1, offset: 0 })
    test.hub.publish(stats('again', 0, '10s', { count: 52 }), { partition: 1, offset: 1 })
    const { text } = await open('?event_type=again', { 'last-event-id': '2.1' })
    const got = await text('"count":52')
    expect(got).not.toContain('"count":51')
    const lost = await open('', { 'last-event-id': 'gone' })
    expect(await lost.text('event: reset')).toContain('data: {}')
  })

  it('ends when the token ends', async () => {
    const iat = Math.floor(Date.now() / 1_000)
    const exp = iat + 600
    // A clock on which the token is about to end: by the true one it is good for as long as this may take.
    const own = await openTestApp({ nowMs: () => exp * 1_000 - 200 })
    const answer = await own.app.inject({
      url: '/stats/stream',
      headers: { authorization: own.bearer('analyst', { iat, exp }) },
      payloadAsStream: true,
    })
    expect(answer.statusCode).toBe(200)
    const ended = new Promise((resolve) => answer.stream().once('end', resolve))
    answer.stream().resume()
    await ended
    await expect.poll(() => own.hub.size).toBe(0)
    await own.close()
  })

  it('forgets a client that goes away', async () => {
    const own = await openTestApp()
    const origin = await own.app.listen({ host: '127.0.0.1', port: 0 })
    const abort = new AbortController()
    const headers = { authorization: own.bearer('analyst') }
    const answer = await fetch(`${origin}/stats/stream`, { headers, signal: abort.signal })
    expect(answer.status).toBe(200)
    expect(own.hub.size).toBe(1)
    abort.abort()
    await expect.poll(() => own.hub.size).toBe(0)
    await own.close()
  })

  it('waits for the view', async () => {
    following = false
    const answer = await test.app.inject({ url: '/stats/stream', headers: { authorization: test.bearer('admin') } })
    following = true
    expect([answer.statusCode, answer.json().code]).toEqual([503, 'NOT_READY'])
  })

  it('ends all streams when the service closes', async () => {
    const closing = await openTestApp()
    const answer = await closing.app.inject({
      url: '/stats/stream',
      headers: { authorization: closing.bearer('admin') },
      payloadAsStream: true,
    })
    const ended = new Promise((resolve) => answer.stream().once('end', resolve))
    answer.stream().resume()
    await closing.close()
    await ended
  })

  it('cuts a client off that does not read', () => {
    const stream = new StatsStream(100)
    expect(stream.send('x'.repeat(60))).toBe(true)
    expect(stream.send('x'.repeat(60))).toBe(false)
    expect(stream.destroyed).toBe(true)
    expect(stream.send('x')).toBe(false)
    stream.end()
  })
})
