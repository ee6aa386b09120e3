import type { EventStats, StatsInterval } from '@millrace/schemas'

/** A range of windows: those that start at `fromMs` or later and before `toMs`. */
export interface StatsRange {
  /** All event types when absent. */
  readonly eventType: string | undefined
  readonly interval: StatsInterval
  readonly fromMs: number
  readonly toMs: number
  readonly limit: number
  /** Which end counts when there are more than `limit`; the answer is in the order of window starts, then event types, either way. */
  readonly keep: 'oldest' | 'newest'
  /** Aborted when nobody waits for the answer any more: what the store is asked then ends there, too. */
  readonly signal?: AbortSignal | undefined
}

/** Windows that are not in memory any more. Throws when the store does not answer. */
export interface StatsHistory {
  range(range: StatsRange): Promise<readonly EventStats[]>
}
