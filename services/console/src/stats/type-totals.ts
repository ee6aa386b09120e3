import type { ShownRange } from './shown-range.ts'
import type { StatsWindow } from './stats-window.ts'
import type { WindowStore } from './window-store.ts'

/** Several windows taken together. */
export interface Totals {
  readonly count: number
  readonly valueCount: number
  readonly sum: number
  readonly min: number | null
  readonly max: number | null
}

/** One row of the table: a type's totals in the shown range. */
export interface TypeTotals extends Totals {
  readonly eventType: string
  readonly ratePerS: number
  /** `sum / valueCount`, null without values. */
  readonly average: number | null
  /** Of all events in the range, 0 to 1. */
  readonly share: number
}

/** The columns by which the table can be sorted. */
export const sortColumns = ['eventType', 'count', 'ratePerS', 'average', 'min', 'max'] as const
/** One of {@link sortColumns}. */
export type SortColumn = (typeof sortColumns)[number]

/** A column and its direction. */
export interface SortOrder {
  readonly column: SortColumn
  readonly descending: boolean
}

/** What is summed up. */
export interface TypeTotalsInput {
  readonly store: WindowStore
  readonly range: ShownRange
  /** The present; a range that is not over yet has a shorter time for its rate. */
  readonly nowMs: number
}

/** The totals of every type that has events in the range, largest count first, ties by name. */
export function typeTotals({ store, range, nowMs }: TypeTotalsInput): TypeTotals[] {
  const elapsedS = Math.max(1, (Math.min(nowMs, range.toMs) - range.fromMs) / 1_000)
  const rows: { eventType: string; totals: Totals }[] = []
  let countOfAll = 0
  for (const eventType of store.typeNames()) {
    const totals = sumWindows(store.windowsOf(eventType), range)
    if (totals.count === 0) continue
    rows.push({ eventType, totals })
    countOfAll += totals.count
  }
  return rows
    .map(({ eventType, totals }) => ({
      ...totals,
      eventType,
      ratePerS: totals.count / elapsedS,
      average: averageOf(totals),
      share: totals.count / countOfAll,
    }))
    .sort((a, b) => b.count - a.count || compareNames(a.eventType, b.eventType))
}

/** The windows that start within the range, taken together. */
export function sumWindows(windows: Iterable<StatsWindow>, range: ShownRange): Totals {
  let count = 0
  let valueCount = 0
  let sum = 0
  let min: number | null = null
  let max: number | null = null
  for (const window of windows) {
    if (window.windowStartMs < range.fromMs || window.windowStartMs >= range.toMs) continue
    count += window.count
    valueCount += window.valueCount
    sum += window.sum
    if (window.min !== null && (min === null || window.min < min)) min = window.min
    if (window.max !== null && (max === null || window.max > max)) max = window.max
  }
  return { count, valueCount, sum, min, max }
}

/** The mean of the values, or null when there was none. */
export function averageOf({ sum, valueCount }: Pick<Totals, 'sum' | 'valueCount'>): number | null {
  return valueCount === 0 ? null : sum / valueCount
}

/** A sorted copy; rows without a number come last in either direction, ties go by name. */
export function sortTotals(rows: readonly TypeTotals[], { column, descending }: SortOrder): TypeTotals[] {
  const direction = descending ? -1 : 1
  return [...rows].sort((a, b) => {
    if (column === 'eventType') return direction * compareNames(a.eventType, b.eventType)
    const left = a[column]
    const right = b[column]
    if (left === null || right === null) {
      if (left !== right) return left === null ? 1 : -1
    } else if (left !== right) return direction * (left - right)
    return compareNames(a.eventType, b.eventType)
  })
}

function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
