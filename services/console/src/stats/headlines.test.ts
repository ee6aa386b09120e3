import { describe, expect, test } from 'vitest'
import { headlines } from './headlines.ts'
import { windowOf } from './testing-windows.ts'
import { WindowStore } from './window-store.ts'

const minuteMs = 600_000

function storeOf(...windows: ReturnType<typeof windowOf>[]): WindowStore {
  const store = new WindowStore({ typesMax: 10, windowsPerTypeMax: 100 })
  for (const window of windows) store.put(window)
  return store
}

describe('headlines', () => {
  test('takes the rate over the last finished window and the unfinished one', () => {
    const store = storeOf(windowOf('a', minuteMs - 10_000, { count: 100 }), windowOf('a', minuteMs, { count: 50 }))
    expect(headlines({ store, atMs: minuteMs + 5_000, eventType: null }).eventsPerS).toBe(10)
  })

  test('takes the rate over the last window alone at its end', () => {
    const store = storeOf(windowOf('a', minuteMs - 10_000, { count: 100 }))
    expect(headlines({ store, atMs: minuteMs, eventType: null }).eventsPerS).toBe(10)
  })

  test('counts six windows for the last minute and weights their average', () => {
    const store = storeOf(
      windowOf('a', minuteMs - 60_000, { count: 7 }),
      windowOf('a', minuteMs - 50_000, { count: 1, valueCount: 1, sum: 10 }),
      windowOf('b', minuteMs, { count: 3, valueCount: 3, sum: 2 }),
    )
    const all = headlines({ store, atMs: minuteMs + 1, eventType: null })
    expect(all).toMatchObject({ eventsLastMinute: 4, averageNow: 3 })
    expect(headlines({ store, atMs: minuteMs + 1, eventType: 'a' })).toMatchObject({
      eventsLastMinute: 1,
      averageNow: 10,
    })
  })

  test('draws the finished windows of the last five minutes', () => {
    const store = storeOf(windowOf('a', minuteMs - 10_000, { count: 20 }), windowOf('a', minuteMs, { count: 1_000 }))
    const { rateSpark, averageSpark } = headlines({ store, atMs: minuteMs + 1, eventType: null })
    expect(rateSpark).toHaveLength(30)
    expect(rateSpark.slice(-2)).toEqual([0, 2])
    expect(averageSpark.slice(-2)).toEqual([null, 2])
  })

  test('has no average without values', () => {
    expect(headlines({ store: storeOf(), atMs: minuteMs, eventType: null })).toMatchObject({
      eventsPerS: 0,
      averageNow: null,
    })
  })
})
