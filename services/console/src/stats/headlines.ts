import { sparkWindowsMax } from '../limits.ts'
import { intervalSpecs } from './interval.ts'
import type { ShownRange } from './shown-range.ts'
import { averageOf, type Totals } from './type-totals.ts'
import type { WindowStore } from './window-store.ts'

const { windowMs } = intervalSpecs['10s']
const minuteMs = 60_000

/** The big numbers, all from ten-second windows. */
export interface Headlines {
  readonly eventsPerS: number
  readonly eventsLastMinute: number
  /** Mean of the values of the last minute; null without values. */
  readonly averageNow: number | null
  /** Events per second, window by window, oldest first; the unfinished window is left out. */
  readonly rateSpark: readonly number[]
  readonly averageSpark: readonly (number | null)[]
}

/** What the headlines are made of. */
export interface HeadlinesInput {
  /** Ten-second windows. */
  readonly store: WindowStore
  /** The present, or the end of the newest window when that is what is shown. */
  readonly atMs: number
  /** Only this type, or null for all. */
  readonly eventType: string | null
}

/**
 * The numbers of the present. The rate is taken over the last finished window and the unfinished one together, by the time that has
 * passed in both, so that it neither jumps to zero at each window's start nor trails by a whole window. The last minute is six windows,
 * the unfinished one among them.
 */
export function headlines({ store, atMs, eventType }: HeadlinesInput): Headlines {
  const names = eventType === null ? store.typeNames() : [eventType]
  const finishedMs = Math.floor(atMs / windowMs) * windowMs
  const toMs = Math.ceil(atMs / windowMs) * windowMs
  const rateFromMs = finishedMs - windowMs
  const lastMinute = sumBetween(store, names, { fromMs: toMs - minuteMs, toMs })
  return {
    eventsPerS: (sumBetween(store, names, { fromMs: rateFromMs, toMs }).count * 1_000) / (atMs - rateFromMs),
    eventsLastMinute: lastMinute.count,
    averageNow: averageOf(lastMinute),
    ...sparks(store, names, finishedMs),
  }
}

function sparks(
  store: WindowStore,
  names: readonly string[],
  finishedMs: number,
): Pick<Headlines, 'rateSpark' | 'averageSpark'> {
  const rateSpark: number[] = []
  const averageSpark: (number | null)[] = []
  for (let fromMs = finishedMs - sparkWindowsMax * windowMs; fromMs < finishedMs; fromMs += windowMs) {
    const totals = sumBetween(store, names, { fromMs, toMs: fromMs + windowMs })
    rateSpark.push((totals.count * 1_000) / windowMs)
    averageSpark.push(averageOf(totals))
  }
  return { rateSpark, averageSpark }
}

/** Looks windows up by their start: the store holds far more of them than the few that are wanted here. */
function sumBetween(store: WindowStore, names: readonly string[], { fromMs, toMs }: ShownRange): CountAndSum {
  const total = { count: 0, sum: 0, valueCount: 0 }
  for (const name of names) {
    for (let startMs = fromMs; startMs < toMs; startMs += windowMs) {
      const window = store.windowAt(name, startMs)
      if (window === undefined) continue
      total.count += window.count
      total.sum += window.sum
      total.valueCount += window.valueCount
    }
  }
  return total
}

type CountAndSum = Pick<Totals, 'count' | 'sum' | 'valueCount'>
