import { type EventStats, statsIntervals } from '@millrace/schemas'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { StatsRange } from './ports.ts'
import { createStatsReader } from './stats-reader.ts'
import { StatsView } from './stats-view.ts'

function stats(change: Partial<EventStats> = {}): EventStats {
  const start = change.window_start ?? 0
  return {
    event_type: 'view',
    interval: '10s',
    window_start: start,
    window_end: start + statsIntervals['10s'],
    count: 1,
    value_count: 0,
    sum: 0,
    avg: null,
    min: null,
    max: null,
    final: false,
    updated_at: 1_000,
    ...change,
  }
}

function range(change: Partial<StatsRange> = {}): StatsRange {
  return {
    eventType: undefined,
    interval: '10s',
    fromMs: 0,
    toMs: Number.MAX_SAFE_INTEGER,
    limit: 100,
    keep: 'oldest',
    ...change,
  }
}

const starts = (windows: readonly EventStats[]) => windows.map((window) => window.window_start)

describe('the view', () => {
  it('keeps the last record of each window, in order of start and type, however they came', () => {
    const view = new StatsView(100)
    for (const window_start of [30_000, 10_000, 20_000, 0]) view.apply(stats({ window_start }))
    view.apply(stats({ window_start: 10_000, event_type: 'buy' }))
    view.apply(stats({ window_start: 20_000, count: 9 }))
    const found = view.range(range())
    expect(found.map((w) => [w.window_start, w.event_type, w.count])).toEqual([
      [0, 'view', 1],
      [10_000, 'buy', 1],
      [10_000, 'view', 1],
      [20_000, 'view', 9],
      [30_000, 'view', 1],
    ])
    expect(starts(view.range(range({ eventType: 'buy' })))).toEqual([10_000])
    expect(starts(view.range(range({ fromMs: 10_001, toMs: 30_000 })))).toEqual([20_000])
    expect(starts(view.range(range({ limit: 2 })))).toEqual([0, 10_000])
    expect(starts(view.range(range({ limit: 2, keep: 'newest' })))).toEqual([20_000, 30_000])
    expect(view.range(range({ interval: '1m' }))).toEqual([])
  })

  it('lets a window change after it was final, when more has arrived for it', () => {
    const view = new StatsView(100)
    expect(view.apply(stats({ count: 3, final: true }))).toBe(true)
    expect(view.apply(stats({ count: 4, final: false, updated_at: 9_000 }))).toBe(true)
    expect(view.range(range())).toMatchObject([{ count: 4, final: false }])
    view.apply(stats({ count: 4, final: true }))
    expect(view.range(range())).toMatchObject([{ count: 4, final: true }])
  })

  it('evicts the oldest windows by start and vouches only for what is younger', () => {
    const view = new StatsView(3)
    view.caughtUp = true
    expect(view.isCompleteFrom('10s', 0)).toBe(true)
    for (const window_start of [20_000, 0, 10_000]) view.apply(stats({ window_start }))
    expect(view.isCompleteFrom('10s', 0)).toBe(true)
    view.apply(stats({ window_start: 30_000 }))
    expect(starts(view.range(range()))).toEqual([10_000, 20_000, 30_000])
    expect(view.isCompleteFrom('10s', 0)).toBe(false)
    expect(view.isCompleteFrom('10s', 1)).toBe(true)
    expect(view.apply(stats({ window_start: 0, count: 5 }))).toBe(false)
    expect(view.isCompleteFrom('1m', 0)).toBe(true)
    view.apply(stats({ window_start: 30_000, event_type: 'buy' }))
    expect(starts(view.range(range()))).toEqual([20_000, 30_000, 30_000])
    expect(view.sizes()).toMatchObject({ '10s': 3, '1m': 0 })
  })

  it('vouches for nothing before it has caught up, nor for what the topic may have deleted', () => {
    const view = new StatsView(10)
    expect(view.isCompleteFrom('10s', 0)).toBe(false)
    view.restart(50_000)
    view.caughtUp = true
    expect(view.isCompleteFrom('10s', 49_999)).toBe(false)
    expect(view.isCompleteFrom('10s', 50_000)).toBe(true)
  })

  it('is what a sorted list of the newest windows would be', () => {
    const record = fc.record({ start: fc.nat(60), type: fc.constantFrom('a', 'b', 'c') })
    fc.assert(
      fc.property(fc.array(record, { maxLength: 200 }), fc.integer({ min: 1, max: 20 }), (records, windowsMax) => {
        const view = new StatsView(windowsMax)
        view.caughtUp = true
        const all = new Map<string, EventStats>()
        for (const [i, { start, type }] of records.entries()) {
          const value = stats({ window_start: start, event_type: type, count: i })
          view.apply(value)
          all.set(`${start} ${type}`, value)
        }
        const held = view.range(range())
        expect(held.length).toBeLessThanOrEqual(windowsMax)
        const from = held[0]?.window_start ?? 0
        if (!view.isCompleteFrom('10s', from)) return
        const expected = [...all.values()]
          .filter((window) => window.window_start >= from)
          .sort((a, b) => a.window_start - b.window_start || (a.event_type < b.event_type ? -1 : 1))
        expect(held).toEqual(expected)
      }),
    )
  })
})

