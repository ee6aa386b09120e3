import { describe, expect, test } from 'vitest'
import { windowOf } from './testing-windows.ts'
import { sortTotals, sumWindows, typeTotals } from './type-totals.ts'
import { WindowStore } from './window-store.ts'

const range = { fromMs: 0, toMs: 100_000 }

function storeOf(...windows: ReturnType<typeof windowOf>[]): WindowStore {
  const store = new WindowStore({ typesMax: 10, windowsPerTypeMax: 100 })
  for (const window of windows) store.put(window)
  return store
}

describe('typeTotals', () => {
  test('sums up the windows of the range, weighting averages by their values', () => {
    const store = storeOf(
      windowOf('a', 0, { count: 4, valueCount: 1, sum: 10, min: 10, max: 10 }),
      windowOf('a', 90_000, { count: 2, valueCount: 3, sum: 2, min: -1, max: 5 }),
      windowOf('a', 100_000, { count: 50 }),
      windowOf('b', 10_000, { count: 2, valueCount: 0, sum: 0, min: null, max: null }),
    )
    expect(typeTotals({ store, range, nowMs: 200_000 })).toEqual([
      { eventType: 'a', count: 6, valueCount: 4, sum: 12, min: -1, max: 10, average: 3, ratePerS: 0.06, share: 0.75 },
      {
        eventType: 'b',
        count: 2,
        valueCount: 0,
        sum: 0,
        min: null,
        max: null,
        average: null,
        ratePerS: 0.02,
        share: 0.25,
      },
    ])
  })

  test('takes the rate over the time that has passed of an unfinished range', () => {
    const [row] = typeTotals({ store: storeOf(windowOf('a', 0, { count: 10 })), range, nowMs: 5_000 })
    expect(row?.ratePerS).toBe(2)
  })

  test('leaves out types without events in the range', () => {
    expect(typeTotals({ store: storeOf(windowOf('a', 100_000)), range, nowMs: 0 })).toEqual([])
  })
})

test('sumWindows of nothing has no extremes', () => {
  expect(sumWindows([], range)).toEqual({ count: 0, valueCount: 0, sum: 0, min: null, max: null })
})

describe('sortTotals', () => {
  const rows = typeTotals({
    store: storeOf(
      windowOf('b', 0, { count: 1, min: 3 }),
      windowOf('a', 0, { count: 1, min: 1 }),
      windowOf('c', 0, { count: 5, min: null }),
    ),
    range,
    nowMs: 100_000,
  })
  const namesBy = (column: 'count' | 'min' | 'eventType', descending: boolean) =>
    sortTotals(rows, { column, descending }).map((row) => row.eventType)

  test('sorts by number, ties by name', () => expect(namesBy('count', true)).toEqual(['c', 'a', 'b']))
  test('sorts by name', () => expect(namesBy('eventType', true)).toEqual(['c', 'b', 'a']))
  test('puts rows without a number last in both directions', () => {
    expect(namesBy('min', true)).toEqual(['b', 'a', 'c'])
    expect(namesBy('min', false)).toEqual(['a', 'b', 'c'])
  })
})
