import { expect, test } from 'vitest'
import { intervalSpecs, intervals, windowsInRange } from './interval.ts'
import { shownRange } from './shown-range.ts'

const nowMs = Date.UTC(2026, 10, 21, 10, 0, 3)

test('ends with the window that holds the present', () => {
  const range = shownRange({ interval: '10s', end: 'now', nowMs, newestStartMs: 0 })
  expect(range).toEqual({ fromMs: Date.UTC(2026, 10, 21, 9, 30, 10), toMs: Date.UTC(2026, 10, 21, 10, 0, 10) })
})

test('ends with the newest window when that is asked for', () => {
  const newestStartMs = Date.UTC(2001, 2, 14, 13, 0)
  const range = shownRange({ interval: '1h', end: 'latest', nowMs, newestStartMs })
  expect(range).toEqual({ fromMs: Date.UTC(2001, 2, 7, 14, 0), toMs: Date.UTC(2001, 2, 14, 14, 0) })
})

test('ends at the present while the newest window is not known', () => {
  const range = shownRange({ interval: '1d', end: 'latest', nowMs, newestStartMs: null })
  expect(range.toMs).toBe(Date.UTC(2026, 10, 22))
})

test.each(intervals)('has a whole number of windows for %s, which a screen can show', (interval) => {
  expect(windowsInRange(interval)).toBe(Math.round(windowsInRange(interval)))
  expect(windowsInRange(interval)).toBeLessThan(400)
  const { fromMs, toMs } = shownRange({ interval, end: 'now', nowMs, newestStartMs: null })
  expect(fromMs % intervalSpecs[interval].windowMs).toBe(0)
  expect(toMs - fromMs).toBe(intervalSpecs[interval].rangeMs)
})