describe('the reader', () => {
  function reader(view: StatsView, stored: readonly EventStats[]) {
    const asked: StatsRange[] = []
    const history = {
      async range(query: StatsRange) {
        asked.push(query)
        return stored
      },
    }
    return { asked, ...createStatsReader(view, history) }
  }

  it('answers from memory alone when memory holds the whole range', async () => {
    const view = new StatsView(3)
    for (const window_start of [0, 10_000, 20_000, 30_000]) view.apply(stats({ window_start }))
    view.caughtUp = true
    const { read, asked } = reader(view, [])
    expect(await read(range({ fromMs: 10_000 }))).toMatchObject({ source: 'memory', truncated: false })
    const newest = await read(range({ keep: 'newest', limit: 2 }))
    expect(newest).toMatchObject({ source: 'memory', truncated: true })
    expect(starts(newest.windows)).toEqual([20_000, 30_000])
    expect(asked).toEqual([])
  })

  it('asks the store for what memory does not hold, and lays memory over it', async () => {
    const view = new StatsView(3)
    for (const window_start of [0, 10_000, 20_000, 30_000])
      view.apply(stats({ window_start, count: 7, updated_at: 2_000 }))
    view.caughtUp = true
    const stored = [
      stats({ window_start: 0, count: 5, updated_at: 9_000 }),
      stats({ window_start: 10_000, count: 6, updated_at: 2_500, final: true }),
      stats({ window_start: 20_000, count: 8, updated_at: 3_000 }),
    ]
    const { read, asked } = reader(view, stored)
    const answer = await read(range({ limit: 10 }))
    expect(answer.source).toBe('store')
    expect(answer.windows.map((w) => [w.window_start, w.count, w.final])).toEqual([
      [0, 5, false],
      [10_000, 6, true],
      [20_000, 8, false],
      [30_000, 7, false],
    ])
    expect(asked).toMatchObject([{ limit: 11 }])
    expect(await read(range({ limit: 2 }))).toMatchObject({ truncated: true, windows: [{ count: 5 }, { count: 6 }] })
    const newest = await read(range({ limit: 3, keep: 'newest' }))
    expect(starts(newest.windows)).toEqual([10_000, 20_000, 30_000])
  })

  it('goes to the store while the view has not caught up', async () => {
    const view = new StatsView(3)
    view.apply(stats({ window_start: 10_000, count: 1, updated_at: 500 }))
    const { read } = reader(view, [stats({ window_start: 10_000, count: 4, updated_at: 600 })])
    expect(await read(range())).toMatchObject({ source: 'store', windows: [{ count: 4 }] })
  })

  it('gives no partial answer when the store is away', async () => {
    const history = { range: async () => Promise.reject(new Error('away')) }
    const { read } = createStatsReader(new StatsView(3), history)
    await expect(read(range())).rejects.toThrow('away')
  })
})
