import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { streamIdleMs } from '../limits.ts'
import { ConsoleError } from './console-error.ts'
import { createGatewayClient, type StreamBatch } from './gateway-client.ts'
import { createServerClock } from './server-clock.ts'

const signal = new AbortController().signal
const query = { interval: '10s', range: { fromMs: 0, toMs: 100_000 } } as const
const window = {
  event_type: 'a',
  window_start: 0,
  window_end: 10_000,
  count: 1,
  value_count: 1,
  sum: 2,
  avg: 2,
  min: 2,
  max: 2,
}

const granted = { token: 't', token_type: 'Bearer', expires_in: 60, refresh_token: 'r', refresh_expires_in: 600 }

interface Call {
  readonly path: string
  readonly headers: Headers
  readonly signal: AbortSignal | null
  readonly body: unknown
}

function clientOf(answer: (call: Call) => Response | Promise<Response>, token: string | null = 'secret') {
  const calls: Call[] = []
  const client = createGatewayClient({
    fetch: async (input, init) => {
      const call = {
        path: String(input),
        headers: new Headers(init?.headers),
        signal: init?.signal ?? null,
        body: init?.body ?? null,
      }
      calls.push(call)
      return answer(call)
    },
    readToken: async () => token,
    clock: createServerClock({ nowMs: () => 0 }),
  })
  return { client, calls }
}

describe('requests', () => {
  test('login posts the credentials, without a token', async () => {
    const { client, calls } = clientOf(() => Response.json(granted))
    const grant = await client.login({ username: 'analyst', password: 'p' }, signal)
    expect(grant).toEqual({ token: 't', expiresInS: 60, refreshToken: 'r', refreshExpiresInS: 600 })
    expect(calls).toMatchObject([{ path: '/api/v1/login', body: '{"username":"analyst","password":"p"}' }])
    expect(calls[0]?.headers.has('authorization')).toBe(false)
  })

  test('refresh posts the refresh token, without a token', async () => {
    const { client, calls } = clientOf(() => Response.json(granted))
    expect(await client.refresh('old', signal)).toMatchObject({ token: 't', refreshToken: 'r' })
    expect(calls).toMatchObject([{ path: '/api/v1/token/refresh', body: '{"refresh_token":"old"}' }])
    expect(calls[0]?.headers.has('authorization')).toBe(false)
  })

  test('logout posts with the token that it was given', async () => {
    const { client, calls } = clientOf(() => new Response(null, { status: 204 }))
    await client.logout('last', signal)
    expect(calls).toMatchObject([{ path: '/api/v1/logout', body: null }])
    expect(calls[0]?.headers.get('authorization')).toBe('Bearer last')
  })

  test('fetchStats asks for a range with the token and reads its windows', async () => {
    const { client, calls } = clientOf(() => Response.json({ time_interval: '10s', windows: [window] }))
    const windows = await client.fetchStats(query, signal)
    expect(windows).toMatchObject([{ eventType: 'a', count: 1 }])
    expect(calls[0]?.headers.get('authorization')).toBe('Bearer secret')
    const url = new URL(calls[0]?.path ?? '', 'http://localhost')
    expect(url.pathname).toBe('/stats')
    expect(Object.fromEntries(url.searchParams)).toMatchObject({ time_interval: '10s', from: '0', to: '100000' })
  })

  test('fetchStats asks for the halves of a range whose answer was cut', async () => {
    const asked: string[] = []
    const { client } = clientOf(({ path }) => {
      const params = new URL(path, 'http://localhost').searchParams
      const [from, to] = [Number(params.get('from')), Number(params.get('to'))]
      asked.push(`${from}-${to}`)
      const windows = [{ ...window, window_start: from, window_end: from + 10_000 }]
      return Response.json({ windows, truncated: to - from > 30_000 })
    })
    const windows = await client.fetchStats(query, signal)
    expect(asked).toEqual([
      '0-100000',
      '50000-100000',
      '70000-100000',
      '50000-70000',
      '0-50000',
      '20000-50000',
      '0-20000',
    ])
    expect(windows.map(({ windowStartMs }) => windowStartMs)).toEqual([0, 20_000, 50_000, 70_000])
  })

  test('fetchStats takes what it gets when a single window is too much for one answer', async () => {
    const { client, calls } = clientOf(() => Response.json({ windows: [window], truncated: true }))
    const windows = await client.fetchStats({ interval: '10s', range: { fromMs: 0, toMs: 10_000 } }, signal)
    expect(windows).toHaveLength(1)
    expect(calls).toHaveLength(1)
  })

  test('fetchNewestWindow asks for one window without a range', async () => {
    const { client, calls } = clientOf(() => Response.json({ windows: [window], truncated: true }))
    expect(await client.fetchNewestWindow('1h', signal)).toMatchObject({ eventType: 'a' })
    expect(calls.map(({ path }) => path)).toEqual(['/stats?time_interval=1h&limit=1'])
    const empty = clientOf(() => Response.json({ windows: [], truncated: false }))
    expect(await empty.client.fetchNewestWindow('1h', signal)).toBeNull()
  })

  test('fetchHealth reads the checks also from a 503', async () => {
    const { client } = clientOf(() => Response.json({ status: 'down', checks: {} }, { status: 503 }))
    expect(await client.fetchHealth(signal)).toMatchObject({ status: 'down' })
  })

  test.each([
    [401, 'unauthorized'],
    [403, 'forbidden'],
    [400, 'refused'],
    [429, 'unavailable'],
    [503, 'unavailable'],
  ])('a %d is the error %s, with the words of the problem', async (status, code) => {
    const problem = { title: 'T', detail: 'D.', request_id: 'r-1' }
    const headers = { 'content-type': 'application/problem+json', 'retry-after': '3' }
    const { client } = clientOf(() => new Response(JSON.stringify(problem), { status, headers }))
    await expect(client.fetchStats(query, signal)).rejects.toMatchObject({
      code,
      status,
      detail: 'D.',
      requestId: 'r-1',
      retryAfterMs: 3_000,
    })
  })

  test.each([
    ['no problem at all', new Response('<html>', { status: 502, headers: { 'content-type': 'text/html' } })],
    ['a broken problem', new Response('{', { status: 502, headers: { 'content-type': 'application/problem+json' } })],
  ])('the status has to do where there is %s', async (_, response) => {
    const { client } = clientOf(() => response)
    await expect(client.fetchStats(query, signal)).rejects.toMatchObject({
      code: 'unavailable',
      detail: 'The gateway answered with status 502.',
    })
  })

  test('an answer that is not JSON, or not the promised JSON, is a bad answer', async () => {
    await expect(clientOf(() => new Response('hello')).client.fetchStats(query, signal)).rejects.toMatchObject({
      code: 'bad_answer',
    })
    await expect(clientOf(() => Response.json({ windows: {} })).client.fetchStats(query, signal)).rejects.toThrow(
      /"windows"/,
    )
  })

  test('a network failure is unreachable', async () => {
    const { client } = clientOf(() => Promise.reject(new TypeError('Failed to fetch')))
    await expect(client.fetchStats(query, signal)).rejects.toMatchObject({ code: 'unreachable', retryable: true })
  })
})

