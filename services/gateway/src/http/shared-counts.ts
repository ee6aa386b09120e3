import { rateLimitKeysMax, rateLimitLeaseMax, rateLimitLeasesPerWindow, rateLimitStoreRetryMs } from '../limits.ts'
import { type Counted, type RequestCounter, RequestCounts } from './rate-limit.ts'

/** Requests that a gateway may let through without asking again. */
export interface Lease {
  /** How many; fewer than asked for when the window has no more. */
  readonly granted: number
  /** How many are taken in this window by all gateways, these included. */
  readonly taken: number
  /** When the window ends, in milliseconds from now. */
  readonly endsInMs: number
}

/** Where gateways count together. */
export interface LeaseStore {
  /**
   * Takes up to `wanted` of the `max` requests of a key's window, in one step that no other gateway comes between; the first one begins the window.
   * Rejects when the store does not answer within its bound: then some may have been taken nevertheless, and are lost to everybody until the window ends.
   */
  take(key: string, request: { readonly wanted: number; readonly max: number }): Promise<Lease>
  /** Idempotent. What is being asked for rejects. */
  close(): Promise<void>
}

/** What shared counts need, and whom they tell. */
export interface SharedCountsDeps {
  readonly store: Pick<LeaseStore, 'take'>
  readonly nowMs: () => number
  readonly logger: Record<'info' | 'warn', (fields: object, message: string) => void>
  /** Called for each request that was counted by this gateway alone, because the store is away. */
  readonly onCountedAlone: () => void
}

/** A key's window as this gateway knows it. */
interface Entry {
  /** Of the last lease, not used yet. */
  left: number
  taken: number
  endMs: number
  /** The store had less than was asked for: when what is left is used, the rest of the window is refused without asking. */
  isSpent: boolean
  isAsking: boolean
  readonly waiting: ((counted: Counted) => void)[]
}

/**
 * Counts requests together with other gateways, never more than the limit over all of them. A gateway takes requests from the store in
 * leases of a thousandth of the limit: most requests are counted in memory, without a promise, and a limit of less than two thousand is counted one by one.
 * What a gateway has taken and does not use is lost to the others until the window ends: at most a thousandth each.
 * While the store is away each gateway counts for itself: no request fails, and none waits for longer than one bound of the store per second.
 */
export class SharedCounts implements RequestCounter {
  readonly #deps: SharedCountsDeps
  readonly #entries = new Map<string, Entry>()
  readonly #alone = new RequestCounts()
  #isAway = false
  #askAgainAtMs = 0

  constructor(deps: SharedCountsDeps) {
    this.#deps = deps
  }

  /** Whether the store answered when it was asked last. */
  get isShared(): boolean {
    return !this.#isAway
  }

  add(key: string, nowMs: number, max: number): Counted | Promise<Counted> {
    if (nowMs < this.#askAgainAtMs) return this.#countAlone(key, nowMs)
    const entry = this.#entryOf(key, nowMs)
    if (nowMs < entry.endMs && entry.waiting.length === 0) {
      if (entry.left > 0) return useOne(entry)
      if (entry.isSpent) return { count: max + 1, endMs: entry.endMs }
    }
    return new Promise((resolve) => {
      entry.waiting.push(resolve)
      if (!entry.isAsking) void this.#ask(key, entry, max)
    })
  }

  #entryOf(key: string, nowMs: number): Entry {
    const known = this.#entries.get(key)
    if (known !== undefined && (nowMs < known.endMs || known.isAsking)) return known
    // Made anew, so that the map stays in the order in which windows begin.
    this.#entries.delete(key)
    const entry: Entry = { left: 0, taken: 0, endMs: 0, isSpent: false, isAsking: false, waiting: [] }
    this.#entries.set(key, entry)
    if (this.#entries.size > rateLimitKeysMax) {
      const oldest = this.#entries.keys().next()
      if (oldest.done !== true) this.#entries.delete(oldest.value)
    }
    return entry
  }

  /** Takes leases until nobody waits. Never rejects. */
  async #ask(key: string, entry: Entry, max: number): Promise<void> {
    const { store, nowMs } = this.#deps
    entry.isAsking = true
    while (entry.waiting.length > 0) {
      const wanted = Math.max(entry.waiting.length, leaseOf(max))
      try {
        const { granted, taken, endsInMs } = await store.take(key, { wanted, max })
        entry.left = granted
        entry.taken = taken
        entry.endMs = nowMs() + endsInMs
        entry.isSpent = granted < wanted
        this.#isBack()
        let served = 0
        while (served < entry.waiting.length && entry.left > 0) entry.waiting[served++]?.(useOne(entry))
        if (entry.isSpent) {
          while (served < entry.waiting.length) entry.waiting[served++]?.({ count: max + 1, endMs: entry.endMs })
        }
        entry.waiting.splice(0, served)
      } catch (error) {
        this.#wentAway(error)
        for (const resolve of entry.waiting.splice(0)) resolve(this.#countAlone(key, nowMs()))
      }
    }
    entry.isAsking = false
  }

  #countAlone(key: string, nowMs: number): Counted {
    this.#deps.onCountedAlone()
    // A copy: several that waited learn their counts after all have been counted.
    return { ...this.#alone.add(key, nowMs) }
  }

  #wentAway(error: unknown): void {
    const { nowMs, logger } = this.#deps
    this.#askAgainAtMs = nowMs() + rateLimitStoreRetryMs
    if (this.#isAway) return
    this.#isAway = true
    logger.warn({ err: error }, 'the store of the rate limits does not answer: this gateway counts for itself')
  }

  #isBack(): void {
    if (!this.#isAway) return
    this.#isAway = false
    this.#deps.logger.info({}, 'the store of the rate limits answers again: gateways count together')
  }
}

function useOne(entry: Entry): Counted {
  entry.left--
  return { count: entry.taken - entry.left, endMs: entry.endMs }
}

function leaseOf(max: number): number {
  return Math.min(rateLimitLeaseMax, Math.max(1, Math.floor(max / rateLimitLeasesPerWindow)))
}
