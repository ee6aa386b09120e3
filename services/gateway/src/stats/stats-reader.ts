import type { EventStats } from '@millrace/schemas'
import { byEventType } from './interval-windows.ts'
import type { StatsHistory, StatsRange } from './ports.ts'
import type { StatsView } from './stats-view.ts'

/** Windows of a range. */
export interface StatsAnswer {
  /** In the order of window start, then event type. */
  readonly windows: readonly EventStats[]
  /** Whether the range holds more than these. */
  readonly truncated: boolean
  /** Where the answer is from: memory alone, or the event store with memory laid over it. */
  readonly source: 'memory' | 'store'
}

/** Answers ranges of windows from memory when memory is known to hold all of them, otherwise from the store overlaid with memory. */
export interface StatsReader {
  /** Throws what the store throws: an answer is whole or there is none. */
  read(range: StatsRange): Promise<StatsAnswer>
  /** Of what memory holds: answers from memory are the same as long as this is. */
  version(): number
}

/** Makes the reader over the gateway's view and the store. */
export function createStatsReader(view: StatsView, history: StatsHistory): StatsReader {
  return {
    async read(range) {
      // One more than asked for tells whether there are more.
      const wanted = { ...range, limit: range.limit + 1 }
      const held = view.range(wanted)
      if (isWhole(view, wanted, held)) return answer(held, range, 'memory')
      const stored = await history.range(wanted)
      // Asked again: the view may have moved on meanwhile, and must not be older than the store's answer.
      return answer(overlay(stored, view.range(wanted), wanted), range, 'store')
    },
    version: () => view.version,
  }
}

function isWhole(view: StatsView, range: StatsRange, held: readonly EventStats[]): boolean {
  if (view.isCompleteFrom(range.interval, range.fromMs)) return true
  // The newest ones were asked for, there are enough of them, and nothing is missing behind the oldest of these.
  const oldest = held[0]
  const enough = range.keep === 'newest' && held.length === range.limit && oldest !== undefined
  return enough && view.isCompleteFrom(range.interval, oldest.window_start)
}

function overlay(stored: readonly EventStats[], held: readonly EventStats[], range: StatsRange): EventStats[] {
  const merged = new Map<string, EventStats>()
  for (const stats of stored) merged.set(keyOf(stats), stats)
  for (const stats of held) {
    const key = keyOf(stats)
    const other = merged.get(key)
    merged.set(key, other === undefined ? stats : newer(other, stats))
  }
  const sorted = [...merged.values()].sort((a, b) => a.window_start - b.window_start || byEventType(a, b))
  return range.keep === 'oldest' ? sorted.slice(0, range.limit) : sorted.slice(-range.limit)
}

/** The newest update wins, and memory when both are of the same time. */
function newer(stored: EventStats, held: EventStats): EventStats {
  return held.updated_at >= stored.updated_at ? held : stored
}

function keyOf(stats: EventStats): string {
  return `${stats.window_start} ${stats.event_type}`
}

function answer(found: readonly EventStats[], range: StatsRange, source: 'memory' | 'store'): StatsAnswer {
  const truncated = found.length > range.limit
  if (!truncated) return { windows: found, truncated, source }
  const windows = range.keep === 'oldest' ? found.slice(0, range.limit) : found.slice(-range.limit)
  return { windows, truncated, source }
}
