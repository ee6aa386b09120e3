import { describe, expect, test } from 'vitest'
import { windowOf } from './testing-windows.ts'
import { WindowStore } from './window-store.ts'

describe('WindowStore', () => {
  test('keeps the newest state of a window', () => {
    const store = new WindowStore({ typesMax: 2, windowsPerTypeMax: 2 })
    expect(store.put(windowOf('a', 0, { count: 2 }))).toBe(true)
    expect(store.put(windowOf('a', 0, { count: 1 }))).toBe(false)
    expect(store.windowAt('a', 0)?.count).toBe(2)
  })

  test('drops the oldest windows of a type beyond its bound', () => {
    const store = new WindowStore({ typesMax: 2, windowsPerTypeMax: 2 })
    for (const startMs of [20_000, 0, 10_000, 30_000]) store.put(windowOf('a', startMs))
    const starts = [...store.windowsOf('a')].map((window) => window.windowStartMs)
    expect(starts.sort((a, b) => a - b)).toEqual([20_000, 30_000])
    expect(store.newestStartMs()).toBe(30_000)
  })

  test('gives the place of the longest silent type to a newer one, and says so', () => {
    const store = new WindowStore({ typesMax: 2, windowsPerTypeMax: 2 })
    store.put(windowOf('old', 0))
    store.put(windowOf('new', 20_000))
    expect(store.typesLeftOut()).toBe(false)
    store.put(windowOf('newer', 10_000))
    expect(store.typeNames().sort()).toEqual(['new', 'newer'])
    expect(store.typesLeftOut()).toBe(true)
  })

  test('takes no type that has been silent longer than all it holds', () => {
    const store = new WindowStore({ typesMax: 1, windowsPerTypeMax: 2 })
    store.put(windowOf('a', 10_000))
    expect(store.put(windowOf('b', 0))).toBe(false)
    expect(store.typeNames()).toEqual(['a'])
  })

  test('knows no newest window when it is empty', () => {
    const store = new WindowStore({ typesMax: 1, windowsPerTypeMax: 1 })
    expect(store.newestStartMs()).toBeNull()
    expect([...store.windowsOf('a')]).toEqual([])
  })
})
