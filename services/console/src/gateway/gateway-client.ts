import {
  reconciliationTimeoutMs,
  requestTimeoutMs,
  statsSplitsMax,
  statsWindowsPerAnswer,
  streamIdleMs,
} from '../limits.ts'
import { type Interval, intervalSpecs } from '../stats/interval.ts'
import type { ShownRange } from '../stats/shown-range.ts'
import { parseStatsWindow, type StatsWindow } from '../stats/stats-window.ts'
import { ConsoleError } from './console-error.ts'
import { type Health, parseHealth } from './health.ts'
import { listAt, numberAt, objectAt, optionalTextAt, textAt } from './json.ts'
import { type GroupLag, parseLags, parseReconciliation, parseWaiting, type ReconciledTopic } from './operations.ts'
import { errorOf } from './problem.ts'
import type { ServerClock } from './server-clock.ts'
import { createSseParser } from './sse-parser.ts'

/** What sign-in takes. */
export interface Credentials {
  readonly username: string
  readonly password: string
}

/** What sign-in gives. */
export interface Grant {
  readonly token: string
  readonly expiresInS: number
  /** Good once: for the next grant. */
  readonly refreshToken: string
  readonly refreshExpiresInS: number
}

/** Which windows are wanted. */
export interface StatsQuery {
  readonly interval: Interval
  readonly range: ShownRange
}

/** Where the stream shall begin. */
export interface StreamQuery {
  readonly interval: Interval
  /** The id of the last message seen, or empty. */
  readonly lastEventId: string
}

/** What one read of a stream brought. */
export interface StreamBatch {
  /** In the order in which they were written; a window may occur more than once. */
  readonly windows: readonly StatsWindow[]
  /** What to continue from after a reconnect; empty when the gateway gave no id yet. */
  readonly lastEventId: string
  /** The gateway no longer has everything since the id it was given: history has to be loaded anew. */
  readonly isReset: boolean
}

/** An open stream. Reading ends when the server ends it and throws when the connection breaks, falls silent or is aborted. */
export interface StatsStream {
  /** One for each read of the connection; a heartbeat gives one without windows. */
  readonly batches: AsyncIterable<StreamBatch>
}

/**
 * The page's view of the gateway. Every method rejects with a {@link ConsoleError}, also after `signal` was aborted; none tries again by
 * itself. Requests have a deadline, the stream one for its first byte and one for silence.
 */
export interface GatewayClient {
  login(credentials: Credentials, signal: AbortSignal): Promise<Grant>
  refresh(refreshToken: string, signal: AbortSignal): Promise<Grant>
  /** Ends the session of this token. */
  logout(token: string, signal: AbortSignal): Promise<void>
  /** Windows of all types that start in the range, oldest first. */
  fetchStats(query: StatsQuery, signal: AbortSignal): Promise<readonly StatsWindow[]>
  /** The newest window of an interval, of whatever type and year; null when there is none. */
  fetchNewestWindow(interval: Interval, signal: AbortSignal): Promise<StatsWindow | null>
  openStatsStream(query: StreamQuery, signal: AbortSignal): Promise<StatsStream>
  /** Also answers when servers are down: that is what it reports. */
  fetchHealth(signal: AbortSignal): Promise<Health>
  /** How far the processor and the sinks are behind. For admins, as the next two: others get `forbidden`. */
  fetchLags(signal: AbortSignal): Promise<readonly GroupLag[]>
  /** Whether everything of the last hour has arrived. */
  fetchReconciliation(signal: AbortSignal): Promise<readonly ReconciledTopic[]>
  /** How many records of a topic could not be stored, and wait for somebody to put them back. */
  fetchWaitingLetters(topic: string, signal: AbortSignal): Promise<number>
}

/** What the client is made of. */
export interface GatewayClientOptions {
  readonly fetch: typeof fetch
  /** The token of the session, or null before sign-in. May have to fetch a new one. */
  readonly readToken: () => Promise<string | null>
  readonly clock: ServerClock
}

