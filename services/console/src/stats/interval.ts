/** The window lengths the processor computes, shortest first. */
export const intervals = ['10s', '1m', '5m', '1h', '1d'] as const
/** One of {@link intervals}. */
export type Interval = (typeof intervals)[number]

const secondMs = 1_000
const minuteMs = 60 * secondMs
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** What an interval means on the page. */
export interface IntervalSpec {
  readonly windowMs: number
  /** The length of the shown range. */
  readonly rangeMs: number
  /** As in "events per …". */
  readonly unitName: string
  readonly rangeName: string
}

/** Length of a window and of the shown range, for each interval: between 140 and 370 windows, which one screen can draw. */
export const intervalSpecs: Readonly<Record<Interval, IntervalSpec>> = {
  '10s': { windowMs: 10 * secondMs, rangeMs: 30 * minuteMs, unitName: '10 seconds', rangeName: '30 minutes' },
  '1m': { windowMs: minuteMs, rangeMs: 3 * hourMs, unitName: 'minute', rangeName: '3 hours' },
  '5m': { windowMs: 5 * minuteMs, rangeMs: 12 * hourMs, unitName: '5 minutes', rangeName: '12 hours' },
  '1h': { windowMs: hourMs, rangeMs: 7 * dayMs, unitName: 'hour', rangeName: '7 days' },
  '1d': { windowMs: dayMs, rangeMs: 366 * dayMs, unitName: 'day', rangeName: '1 year' },
}

/** Whether a text, such as a part of the page's address, names an interval. */
export function isInterval(text: unknown): text is Interval {
  return intervals.some((interval) => interval === text)
}

/** How many windows the shown range of an interval has. */
export function windowsInRange(interval: Interval): number {
  const { rangeMs, windowMs } = intervalSpecs[interval]
  return rangeMs / windowMs
}
