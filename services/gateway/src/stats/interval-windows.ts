import type { EventStats } from '@millrace/schemas'

/** Starts that were given up at the front of the array are cut off when they are more than this, and more than the rest. */
const deadStartsMax = 1_024

/**
 * The newest windows of one interval, at most `windowsMax` over all event types. When there are more, the oldest go, by their start; from
 * then on nothing as old as those is taken in. So whatever starts later than `evictedStart` is here, if it was ever put here.
 */
export class IntervalWindows {
  readonly #windowsMax: number
  readonly #byStart = new Map<number, Map<string, EventStats>>()
  /** Window starts in ascending order, from `#first` on. */
  #starts: number[] = []
  #first = 0
  #size = 0
  /** The newest start that was given up; −Infinity when none was. */
  evictedStart = Number.NEGATIVE_INFINITY

  constructor(windowsMax: number) {
    this.#windowsMax = windowsMax
  }

  get size(): number {
    return this.#size
  }

  get(eventType: string, start: number): EventStats | undefined {
    return this.#byStart.get(start)?.get(eventType)
  }

  /** Puts a window in the place of its older state. False when it is too old to be kept. */
  put(stats: EventStats): boolean {
    const start = stats.window_start
    if (start <= this.evictedStart) return false
    let types = this.#byStart.get(start)
    if (types === undefined) {
      types = new Map()
      this.#byStart.set(start, types)
      this.#insertStart(start)
    }
    if (!types.has(stats.event_type)) this.#size++
    types.set(stats.event_type, stats)
    while (this.#size > this.#windowsMax) this.#evictOldest()
    return start > this.evictedStart
  }

  /** At most `limit` windows that start in [from, to), in the order of start, then event type. */
  oldest(eventType: string | undefined, range: { fromMs: number; toMs: number; limit: number }): EventStats[] {
    const found: EventStats[] = []
    for (let i = this.#lowerBound(range.fromMs); i < this.#starts.length && found.length < range.limit; i++) {
      const start = this.#starts[i] ?? 0
      if (start >= range.toMs) break
      found.push(...this.#at(start, eventType))
    }
    return found.length > range.limit ? found.slice(0, range.limit) : found
  }

  /** As `oldest`, but when there are more than `limit`, the newest ones; the order of the answer is the same. */
  newest(eventType: string | undefined, range: { fromMs: number; toMs: number; limit: number }): EventStats[] {
    const groups: EventStats[][] = []
    let count = 0
    for (let i = this.#lowerBound(range.toMs) - 1; i >= this.#first && count < range.limit; i--) {
      const start = this.#starts[i] ?? 0
      if (start < range.fromMs) break
      const group = this.#at(start, eventType)
      count += group.length
      groups.push(group)
    }
    return groups.reverse().flat().slice(-range.limit)
  }

  #at(start: number, eventType: string | undefined): EventStats[] {
    const types = this.#byStart.get(start)
    if (types === undefined) return []
    if (eventType === undefined) return [...types.values()].sort(byEventType)
    const stats = types.get(eventType)
    return stats === undefined ? [] : [stats]
  }

  #insertStart(start: number): void {
    const last = this.#starts.at(-1)
    if (last === undefined || start > last || this.#first === this.#starts.length) this.#starts.push(start)
    else this.#starts.splice(this.#lowerBound(start), 0, start)
  }

  #evictOldest(): void {
    const start = this.#starts[this.#first++]
    if (start === undefined) return
    this.#size -= this.#byStart.get(start)?.size ?? 0
    this.#byStart.delete(start)
    this.evictedStart = start
    if (this.#first > deadStartsMax && this.#first * 2 > this.#starts.length) {
      this.#starts = this.#starts.slice(this.#first)
      this.#first = 0
    }
  }

  /** The first index from `#first` on whose start is `ms` or later. */
  #lowerBound(ms: number): number {
    let low = this.#first
    let high = this.#starts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#starts[middle] ?? 0) < ms) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Orders windows of the same start. */
export function byEventType(a: EventStats, b: EventStats): number {
  return a.event_type < b.event_type ? -1 : a.event_type > b.event_type ? 1 : 0
}
