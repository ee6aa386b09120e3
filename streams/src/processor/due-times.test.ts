import { describe, expect, it } from 'vitest'
import { DueTimes } from './due-times.ts'

const row = (name: string) => Buffer.from(name)
const names = (rows: readonly Buffer[]) => rows.map(String)

describe('due times', () => {
  it('gives back each row once, when its time has come', () => {
    const due = new DueTimes({ rowsMax: 10, takenThroughMs: -1 })
    due.set(row('b'), 1_500)
    due.set(row('a'), 1_500)
    due.set(row('c'), 900)
    expect(names(due.takeDue(999, 100))).toEqual([])
    expect(names(due.takeDue(2_000, 100))).toEqual(['c', 'a', 'b'])
    expect(names(due.takeDue(9_000, 100))).toEqual([])
    expect(due.size).toBe(0)
  })

  it('moves a row that changes', () => {
    const due = new DueTimes({ rowsMax: 10, takenThroughMs: -1 })
    due.set(row('a'), 1_000)
    due.set(row('a'), 5_000)
    expect(names(due.takeDue(4_999, 100))).toEqual([])
    expect(names(due.takeDue(5_000, 100))).toEqual(['a'])
  })

  it('finds a row that is set for a time that has been looked at', () => {
    const due = new DueTimes({ rowsMax: 10, takenThroughMs: -1 })
    due.takeDue(60_000, 100)
    due.set(row('a'), 1_000)
    expect(names(due.takeDue(60_000, 100))).toEqual(['a'])
  })

  it('keeps no more rows than its bound, and still moves those it has', () => {
    const due = new DueTimes({ rowsMax: 1, takenThroughMs: -1 })
    expect(due.set(row('a'), 1_000)).toBe(true)
    expect(due.set(row('b'), 1_000)).toBe(false)
    expect(due.set(row('a'), 2_000)).toBe(true)
    expect(names(due.takeDue(9_000, 100))).toEqual(['a'])
  })

  it('stops after a whole second when there is much, and tells through when all were taken', () => {
    const due = new DueTimes({ rowsMax: 10, takenThroughMs: -1 })
    for (const [name, dueMs] of [
      ['a', 1_000],
      ['b', 1_000],
      ['c', 2_000],
    ] as const)
      due.set(row(name), dueMs)
    expect(names(due.takeDue(9_500, 1))).toEqual(['a', 'b'])
    expect(due.takenThroughMs).toBe(1_000)
    expect(names(due.takeDue(9_500, 1))).toEqual(['c'])
    expect(due.takenThroughMs).toBe(9_000)
  })
})
