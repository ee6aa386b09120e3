import type { ColourSlots } from './colour-slots.ts'
import { type Interval, intervalSpecs } from './interval.ts'
import type { ShownRange } from './shown-range.ts'
import { averageOf } from './type-totals.ts'
import type { WindowStore } from './window-store.ts'

/** One line or layer of the charts: a type with a colour of its own, or all the others together. */
export interface ChartSeries {
  /** The type's name; null for "other". */
  readonly eventType: string | null
  /** The colour, counted from 0; null for "other". */
  readonly slot: number | null
  /** Events per window, 0 where there were none. */
  readonly counts: readonly number[]
  /** The average value per window, null where there was no value. */
  readonly averages: readonly (number | null)[]
}

/** All that the two charts draw: one position per window of the range, the same for both. */
export interface ChartFrame {
  readonly interval: Interval
  readonly range: ShownRange
  readonly windowStartsMs: readonly number[]
  /** In the order of their colours, "other" last. */
  readonly series: readonly ChartSeries[]
}

/** What a frame is made of. */
export interface ChartFrameInput {
  readonly store: WindowStore
  readonly interval: Interval
  readonly range: ShownRange
  readonly slots: ColourSlots
  /** Only this type, or null for all. */
  readonly eventType: string | null
}

/** Lines the windows of the range up by time and folds the types without a colour into "other". */
export function chartFrame({ store, interval, range, slots, eventType }: ChartFrameInput): ChartFrame {
  const grid = windowGrid(interval, range)
  const coloured: ChartSeries[] = []
  const others: string[] = []
  for (const name of eventType === null ? store.typeNames() : [eventType]) {
    const slot = slots.get(name)
    if (slot !== undefined) coloured.push({ eventType: name, slot, ...valuesOf(store, [name], grid) })
    else if (eventType !== null) coloured.push({ eventType: name, slot: null, ...valuesOf(store, [name], grid) })
    else others.push(name)
  }
  coloured.sort((a, b) => (a.slot ?? 0) - (b.slot ?? 0))
  const other = valuesOf(store, others, grid)
  const series = other.counts.some((count) => count > 0)
    ? [...coloured, { eventType: null, slot: null, ...other }]
    : coloured
  return { interval, range, windowStartsMs: grid.startsMs, series }
}

/** For each series the height of its layer's upper edge: the counts of it and of all series before it. */
export function stackedCounts(series: readonly ChartSeries[]): number[][] {
  const layers: number[][] = []
  let below: readonly number[] = []
  for (const { counts } of series) {
    const layer = counts.map((count, index) => count + (below[index] ?? 0))
    layers.push(layer)
    below = layer
  }
  return layers
}

interface WindowGrid {
  readonly startsMs: readonly number[]
  readonly fromMs: number
  readonly windowMs: number
}

function windowGrid(interval: Interval, range: ShownRange): WindowGrid {
  const { windowMs } = intervalSpecs[interval]
  const startsMs: number[] = []
  for (let startMs = range.fromMs; startMs < range.toMs; startMs += windowMs) startsMs.push(startMs)
  return { startsMs, fromMs: range.fromMs, windowMs }
}

function valuesOf(
  store: WindowStore,
  eventTypes: readonly string[],
  { startsMs, fromMs, windowMs }: WindowGrid,
): Pick<ChartSeries, 'counts' | 'averages'> {
  const counts = startsMs.map(() => 0)
  const sums = startsMs.map(() => ({ sum: 0, valueCount: 0 }))
  for (const eventType of eventTypes) {
    for (const window of store.windowsOf(eventType)) {
      const index = (window.windowStartMs - fromMs) / windowMs
      const sum = sums[index]
      if (sum === undefined) continue
      counts[index] = (counts[index] ?? 0) + window.count
      sum.sum += window.sum
      sum.valueCount += window.valueCount
    }
  }
  return { counts, averages: sums.map(averageOf) }
}
