import { type EventStats, type StatsInterval, statsIntervalNames } from '@millrace/schemas'
import { statsWindowsPerIntervalMax } from '../limits.ts'
import { IntervalWindows } from './interval-windows.ts'
import type { StatsRange } from './ports.ts'

/**
 * The gateway's memory of the topic `stats`: the newest windows of every interval, each in the state of its last record. Pure: no I/O, no
 * clock. Fed by a follower of the topic; before `caughtUp` it may miss windows, and hold others in an older state.
 */
export class StatsView {
  readonly #windowsMax: number
  #intervals: Map<StatsInterval, IntervalWindows>
  #floorMs = Number.NEGATIVE_INFINITY
  #version = 0
  #caughtUp = false

  constructor(windowsPerIntervalMax: number = statsWindowsPerIntervalMax) {
    this.#windowsMax = windowsPerIntervalMax
    this.#intervals = emptyIntervals(windowsPerIntervalMax)
  }

  /** Changes whenever the view may answer another way than before. */
  get version(): number {
    return this.#version
  }

  /** Whether everything was read that was in the topic when the view was started. */
  get caughtUp(): boolean {
    return this.#caughtUp
  }

  set caughtUp(caughtUp: boolean) {
    this.#caughtUp = caughtUp
    this.#version++
  }

  /**
   * Starts over, empty. `floorMs`: windows that start before it may have been deleted from the topic already, so the view does not vouch
   * for them; −Infinity when the topic holds everything since its beginning.
   */
  restart(floorMs: number): void {
    this.#intervals = emptyIntervals(this.#windowsMax)
    this.#floorMs = floorMs
    this.caughtUp = false
  }

  /**
   * Takes in a record. The log's order decides: of one window, the last record counts, also after a final one, since a window changes when
   * more arrives for it. False when nothing changed by it, because the interval is unknown or the window is older than what is kept.
   */
  apply(stats: EventStats): boolean {
    const windows = this.#windowsOf(stats.interval)
    const isChanged = windows?.put(stats) ?? false
    if (isChanged) this.#version++
    return isChanged
  }

  /** The windows of the range that are in memory. */
  range(range: StatsRange): EventStats[] {
    const windows = this.#windowsOf(range.interval)
    if (windows === undefined) return []
    return range.keep === 'oldest' ? windows.oldest(range.eventType, range) : windows.newest(range.eventType, range)
  }

  /** Whether every window of `interval` that starts at `fromMs` or later, and was ever in the topic, is here in its newest state. */
  isCompleteFrom(interval: StatsInterval, fromMs: number): boolean {
    const evicted = this.#windowsOf(interval)?.evictedStart ?? Number.POSITIVE_INFINITY
    return this.caughtUp && fromMs > evicted && fromMs >= this.#floorMs
  }

  /** Windows in memory, by interval. */
  sizes(): Record<StatsInterval, number> {
    const size = (interval: StatsInterval) => this.#intervals.get(interval)?.size ?? 0
    return { '10s': size('10s'), '1m': size('1m'), '5m': size('5m'), '1h': size('1h'), '1d': size('1d') }
  }

  #windowsOf(interval: string): IntervalWindows | undefined {
    const known = statsIntervalNames.find((name) => name === interval)
    return known === undefined ? undefined : this.#intervals.get(known)
  }
}

function emptyIntervals(windowsMax: number): Map<StatsInterval, IntervalWindows> {
  return new Map(statsIntervalNames.map((interval) => [interval, new IntervalWindows(windowsMax)]))
}
