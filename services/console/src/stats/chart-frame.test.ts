import { describe, expect, test } from 'vitest'
import { chartFrame, stackedCounts } from './chart-frame.ts'
import { windowOf } from './testing-windows.ts'
import { WindowStore } from './window-store.ts'

const range = { fromMs: 10_000, toMs: 40_000 }

function frameOf(eventType: string | null) {
  const store = new WindowStore({ typesMax: 10, windowsPerTypeMax: 10 })
  store.put(windowOf('a', 10_000, { count: 2, valueCount: 2, sum: 6 }))
  store.put(windowOf('a', 40_000, { count: 9 }))
  store.put(windowOf('b', 30_000, { count: 1, valueCount: 0, sum: 0 }))
  store.put(windowOf('c', 20_000, { count: 3, valueCount: 1, sum: 1 }))
  store.put(windowOf('d', 20_000, { count: 1, valueCount: 1, sum: 2 }))
  const slots = new Map([
    ['b', 1],
    ['a', 0],
  ])
  return chartFrame({ store, interval: '10s', range, slots, eventType })
}

describe('chartFrame', () => {
  test('lines up types by time, in the order of their colours, and folds the rest into other', () => {
    expect(frameOf(null)).toEqual({
      interval: '10s',
      range,
      windowStartsMs: [10_000, 20_000, 30_000],
      series: [
        { eventType: 'a', slot: 0, counts: [2, 0, 0], averages: [3, null, null] },
        { eventType: 'b', slot: 1, counts: [0, 0, 1], averages: [null, null, null] },
        { eventType: null, slot: null, counts: [0, 4, 0], averages: [null, 1.5, null] },
      ],
    })
  })

  test('shows one type alone, also one without a colour', () => {
    expect(frameOf('b').series).toMatchObject([{ eventType: 'b', slot: 1 }])
    expect(frameOf('c').series).toMatchObject([{ eventType: 'c', slot: null, counts: [0, 3, 0] }])
  })
})

test('stackedCounts puts each layer on top of those before it', () => {
  expect(stackedCounts(frameOf(null).series)).toEqual([
    [2, 0, 0],
    [2, 0, 1],
    [2, 4, 1],
  ])
})