/** A client for the gateway that served this page. */
export function createGatewayClient({ fetch, readToken, clock }: GatewayClientOptions): GatewayClient {
  async function send(path: string, init: RequestInit): Promise<Response> {
    return await sendAs(await readToken(), path, init)
  }

  async function sendAs(token: string | null, path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers)
    if (token !== null) headers.set('authorization', `Bearer ${token}`)
    try {
      const response = await fetch(path, { ...init, headers, cache: 'no-store' })
      clock.observe(response.headers.get('date'))
      return response
    } catch (reason) {
      throw ConsoleError.from(reason)
    }
  }

  async function json(
    path: string,
    init: RequestInit,
    signal: AbortSignal,
    timeoutMs = requestTimeoutMs,
  ): Promise<unknown> {
    const response = await send(path, {
      ...init,
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    })
    if (!response.ok) throw await errorOf(response)
    return readJson(response)
  }

  /** Asks for tokens, without sending one. */
  async function grant(path: string, body: object, signal: AbortSignal): Promise<Grant> {
    const response = await sendAs(null, path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)]),
    })
    if (!response.ok) throw await errorOf(response)
    const answer = objectAt(await readJson(response), 'grant')
    return {
      token: textAt(answer, 'token'),
      expiresInS: numberAt(answer, 'expires_in'),
      refreshToken: textAt(answer, 'refresh_token'),
      refreshExpiresInS: numberAt(answer, 'refresh_expires_in'),
    }
  }

  /** The gateway cuts an answer that would be too long; then the halves of the range are asked for, newest first, `splits` times over. */
  async function fetchWindows(
    { interval, range }: StatsQuery,
    signal: AbortSignal,
    splits: number,
  ): Promise<readonly StatsWindow[]> {
    const limit = String(statsWindowsPerAnswer)
    const { fromMs, toMs } = range
    const { windows, isCut } = await askStats(
      { time_interval: interval, from: String(fromMs), to: String(toMs), limit },
      signal,
    )
    const middleMs = middleOf(range, intervalSpecs[interval].windowMs)
    if (!isCut || middleMs === null || splits === 0) return windows
    const newer = await fetchWindows({ interval, range: { fromMs: middleMs, toMs } }, signal, splits - 1)
    const older = await fetchWindows({ interval, range: { fromMs, toMs: middleMs } }, signal, splits - 1)
    return [...older, ...newer]
  }

  async function askStats(
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<{ windows: readonly StatsWindow[]; isCut: boolean }> {
    const answer = objectAt(await json(`/stats?${new URLSearchParams(query)}`, {}, signal), 'stats')
    const eventType = optionalTextAt(answer, 'event_type')
    const windows = listAt(answer, 'windows').map((window) => parseStatsWindow(window, eventType))
    return { windows, isCut: answer.truncated === true }
  }

  return {
    login: ({ username, password }, signal) => grant('/api/v1/login', { username, password }, signal),

    refresh: (refreshToken, signal) => grant('/api/v1/token/refresh', { refresh_token: refreshToken }, signal),

    async logout(token, signal) {
      const init = { method: 'POST', signal: AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)]) }
      const response = await sendAs(token, '/api/v1/logout', init)
      if (!response.ok) throw await errorOf(response)
    },

    fetchStats: (query, signal) => fetchWindows(query, signal, statsSplitsMax),

    async fetchNewestWindow(interval, signal) {
      // Without a start of the range the gateway gives the newest windows.
      const { windows } = await askStats({ time_interval: interval, limit: '1' }, signal)
      return windows.at(-1) ?? null
    },

    async openStatsStream({ interval, lastEventId }, signal) {
      const silence = createSilenceWatch(requestTimeoutMs)
      const headers = new Headers({ accept: 'text/event-stream' })
      if (lastEventId !== '') headers.set('last-event-id', lastEventId)
      try {
        const response = await send(`/stats/stream?time_interval=${interval}`, {
          headers,
          signal: AbortSignal.any([signal, silence.signal]),
        })
        if (!response.ok) throw await errorOf(response)
        if (response.body === null) throw new ConsoleError('bad_answer', 'The stream has no body.')
        return { batches: readBatches(response.body, silence) }
      } catch (reason) {
        silence.stop()
        throw reason
      }
    },

    async fetchLags(signal) {
      return parseLags(await json('/api/v1/ops/lag', {}, signal))
    },

    async fetchReconciliation(signal) {
      return parseReconciliation(await json('/api/v1/ops/reconciliation', {}, signal, reconciliationTimeoutMs))
    },

    async fetchWaitingLetters(topic, signal) {
      return parseWaiting(await json(`/api/v1/ops/dead-letters/${encodeURIComponent(topic)}?limit=1`, {}, signal))
    },

    async fetchHealth(signal) {
      // Without a token: to get one may be what does not work.
      const response = await sendAs(null, '/api/v1/health', {
        signal: AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)]),
      })
      // 503 is how a gateway whose servers are down answers this; its body tells which.
      if (!response.ok && response.status !== 503) throw await errorOf(response)
      return parseHealth(await readJson(response))
    },
  }
}

/** The start of the window in the middle of a range; null when the range is a single window. */
function middleOf({ fromMs, toMs }: ShownRange, windowMs: number): number | null {
  const middleMs = fromMs + Math.floor((toMs - fromMs) / windowMs / 2) * windowMs
  return middleMs > fromMs ? middleMs : null
}

async function readJson(response: Response): Promise<unknown> {
  let text: string
  try {
    text = await response.text()
  } catch (reason) {
    throw ConsoleError.from(reason)
  }
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new ConsoleError('bad_answer', 'The gateway answered with something that is not JSON.', { cause })
  }
}

async function* readBatches(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  silence: SilenceWatch,
): AsyncGenerator<StreamBatch> {
  const parser = createSseParser()
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let lastEventId = ''
  try {
    while (true) {
      silence.restart(streamIdleMs)
      const { done, value } = await reader.read()
      if (done) return
      const windows: StatsWindow[] = []
      let isReset = false
      for (const message of parser.push(value)) {
        lastEventId = message.lastEventId
        if (message.event === 'stats') windows.push(parseStatsWindow(parseData(message.data), null))
        else if (message.event === 'reset') isReset = true
      }
      yield { windows, lastEventId, isReset }
    }
  } catch (reason) {
    throw ConsoleError.from(reason)
  } finally {
    silence.stop()
    // Frees the connection when the reader leaves early; a connection that broke has nothing left to free.
    await reader.cancel().catch(() => undefined)
  }
}

function parseData(data: string): unknown {
  try {
    return JSON.parse(data)
  } catch (cause) {
    throw new ConsoleError('bad_answer', 'A message of the stream is not JSON.', { cause })
  }
}

interface SilenceWatch {
  readonly signal: AbortSignal
  restart(timeoutMs: number): void
  stop(): void
}

/** Aborts when it is not restarted in time. */
function createSilenceWatch(timeoutMs: number): SilenceWatch {
  const controller = new AbortController()
  const abort = () => controller.abort(new DOMException('The stream fell silent.', 'TimeoutError'))
  let timer = setTimeout(abort, timeoutMs)
  return {
    signal: controller.signal,
    restart(nextTimeoutMs) {
      clearTimeout(timer)
      timer = setTimeout(abort, nextTimeoutMs)
    },
    stop: () => clearTimeout(timer),
  }
}
