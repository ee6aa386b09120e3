import { StatsFeed } from '../feed/stats-feed.ts'
import type { Timers } from '../feed/timers.ts'
import type { GatewayClient } from '../gateway/gateway-client.ts'
import type { Clock } from '../gateway/server-clock.ts'
import { reloadEveryMs, renderEveryMs, tickEveryMs, typesMax, windowsSpareMax } from '../limits.ts'
import type { ColourSlots } from '../stats/colour-slots.ts'
import { type Interval, windowsInRange } from '../stats/interval.ts'
import { type RangeEnd, shownRange } from '../stats/shown-range.ts'
import { WindowStore } from '../stats/window-store.ts'
import type { LiveSettings } from './live-settings.ts'
import { type LiveView, liveView } from './live-view.ts'

/** What the model is made of. */
export interface LiveModelOptions {
  readonly client: Pick<GatewayClient, 'fetchStats' | 'fetchNewestWindow' | 'openStatsStream'>
  readonly clock: Clock
  readonly timers: Timers
  readonly random: () => number
  readonly settings: LiveSettings
  readonly onSettings: (settings: LiveSettings) => void
  /** Called when the gateway no longer accepts the session. */
  readonly onSessionEnd: () => void
}

/**
 * The live page without its looks: which feeds run, what is shown, and when it is drawn anew. Ten-second windows are always fed, for the
 * big numbers; another interval has a feed of its own while it is shown.
 */
export class LiveModel {
  readonly #options: LiveModelOptions
  readonly #listeners = new Set<() => void>()
  readonly #closing = new AbortController()
  readonly #headlineFeed: StatsFeed
  #settings: LiveSettings
  #chartFeed: StatsFeed
  #pausedAtMs: number | null = null
  #slots: ColourSlots = new Map()
  #newestElsewhereMs: number | null = null
  #view: LiveView
  #drawPending = false
  #shownToMs: number
  #reloadedAtMs = 0
  #stopTicking: () => void = () => undefined

  constructor(options: LiveModelOptions) {
    this.#options = options
    this.#settings = options.settings
    this.#headlineFeed = this.#feedOf('10s')
    this.#chartFeed = this.#settings.interval === '10s' ? this.#headlineFeed : this.#feedOf(this.#settings.interval)
    this.#view = this.#compute()
    this.#shownToMs = this.#view.range.toMs
  }

  /** What to draw. The same object until something changes. */
  get view(): LiveView {
    return this.#view
  }

  /** Calls `listener` whenever {@link view} has changed, until the returned function is called. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Connects, and starts the clock. */
  start(): void {
    this.#headlineFeed.start()
    this.#chartFeed.start()
    this.#stopTicking = this.#options.timers.every(tickEveryMs, () => this.#tick())
  }

  /** Ends connections and clock; the model cannot be used after this. */
  close(): void {
    this.#stopTicking()
    this.#closing.abort()
    this.#listeners.clear()
    this.#headlineFeed.stop()
    this.#chartFeed.stop()
  }

