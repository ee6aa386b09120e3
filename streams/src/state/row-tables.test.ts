import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RowTables } from './row-tables.ts'

describe('the tables of a window store', () => {
  it('are one for each window while there are few', () => {
    const tables = new RowTables()
    for (let i = 0; i < 200; i++) tables.for(i * 10_000)
    expect(tables.inOrder().map(({ fromMs, throughMs }) => [fromMs, throughMs])).toEqual(
      Array.from({ length: 200 }, (_, i) => [i * 10_000, i * 10_000]),
    )
    expect(tables.at(10_001)).toBeUndefined()
  })

  it('are some hundreds for a year of windows, in whichever order they come', () => {
    const year = Array.from({ length: 365 * 8_640 }, (_, i) => i * 10_000)
    for (const starts of [year, year.toReversed()]) {
      const tables = new RowTables()
      for (const start of starts) tables.for(start)
      expect(tables.size).toBeGreaterThan(256)
      expect(tables.size).toBeLessThan(1_000)
    }
  })

  it('stay narrow when one time is far away', () => {
    const tables = new RowTables()
    for (let i = 0; i < 300; i++) tables.for(1e12 + i * 10_000)
    tables.for(5)
    for (let i = 300; i < 310; i++) tables.for(1e12 + i * 10_000)
    const last = tables.inOrder().at(-1)
    expect((last?.throughMs ?? 0) - (last?.fromMs ?? 0)).toBeLessThan(200_000)
  })

  it('hold every start in exactly one table, in order, also while tables come and go', () => {
    const step = fc.record({ start: fc.integer({ min: 0, max: 100_000 }), leaves: fc.integer({ min: 0, max: 20 }) })
    fc.assert(
      fc.property(fc.array(step, { minLength: 300, maxLength: 600 }), (steps) => {
        const tables = new RowTables()
        for (const { start, leaves } of steps) {
          const table = tables.for(start)
          expect(table.fromMs <= start && start <= table.throughMs).toBe(true)
          expect(tables.at(start)).toBe(table)
          if (leaves !== 0) continue
          tables.delete(table)
          expect(tables.at(start)).toBeUndefined()
        }
        const spans = tables.inOrder()
        for (const [i, table] of spans.entries())
          expect(table.fromMs).toBeGreaterThan(spans[i - 1]?.throughMs ?? Number.NEGATIVE_INFINITY)
      }),
      { numRuns: 50 },
    )
  })
})
