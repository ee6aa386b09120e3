import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { closedStartMax, hoppingWindows, isClosed, tumblingWindows, windowStartsOf } from './time-windows.ts'

const dayMs = 86_400_000

describe('which windows a record falls into', () => {
  test('tumbling: exactly one, aligned to the epoch', () => {
    const windows = tumblingWindows({ sizeMs: 10, graceMs: 0 })
    expect(windowStartsOf(windows, 0)).toEqual([0])
    expect(windowStartsOf(windows, 9)).toEqual([0])
    expect(windowStartsOf(windows, 10)).toEqual([10])
  })

  test('hopping: all that cover it, none before the epoch, as Kafka Streams has it', () => {
    // TimeWindowsTest#shouldIncludeRecordsThatHappenedOnWindowStart and neighbours.
    const windows = hoppingWindows({ sizeMs: 12, advanceMs: 5, graceMs: 0 })
    expect(windowStartsOf(windows, 21)).toEqual([10, 15, 20])
    expect(windowStartsOf(windows, 3)).toEqual([0])
    expect(windowStartsOf(windows, 11)).toEqual([0, 5, 10])
    expect(windowStartsOf(windows, 12)).toEqual([5, 10])
  })

  test('are those of a search over all windows', () => {
    const cases = fc.record({
      sizeMs: fc.integer({ min: 1, max: 60 }),
      advance: fc.integer({ min: 1, max: 60 }),
      timestamp: fc.integer({ min: 0, max: 500 }),
    })
    fc.assert(
      fc.property(cases, ({ sizeMs, advance, timestamp }) => {
        const windows = hoppingWindows({ sizeMs, advanceMs: Math.min(advance, sizeMs), graceMs: 0 })
        const covering: number[] = []
        for (let start = 0; start <= timestamp; start += windows.advanceMs)
          if (timestamp < start + sizeMs) covering.push(start)
        expect(windowStartsOf(windows, timestamp)).toEqual(covering)
      }),
    )
  })

  test('stays exact with times of our century', () => {
    const now = Date.UTC(2026, 10, 21, 13, 14, 15, 167)
    expect(windowStartsOf(tumblingWindows({ sizeMs: dayMs, graceMs: 0 }), now)).toEqual([Date.UTC(2026, 10, 21)])
  })
})

test('a window is closed when its end lies at or before stream time minus grace', () => {
  const windows = tumblingWindows({ sizeMs: 10, graceMs: 5 })
  expect(isClosed(windows, 0, 14)).toBe(false)
  expect(isClosed(windows, 0, 15)).toBe(true)
  expect(isClosed(windows, 0, -1)).toBe(false)
  expect(closedStartMax(windows, 35)).toBe(20)
})

describe('refuses windows that make no sense, naming every fault', () => {
  test.each([
    [{ sizeMs: 0, graceMs: 0 }, 'sizeMs must be a whole number above 0, not 0'],
    [{ sizeMs: -5, graceMs: 0 }, 'not -5'],
    [{ sizeMs: 1.5, graceMs: 0 }, 'not 1.5'],
    [{ sizeMs: 10, graceMs: -1 }, 'graceMs must be a whole number from 0 on, not -1'],
    [{ sizeMs: Number.NaN, graceMs: -1 }, 'not NaN; graceMs'],
  ])('tumbling %o', (of, message) => {
    expect(() => tumblingWindows(of)).toThrow(message)
  })

  test.each([
    [{ sizeMs: 10, advanceMs: 0, graceMs: 0 }, 'advanceMs must be a whole number from 1 to sizeMs (10), not 0'],
    [{ sizeMs: 10, advanceMs: -1, graceMs: 0 }, 'not -1'],
    [{ sizeMs: 10, advanceMs: 11, graceMs: 0 }, 'not 11'],
    [{ sizeMs: 365 * dayMs, advanceMs: 1_000, graceMs: 0 }, 'raise advanceMs'],
  ])('hopping %o', (of, message) => {
    expect(() => hoppingWindows(of)).toThrow(message)
  })
})