  /** Shows windows of another length, and the range that goes with it. */
  showInterval(interval: Interval): void {
    if (interval === this.#settings.interval) return
    if (this.#chartFeed !== this.#headlineFeed) this.#chartFeed.stop()
    this.#newestElsewhereMs = null
    this.#chartFeed = interval === '10s' ? this.#headlineFeed : this.#feedOf(interval)
    this.#choose({ ...this.#settings, interval })
    if (this.#chartFeed === this.#headlineFeed) return
    if (this.#pausedAtMs === null) this.#chartFeed.start()
    else this.#reload(this.#chartFeed)
  }

  /** Ends the range at the present or at the newest data. */
  showEnd(end: RangeEnd): void {
    if (end === this.#settings.end) return
    this.#choose({ ...this.#settings, end })
    for (const feed of this.#feeds()) this.#reload(feed)
  }

  /** Shows one type alone; null shows all. */
  showType(eventType: string | null): void {
    this.#choose({ ...this.#settings, eventType })
  }

  /** Holds the page still, connections included, or goes on: then what was missed is loaded. */
  togglePause(): void {
    if (this.#pausedAtMs === null) {
      this.#pausedAtMs = this.#options.clock.nowMs()
      for (const feed of this.#feeds()) feed.stop()
    } else {
      this.#pausedAtMs = null
      for (const feed of this.#feeds()) feed.start()
    }
    this.#draw()
  }

  /** Tries again at once, for a person who does not want to wait. */
  reconnect(): void {
    for (const feed of this.#feeds()) {
      feed.stop()
      feed.start()
    }
  }

  #feedOf(interval: Interval): StatsFeed {
    const { client, clock, timers, random, onSessionEnd } = this.#options
    const store = new WindowStore({ typesMax, windowsPerTypeMax: windowsInRange(interval) + windowsSpareMax })
    return new StatsFeed({
      interval,
      store,
      client,
      clock,
      timers,
      random,
      loadHistory: (signal) => this.#loadHistory(interval, store, signal),
      onChange: () => this.#drawSoon(),
      onSessionEnd,
    })
  }

  #feeds(): ReadonlySet<StatsFeed> {
    return new Set([this.#headlineFeed, this.#chartFeed])
  }

  async #loadHistory(interval: Interval, store: WindowStore, signal: AbortSignal): Promise<void> {
    const { client } = this.#options
    const { end } = this.#settings
    const nowMs = this.#nowMs()
    const presentRange = shownRange({ interval, end: 'now', nowMs, newestStartMs: null })
    let newestStartMs = store.newestStartMs()
    // What the stream brought may be a replay of old events while newer data lies further on: only the gateway knows.
    if (end === 'latest' && (newestStartMs === null || newestStartMs < presentRange.fromMs)) {
      newestStartMs = (await client.fetchNewestWindow(interval, signal))?.windowStartMs ?? null
    }
    const range = shownRange({ interval, end, nowMs, newestStartMs })
    for (const window of await client.fetchStats({ interval, range }, signal)) store.put(window)
    if (end === 'now' && interval === this.#settings.interval && store.newestStartMs() === null) {
      this.#newestElsewhereMs = (await client.fetchNewestWindow(interval, signal))?.windowStartMs ?? null
    }
  }

  #reload(feed: StatsFeed): void {
    // `reload` keeps its failures in the feed's state, which is drawn.
    void feed.reload()
  }

  #choose(settings: LiveSettings): void {
    this.#settings = settings
    this.#options.onSettings(settings)
    this.#draw()
    this.#shownToMs = this.#view.range.toMs
  }

  #tick(): void {
    this.#draw()
    if (this.#pausedAtMs === null) this.#reloadAfterJump()
  }

  /** A range that leaves its predecessor behind altogether (data of another year arrives, a laptop wakes up) has gaps to fill. */
  #reloadAfterJump(): void {
    const { range, nowMs } = this.#view
    const jumped = range.fromMs >= this.#shownToMs || range.toMs <= this.#shownToMs - (range.toMs - range.fromMs)
    if (!jumped) {
      this.#shownToMs = range.toMs
      return
    }
    if (nowMs - this.#reloadedAtMs < reloadEveryMs) return
    this.#shownToMs = range.toMs
    this.#reloadedAtMs = nowMs
    for (const feed of this.#feeds()) this.#reload(feed)
  }

  #nowMs(): number {
    return this.#pausedAtMs ?? this.#options.clock.nowMs()
  }

  #drawSoon(): void {
    if (this.#drawPending || this.#closing.signal.aborted) return
    this.#drawPending = true
    void this.#options.timers.wait(renderEveryMs, this.#closing.signal).then(() => {
      this.#drawPending = false
      this.#draw()
    })
  }

  #draw(): void {
    if (this.#closing.signal.aborted) return
    this.#view = this.#compute()
    for (const listener of this.#listeners) listener()
  }

  #compute(): LiveView {
    const view = liveView({
      settings: this.#settings,
      clockMs: this.#options.clock.nowMs(),
      pausedAtMs: this.#pausedAtMs,
      chartFeed: this.#chartFeed,
      headlineFeed: this.#headlineFeed,
      previousSlots: this.#slots,
      newestElsewhereMs: this.#newestElsewhereMs,
    })
    this.#slots = view.slots
    return view
  }
}
