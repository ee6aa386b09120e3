import { describe, expect, test } from 'vitest'
import { parseStatsWindow, supersedes } from './stats-window.ts'
import { windowOf } from './testing-windows.ts'

const answer = {
  event_type: 'page_view',
  window_start: 10_000,
  window_end: 20_000,
  count: 3,
  value_count: 2,
  sum: 5,
  avg: 2.5,
  min: 1,
  max: 4,
  final: true,
  updated_at: 30_000,
}

describe('parseStatsWindow', () => {
  test('reads every member', () => {
    expect(parseStatsWindow(answer, null)).toEqual({
      eventType: 'page_view',
      windowStartMs: 10_000,
      windowEndMs: 20_000,
      count: 3,
      valueCount: 2,
      sum: 5,
      min: 1,
      max: 4,
      final: true,
      updatedAtMs: 30_000,
    })
  })

  test('takes the type from the question where the window does not name it', () => {
    const { event_type: _, ...rest } = answer
    expect(parseStatsWindow(rest, 'login').eventType).toBe('login')
    expect(() => parseStatsWindow(rest, null)).toThrow(/event_type/)
  })

  test('reads a window without values', () => {
    const window = parseStatsWindow({ ...answer, value_count: 0, sum: 0, avg: null, min: null, max: null }, null)
    expect(window).toMatchObject({ valueCount: 0, min: null, max: null })
  })

  test.each([
    [{ avg: null, sum: 0 }, 0],
    [{ avg: 2.5, sum: 5 }, 2],
    [{ avg: 0, sum: 0 }, 3],
  ])('infers the number of values from %o', (members, valueCount) => {
    const { value_count: _, ...rest } = answer
    expect(parseStatsWindow({ ...rest, ...members }, null).valueCount).toBe(valueCount)
  })

  test.each([
    ['count', { ...answer, count: '3' }],
    ['window_start', { ...answer, window_start: null }],
    ['window', null],
  ])('names the faulty member %s', (name, value) => {
    expect(() => parseStatsWindow(value, null)).toThrow(`"${name}"`)
  })
})

describe('supersedes', () => {
  test('the later write wins, even with fewer events', () => {
    const early = windowOf('a', 0, { count: 5, updatedAtMs: 1 })
    const late = windowOf('a', 0, { count: 4, updatedAtMs: 2 })
    expect(supersedes(late, early)).toBe(true)
    expect(supersedes(early, late)).toBe(false)
  })

  test('without times the larger count wins, and an equal one replaces', () => {
    expect(supersedes(windowOf('a', 0, { count: 2 }), windowOf('a', 0, { count: 3 }))).toBe(false)
    expect(supersedes(windowOf('a', 0, { count: 3 }), windowOf('a', 0, { count: 3, final: false }))).toBe(true)
  })
})
