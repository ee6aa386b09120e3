import { describe, expect, test } from 'vitest'
import { formatAgo, formatAxisTime, formatMoment, formatRange, formatWindow, zoneOf } from './times.ts'

const nowMs = Date.UTC(2026, 10, 21, 12, 0)
const zone = 'Europe/Berlin'

describe('formatWindow', () => {
  test('has only times on the same day', () => {
    expect(formatWindow(Date.UTC(2026, 10, 21, 11, 0, 10), { interval: '10s', zone, nowMs })).toBe(
      '12:00:10 – 12:00:20',
    )
  })
  test('has the date on another day', () => {
    expect(formatWindow(Date.UTC(2001, 2, 14, 13), { interval: '1h', zone, nowMs })).toBe('14 Mar 2001, 14:00 – 15:00')
  })
  test('is a UTC date for a day', () => {
    expect(formatWindow(Date.UTC(2001, 2, 14), { interval: '1d', zone: zoneOf('1d', zone), nowMs })).toBe('14 Mar 2001')
  })
})

describe('formatRange', () => {
  const rangeOf = (fromMs: number, toMs: number) => formatRange({ fromMs, toMs }, { zone, nowMs })
  test('has only times today', () => {
    expect(rangeOf(Date.UTC(2026, 10, 21, 11, 30), nowMs)).toBe('12:30 – 13:00')
  })
  test('has the date in history', () => {
    expect(rangeOf(Date.UTC(2001, 2, 14, 12), Date.UTC(2001, 2, 14, 13))).toBe('14 Mar 2001, 13:00 – 14:00')
  })
  test('has both dates across midnight', () => {
    expect(rangeOf(Date.UTC(2026, 10, 20, 22), Date.UTC(2026, 10, 21, 1))).toBe(
      '20 Nov 2026, 23:00 – 21 Nov 2026, 02:00',
    )
  })
  test('has only dates when it is long', () => {
    expect(rangeOf(Date.UTC(2026, 10, 14, 23), Date.UTC(2026, 10, 21, 23))).toBe('15 Nov 2026 – 21 Nov 2026')
  })
})

test.each([
  [0, 'just now'],
  [4_900, '4 s ago'],
  [180_000, '3 min ago'],
  [7_300_000, '2 h ago'],
  [5 * 86_400_000, '5 d ago'],
])('formatAgo(%d) is %s', (agoMs, text) => expect(formatAgo(agoMs)).toBe(text))

test('formatMoment names day and time in the zone', () => {
  expect(formatMoment(Date.UTC(2001, 2, 14, 13, 20), zone)).toBe('14 Mar 2001, 14:20')
})

test('formatAxisTime shows the date at midnight and for steps of days', () => {
  const midnight = Date.UTC(2026, 10, 20, 23)
  expect(formatAxisTime(midnight, { stepMs: 3_600_000, zone })).toBe('21 Nov')
  expect(formatAxisTime(midnight + 3_600_000, { stepMs: 3_600_000, zone })).toBe('01:00')
  expect(formatAxisTime(midnight + 30_000, { stepMs: 30_000, zone })).toBe('00:00:30')
  expect(formatAxisTime(midnight + 3_600_000, { stepMs: 86_400_000, zone })).toBe('21 Nov')
})
