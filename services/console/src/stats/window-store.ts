import { type StatsWindow, supersedes } from './stats-window.ts'

/** How much a store may hold. */
export interface WindowStoreBounds {
  readonly typesMax: number
  readonly windowsPerTypeMax: number
}

interface TypeWindows {
  readonly byStartMs: Map<number, StatsWindow>
  newestStartMs: number
}

/**
 * The newest windows of each event type, for one interval. Both dimensions are bounded: a type's oldest window makes room for a newer
 * one, and the type that has been silent longest makes room for a new type.
 */
export class WindowStore {
  readonly #bounds: WindowStoreBounds
  readonly #types = new Map<string, TypeWindows>()
  #typesLeftOut = false

  constructor(bounds: WindowStoreBounds) {
    this.#bounds = bounds
  }

  /** Takes a window, or a newer state of one. Answers whether anything changed. */
  put(window: StatsWindow): boolean {
    const windows = this.#types.get(window.eventType) ?? this.#admit(window)
    if (windows === null) return false
    const existing = windows.byStartMs.get(window.windowStartMs)
    if (existing !== undefined && !supersedes(window, existing)) return false
    windows.byStartMs.set(window.windowStartMs, window)
    windows.newestStartMs = Math.max(windows.newestStartMs, window.windowStartMs)
    if (windows.byStartMs.size > this.#bounds.windowsPerTypeMax) dropOldest(windows.byStartMs)
    return true
  }

  /** The names of all types held, in the order in which they appeared. */
  typeNames(): string[] {
    return [...this.#types.keys()]
  }

  /** The windows of one type, in no particular order. */
  windowsOf(eventType: string): Iterable<StatsWindow> {
    return this.#types.get(eventType)?.byStartMs.values() ?? []
  }

  /** The window of one type that starts at a time, if it is held. */
  windowAt(eventType: string, windowStartMs: number): StatsWindow | undefined {
    return this.#types.get(eventType)?.byStartMs.get(windowStartMs)
  }

  /** The start of the newest window of any type, or null when the store is empty. */
  newestStartMs(): number | null {
    let newestMs: number | null = null
    for (const windows of this.#types.values()) {
      if (newestMs === null || windows.newestStartMs > newestMs) newestMs = windows.newestStartMs
    }
    return newestMs
  }

  /** Whether types were left out because of the bound. */
  typesLeftOut(): boolean {
    return this.#typesLeftOut
  }

  #admit(window: StatsWindow): TypeWindows | null {
    if (this.#types.size >= this.#bounds.typesMax) {
      this.#typesLeftOut = true
      const silent = this.#longestSilent()
      if (silent.newestStartMs >= window.windowStartMs) return null
      this.#types.delete(silent.eventType)
    }
    const windows: TypeWindows = { byStartMs: new Map(), newestStartMs: window.windowStartMs }
    this.#types.set(window.eventType, windows)
    return windows
  }

  #longestSilent(): { eventType: string; newestStartMs: number } {
    let silent = { eventType: '', newestStartMs: Number.POSITIVE_INFINITY }
    for (const [eventType, { newestStartMs }] of this.#types) {
      if (newestStartMs < silent.newestStartMs) silent = { eventType, newestStartMs }
    }
    return silent
  }
}

function dropOldest(byStartMs: Map<number, StatsWindow>): void {
  let oldestMs = Number.POSITIVE_INFINITY
  for (const startMs of byStartMs.keys()) oldestMs = Math.min(oldestMs, startMs)
  byStartMs.delete(oldestMs)
}
