import { ConsoleError } from '../gateway/console-error.ts'
import type { GatewayClient, StatsStream, StreamBatch } from '../gateway/gateway-client.ts'
import type { Clock } from '../gateway/server-clock.ts'
import type { Interval } from '../stats/interval.ts'
import type { WindowStore } from '../stats/window-store.ts'
import { backoffMs } from './backoff.ts'
import type { Timers } from './timers.ts'

/**
 * What a feed is doing:
 *
 *     stopped ──start──▶ connecting ──open──▶ live
 *                          ▲    │              │ ends or breaks
 *                          │    └──fails──▶ waiting
 *                          └───time is up──────┘
 *     connecting, live ──refused for good──▶ refused          any ──stop──▶ stopped
 */
export const feedPhases = ['stopped', 'connecting', 'live', 'waiting', 'refused'] as const
/** One of {@link feedPhases}. */
export type FeedPhase = (typeof feedPhases)[number]

/** The state of a feed, for people to see. */
export interface FeedState {
  readonly phase: FeedPhase
  /** When a waiting feed tries again. */
  readonly retryAtMs: number | null
  /** Why the feed is not live, or why its history is missing. */
  readonly error: ConsoleError | null
  /** Whether the windows of before the stream began are there. */
  readonly history: 'missing' | 'loading' | 'loaded'
}

/** What a feed is made of. */
export interface StatsFeedOptions {
  readonly interval: Interval
  readonly store: WindowStore
  readonly client: Pick<GatewayClient, 'openStatsStream'>
  /** Loads the windows of the shown range into the store; rejects when it cannot. */
  readonly loadHistory: (signal: AbortSignal) => Promise<void>
  readonly clock: Clock
  readonly timers: Timers
  readonly random: () => number
  /** Called after windows or state have changed. */
  readonly onChange: () => void
  /** Called when the gateway no longer accepts the session; the feed has given up then. */
  readonly onSessionEnd: () => void
}

/**
 * Keeps one interval's windows up to date: the stream brings changes, and history fills what came before it. After every reconnect the
 * stream goes on from the last message and history is loaded again, so that nothing is missing whatever the gateway still remembers.
 * While no stream can be had, each attempt loads history all the same: the page then works by polling.
 */
export class StatsFeed {
  readonly #options: StatsFeedOptions
  #state: FeedState = { phase: 'stopped', retryAtMs: null, error: null, history: 'missing' }
  #running: AbortController | null = null
  #loading: AbortController | null = null
  #lastEventId = ''
  #lastUpdateMs: number | null = null

  constructor(options: StatsFeedOptions) {
    this.#options = options
  }

  get interval(): Interval {
    return this.#options.interval
  }

  get store(): WindowStore {
    return this.#options.store
  }

  get state(): FeedState {
    return this.#state
  }

  /** When the last change of a window arrived, or history was loaded. */
  get lastUpdateMs(): number | null {
    return this.#lastUpdateMs
  }

  /** Begins, or begins anew after a stop, from the last message seen. Does nothing while running. */
  start(): void {
    if (this.#running !== null) return
    const running = new AbortController()
    this.#running = running
    this.#run(running.signal).catch((reason: unknown) => this.#giveUp(ConsoleError.from(reason)))
  }

  /** Ends the stream and any load. The windows stay. */
  stop(): void {
    this.#running?.abort()
    this.#running = null
    this.#loading?.abort()
    this.#loading = null
    this.#change({ phase: 'stopped', retryAtMs: null })
  }

  /**
   * Loads history, again and again with growing waits until it is there; a newer call takes the place of an older one. For a range that
   * has moved to where no windows are held. Never rejects: what went wrong is in the state.
   */
  async reload(): Promise<void> {
    this.#loading?.abort()
    const loading = new AbortController()
    this.#loading = loading
    const { signal } = loading
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      if (await this.#tryLoad(signal)) return
      await this.#options.timers.wait(backoffMs(attempt, this.#options.random), signal)
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { timers, clock, random } = this.#options
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      this.#change({ phase: 'connecting', retryAtMs: null })
      const error = await this.#connect(signal, () => {
        attempt = 0
      })
      if (signal.aborted) return
      if (error !== null && !error.retryable) {
        this.#giveUp(error)
        return
      }
      const waitMs = Math.max(error?.retryAfterMs ?? 0, backoffMs(Math.max(1, attempt), random))
      this.#change({ phase: 'waiting', retryAtMs: clock.nowMs() + waitMs, error })
      await timers.wait(waitMs, signal)
    }
  }

  /** One connection, from open to end. Answers why it ended; null when the server ended it. */
  async #connect(signal: AbortSignal, onAlive: () => void): Promise<ConsoleError | null> {
    const { client, interval } = this.#options
    let stream: StatsStream
    try {
      stream = await client.openStatsStream({ interval, lastEventId: this.#lastEventId }, signal)
    } catch (reason) {
      const error = ConsoleError.from(reason)
      if (!signal.aborted && error.retryable) await this.#tryLoad(signal)
      return error
    }
    this.#change({ phase: 'live', error: null })
    this.#loadBeside()
    try {
      for await (const batch of stream.batches) {
        onAlive()
        this.#take(batch)
      }
      return null
    } catch (reason) {
      return ConsoleError.from(reason)
    }
  }

  #take({ windows, lastEventId, isReset }: StreamBatch): void {
    if (lastEventId !== '') this.#lastEventId = lastEventId
    if (isReset) this.#loadBeside()
    if (windows.length === 0) return
    for (const window of windows) this.#options.store.put(window)
    this.#lastUpdateMs = this.#options.clock.nowMs()
    this.#options.onChange()
  }

  /** The stream was opened before history is asked for, so that no change falls between the two. */
  #loadBeside(): void {
    this.reload().catch((reason: unknown) => this.#change({ error: ConsoleError.from(reason) }))
  }

  /** Loads once. Answers whether loading is over, with success or for good. */
  async #tryLoad(signal: AbortSignal): Promise<boolean> {
    if (this.#state.history === 'missing') this.#change({ history: 'loading' })
    try {
      await this.#options.loadHistory(signal)
    } catch (reason) {
      if (signal.aborted) return false
      return this.#failLoad(ConsoleError.from(reason))
    }
    if (signal.aborted) return false
    this.#lastUpdateMs = this.#options.clock.nowMs()
    this.#change(this.#state.phase === 'live' ? { history: 'loaded', error: null } : { history: 'loaded' })
    return true
  }

  /** Answers whether loading is over. A question the gateway refuses stays refused, but the stream may well go on. */
  #failLoad(error: ConsoleError): boolean {
    if (error.code === 'unauthorized' || error.code === 'forbidden') {
      this.#giveUp(error)
      return true
    }
    this.#change({ error, history: 'missing' })
    return !error.retryable
  }

  #giveUp(error: ConsoleError): void {
    this.stop()
    this.#change({ phase: 'refused', error })
    if (error.code === 'unauthorized') this.#options.onSessionEnd()
  }

  #change(change: Partial<FeedState>): void {
    this.#state = { ...this.#state, ...change }
    this.#options.onChange()
  }
}
