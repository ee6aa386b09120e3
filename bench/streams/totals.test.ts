import { describe, expect, it } from 'vitest'
import { EventDraw } from './event-shape.ts'
import { differenceOf, expectedTotals } from './totals.ts'

describe('expectedTotals', () => {
  it('counts every event, and each key and window once', () => {
    const users = new Set<number>()
    const draw = new EventDraw('random-users', 5_000)
    let sum = 0
    while (draw.next()) {
      users.add(draw.event.user)
      sum += draw.event.value
    }
    expect(expectedTotals('random-users', 5_000, 'user')).toEqual({ rows: users.size, count: 5_000, sum })
    expect(expectedTotals('random-users', 5_000, 'type')).toEqual({ rows: 10, count: 5_000, sum })
  })

  it('has a row per event where each makes a new one, beyond the first window too', () => {
    expect(expectedTotals('new-rows', 250_000, 'user')).toMatchObject({ rows: 250_000, count: 250_000 })
    expect(expectedTotals('one-window', 150_000, 'user')).toMatchObject({ rows: 150_000, count: 150_000 })
  })
})

describe('differenceOf', () => {
  const right = { rows: 3, count: 10, sum: 500 }

  it('lets only the order of additions differ', () => {
    expect(differenceOf({ ...right, sum: 500.000_4 }, right)).toBeUndefined()
    expect(differenceOf({ ...right, sum: 500.001 }, right)).toBe('a sum of 500.001 in place of 500')
  })

  it('names everything that is wrong', () => {
    expect(differenceOf({ rows: 2, count: 11, sum: Number.NaN }, right)).toBe(
      '2 rows in place of 3, a count of 11 in place of 10, a sum of NaN in place of 500',
    )
  })
})