describe('the stream', () => {
  const encoder = new TextEncoder()
  const update = `id: 4.2\nevent: stats\ndata: ${JSON.stringify({ time_interval: '10s', ...window })}\n\n`

  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  function bodyOf(...pieces: string[]): ReadableStream<Uint8Array<ArrayBuffer>> {
    return new ReadableStream({
      start(controller) {
        for (const piece of pieces) controller.enqueue(encoder.encode(piece))
        controller.close()
      },
    })
  }

  async function readAll(batches: AsyncIterable<StreamBatch>): Promise<StreamBatch[]> {
    const all: StreamBatch[] = []
    for await (const batch of batches) all.push(batch)
    return all
  }

  test('gives windows, ids and resets as they come', async () => {
    const { client, calls } = clientOf(
      () =>
        new Response(
          bodyOf('id: 4.1\nevent: ready\ndata: {}\n\n', ':\n\n', update, 'id: 9.9\nevent: reset\ndata: {}\n\n'),
        ),
    )
    const { batches } = await client.openStatsStream({ interval: '10s', lastEventId: '3.1' }, signal)
    expect(await readAll(batches)).toMatchObject([
      { windows: [], lastEventId: '4.1', isReset: false },
      { windows: [], lastEventId: '4.1', isReset: false },
      { windows: [{ eventType: 'a' }], lastEventId: '4.2', isReset: false },
      { windows: [], lastEventId: '9.9', isReset: true },
    ])
    expect(calls[0]?.path).toBe('/stats/stream?time_interval=10s')
    expect(calls[0]?.headers.get('last-event-id')).toBe('3.1')
  })

  test('sends no Last-Event-ID the first time', async () => {
    const { client, calls } = clientOf(() => new Response(bodyOf()))
    await client.openStatsStream({ interval: '10s', lastEventId: '' }, signal)
    expect(calls[0]?.headers.has('last-event-id')).toBe(false)
  })

  test('refuses a message that is not a window', async () => {
    const { client } = clientOf(() => new Response(bodyOf('event: stats\ndata: {"count":\n\n')))
    const { batches } = await client.openStatsStream({ interval: '10s', lastEventId: '' }, signal)
    await expect(readAll(batches)).rejects.toMatchObject({ code: 'bad_answer' })
  })

  test('takes a stream that falls silent for dead', async () => {
    const { client } = clientOf((call) => new Response(silentBody(call.signal)))
    const { batches } = await client.openStatsStream({ interval: '10s', lastEventId: '' }, signal)
    const reading = readAll(batches).catch((reason: unknown) => reason)
    await vi.advanceTimersByTimeAsync(streamIdleMs)
    expect(await reading).toBeInstanceOf(ConsoleError)
    expect(await reading).toMatchObject({ code: 'unreachable' })
  })

  /** A body which, as in a browser, fails once the request is aborted. */
  function silentBody(aborted: AbortSignal | null): ReadableStream<Uint8Array<ArrayBuffer>> {
    return new ReadableStream({
      start(controller) {
        aborted?.addEventListener('abort', () => controller.error(aborted.reason))
      },
    })
  }
})
