import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type LogPartition, lastPartition, partitionOfDay, planPartitions, startOfDay } from './partition-plan.ts'

const dayMs = 86_400_000
const today = Date.UTC(2026, 10, 21)
const later: LogPartition = { name: lastPartition, belowMs: Number.POSITIVE_INFINITY }

function plan(
  partitions: readonly LogPartition[],
  options: { oldestMs?: number; todayMs?: number; retentionDays?: number },
) {
  const { oldestMs, todayMs = today, retentionDays = 90 } = options
  return planPartitions({ partitions, oldestMs, todayMs, retentionDays, daysAhead: 2 })
}

/** The partitions as they are once a plan was carried out. */
function applied(
  partitions: readonly LogPartition[],
  { make, drop }: ReturnType<typeof planPartitions>,
): LogPartition[] {
  return [...partitions.slice(0, -1), ...make, later].filter(({ name }) => !drop.includes(name))
}

function names(partitions: readonly LogPartition[]): readonly string[] {
  return partitions.map(({ name }) => name)
}

describe('planPartitions', () => {
  it('begins with today when there is nothing yet, and goes on from day to day', () => {
    const first = plan([later], {})
    expect(names(first.make)).toEqual(['p20261121', 'p20261122', 'p20261123'])
    expect(first.drop).toEqual([])
    const partitions = applied([later], first)
    expect(plan(partitions, {})).toEqual({ make: [], drop: [] })
    expect(plan(partitions, { todayMs: today + dayMs })).toEqual({
      make: [{ name: 'p20261124', belowMs: Date.UTC(2026, 10, 25) }],
      drop: [],
    })
  })

  it('begins with the oldest row of a table without days; what is past its retention is one partition, and goes', () => {
    expect(names(plan([later], { oldestMs: today - dayMs - 1 }).make)[0]).toBe('p20261119')
    const old = plan([later], { oldestMs: Date.UTC(2020, 0, 1), retentionDays: 2 })
    expect(names(old.make)).toEqual(['p20261118', 'p20261119', 'p20261120', 'p20261121', 'p20261122', 'p20261123'])
    expect(old.drop).toEqual(['p20261118'])
    // A row from the future has no day of its own.
    expect(names(plan([later], { oldestMs: today + 40 * dayMs }).make)).toEqual(['p20261121', 'p20261122', 'p20261123'])
  })

  it('drops what is past its retention, and no day that is not', () => {
    const partitions = applied([later], plan([later], {}))
    const after = (days: number) => plan(partitions, { todayMs: today + days * dayMs, retentionDays: 2 }).drop
    expect(after(2)).toEqual([])
    expect(after(3)).toEqual(['p20261121'])
    expect(after(4)).toEqual(['p20261121', 'p20261122'])
  })

  it('makes up for months in which nobody called, without a partition for each day of them', () => {
    const partitions = applied([later], plan([later], {}))
    const { make, drop } = plan(partitions, { todayMs: today + 400 * dayMs, retentionDays: 3 })
    expect(make).toHaveLength(1 + 3 + 1 + 2)
    expect(drop).toEqual(['p20261121', 'p20261122', 'p20261123', make[0]?.name])
  })

  it('has bounds that grow, names of its own, today, and nothing past its retention, whenever it is called', () => {
    const calls = fc.array(fc.record({ days: fc.nat(200), retentionDays: fc.integer({ min: 1, max: 400 }) }), {
      maxLength: 8,
    })
    fc.assert(
      fc.property(calls, fc.option(fc.nat(500), { nil: undefined }), (steps, ageDays) => {
        let partitions: readonly LogPartition[] = [later]
        let todayMs = today
        for (const { days, retentionDays } of steps) {
          todayMs += days * dayMs
          const hasDays = partitions.length > 1
          const oldestMs = hasDays || ageDays === undefined ? undefined : today - ageDays * dayMs
          partitions = applied(
            partitions,
            plan(partitions, { ...(oldestMs === undefined ? {} : { oldestMs }), todayMs, retentionDays }),
          )
          const bounds = partitions.map(({ belowMs }) => belowMs)
          expect(bounds).toEqual([...new Set(bounds)].sort((a, b) => a - b))
          expect(new Set(names(partitions)).size).toBe(partitions.length)
          expect(bounds).toContain(todayMs + dayMs)
          expect(bounds[0]).toBeGreaterThan(todayMs - retentionDays * dayMs)
          expect(partitions.at(-1)).toBe(later)
        }
      }),
    )
  })
})

describe('partitionOfDay', () => {
  it('reads what the servers write', () => {
    const belowMs = Date.UTC(2026, 10, 22)
    for (const text of ["'2026-11-22'", "'2026-11-22 00:00:00.000'", "'2026-11-22 00:00:00'"]) {
      expect(partitionOfDay('p20261121', text)).toEqual({ name: 'p20261121', belowMs })
    }
    expect(partitionOfDay(lastPartition, 'MAXVALUE')).toEqual(later)
  })
})

describe('startOfDay', () => {
  it('is midnight, UTC', () => {
    expect(startOfDay(today + dayMs - 1)).toBe(today)
    expect(startOfDay(today)).toBe(today)
  })
})
