import type { GatewayClient, StatsQuery, StreamBatch, StreamQuery } from '../gateway/gateway-client.ts'
import type { StatsWindow } from '../stats/stats-window.ts'

/** A stream in the hands of a test. */
export interface ScriptedStream extends StreamQuery {
  send(batch: Partial<StreamBatch>): void
  end(): void
  fail(reason: unknown): void
  /** Whether the reader has given it up. */
  readonly isAborted: boolean
}

/** A gateway for tests, which records what it is asked and answers as told. */
export interface ScriptedGateway extends Pick<GatewayClient, 'fetchStats' | 'fetchNewestWindow' | 'openStatsStream'> {
  /** Every stream that was opened, in order. */
  readonly streams: readonly ScriptedStream[]
  readonly queries: readonly StatsQuery[]
  /** Fails the next openings of a stream, one reason each. */
  readonly openingFailures: unknown[]
  /** Answers history; may throw. */
  history: (query: StatsQuery) => readonly StatsWindow[]
}

/** A gateway without data, whose streams open and stay silent. */
export function createScriptedGateway(): ScriptedGateway {
  const streams: ScriptedStream[] = []
  const queries: StatsQuery[] = []
  const openingFailures: unknown[] = []
  const gateway: ScriptedGateway = {
    streams,
    queries,
    openingFailures,
    history: () => [],
    async fetchStats(query) {
      queries.push(query)
      return gateway.history(query)
    },
    async fetchNewestWindow(interval) {
      const windows = gateway.history({ interval, range: { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER } })
      return windows.reduce<StatsWindow | null>(
        (newest, window) => (newest !== null && newest.windowStartMs >= window.windowStartMs ? newest : window),
        null,
      )
    },
    async openStatsStream(query, signal) {
      if (openingFailures.length > 0) throw openingFailures.shift()
      const { stream, batches } = scriptedStream(query, signal)
      streams.push(stream)
      return { batches }
    },
  }
  return gateway
}

function scriptedStream(
  query: StreamQuery,
  signal: AbortSignal,
): { stream: ScriptedStream; batches: ReadableStream<StreamBatch> } {
  let lastEventId = query.lastEventId
  let sink: ReadableStreamDefaultController<StreamBatch> | undefined
  const batches = new ReadableStream<StreamBatch>({
    start(controller) {
      sink = controller
    },
  })
  signal.addEventListener('abort', () => sink?.error(signal.reason))
  const stream: ScriptedStream = {
    ...query,
    send(batch) {
      lastEventId = batch.lastEventId ?? lastEventId
      sink?.enqueue({ windows: [], isReset: false, ...batch, lastEventId })
    },
    end: () => sink?.close(),
    fail: (reason) => sink?.error(reason),
    get isAborted() {
      return signal.aborted
    },
  }
  return { stream, batches }
}
