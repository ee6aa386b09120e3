import { type Interval, intervalSpecs } from './interval.ts'

/** Where the shown range ends: at the present, or at the newest data, which may be history. */
export const rangeEnds = ['now', 'latest'] as const
/** One of {@link rangeEnds}. */
export type RangeEnd = (typeof rangeEnds)[number]

/** A stretch of event time, `[fromMs, toMs)`, aligned to windows. */
export interface ShownRange {
  readonly fromMs: number
  readonly toMs: number
}

/** What decides the range. */
export interface RangeInput {
  readonly interval: Interval
  readonly end: RangeEnd
  readonly nowMs: number
  /** The start of the newest window known, or null. */
  readonly newestStartMs: number | null
}

/** The range to show; it ends with the window that holds the present, or with the newest window when that is asked for and known. */
export function shownRange({ interval, end, nowMs, newestStartMs }: RangeInput): ShownRange {
  const { windowMs, rangeMs } = intervalSpecs[interval]
  const lastMs = end === 'latest' && newestStartMs !== null ? newestStartMs : nowMs
  const toMs = (Math.floor(lastMs / windowMs) + 1) * windowMs
  return { fromMs: toMs - rangeMs, toMs }
}

/** Whether a text, such as a part of the page's address, names an end of the range. */
export function isRangeEnd(text: unknown): text is RangeEnd {
  return rangeEnds.some((end) => end === text)
}
