import { type Interval, intervalSpecs } from './interval.ts'
import type { StatsWindow } from './stats-window.ts'

/** A window for tests: ten seconds, one event per count with the value 2, unless told otherwise. */
export function windowOf(
  eventType: string,
  windowStartMs: number,
  overrides: Partial<StatsWindow> & { interval?: Interval } = {},
): StatsWindow {
  const { interval = '10s', ...fields } = overrides
  const count = fields.count ?? 1
  return {
    eventType,
    windowStartMs,
    windowEndMs: windowStartMs + intervalSpecs[interval].windowMs,
    count,
    valueCount: count,
    sum: count * 2,
    min: 2,
    max: 2,
    final: false,
    updatedAtMs: null,
    ...fields,
  }
}
