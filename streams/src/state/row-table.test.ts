import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RowTable, rowMarks } from './row-table.ts'

const key = (text: string) => Buffer.from(text)

function filled(names: readonly string[]): RowTable {
  const table = new RowTable(0, 0)
  for (const name of names) table.setValue(table.add(key(name)), key(`value of ${name}`))
  return table
}

describe('a row table', () => {
  it('finds what was added, by the bytes of the key', () => {
    const table = filled(['a', 'aa', ''])
    expect(table.find(key('b'))).toBe(-1)
    expect(table.valueOf(table.find(key('aa')))).toEqual(key('value of aa'))
    expect(table.keyOf(table.find(key('')))).toEqual(key(''))
    expect(table.size).toBe(3)
  })

  it('leaves values that were handed out as they were', () => {
    const table = filled(['a'])
    const before = table.valueOf(0)
    table.setValue(0, key('another'))
    expect([before, table.valueOf(0)]).toEqual([key('value of a'), key('another')])
    table.setValue(0, null)
    expect(table.valueOf(0)).toBeNull()
    table.setValue(0, Buffer.alloc(0))
    expect(table.valueOf(0)).toEqual(Buffer.alloc(0))
  })

  it('keeps pinned rows, then those in use, then the newest, in their order', () => {
    const names = Array.from({ length: 100 }, (_, i) => `row ${i}`)
    const table = filled(names)
    table.setTimestamp(3, 33)
    table.setMarks(3, rowMarks.draining | rowMarks.used)
    table.setMarks(7, rowMarks.used)
    const moved: [number, number][] = []
    const kept = table.kept(700, (from, to) => moved.push([from, to]))
    expect(moved.slice(0, 2)).toEqual([
      [3, 0],
      [7, 1],
    ])
    expect(moved.at(-1)).toEqual([99, kept.size - 1])
    expect(kept.size).toBeLessThan(10)
    expect([kept.valueOf(0), kept.timestampOf(0), kept.marksOf(0)]).toEqual([
      key('value of row 3'),
      33,
      rowMarks.draining,
    ])
    expect(kept.marksOf(1)).toBe(0)
    expect(table.kept(0, () => {}).size).toBe(1)
  })

  it('is wasteful when most of its bytes are of replaced values', () => {
    const table = filled(['a'])
    let rounds = 0
    for (; !table.isWasteful; rounds++) table.setValue(0, Buffer.alloc(100))
    expect(rounds).toBeGreaterThan(50)
    expect(rounds).toBeLessThan(500)
    const kept = table.kept(table.bytes, () => {})
    expect([kept.size, kept.isWasteful]).toEqual([1, false])
    expect(kept.bytes).toBeLessThan(table.bytes / 2)
  })

  it('counts the memory it takes', () => {
    const table = filled([])
    for (let i = 0; i < 10_000; i++) table.setValue(table.add(key(`user-${i}`)), Buffer.alloc(24))
    expect(table.bytes).toBeGreaterThan(10_000 * 33)
    expect(table.bytes).toBeLessThan(10_000 * 150)
  })

  it('holds what a plain map holds', () => {
    const bytes = fc.uint8Array({ maxLength: 3 })
    fc.assert(
      fc.property(fc.array(fc.tuple(bytes, fc.option(fc.uint8Array({ maxLength: 80 }), { nil: null }))), (entries) => {
        const table = new RowTable(0, 0)
        const expected = new Map<string, Buffer | null>()
        for (const [keyBytes, value] of entries) {
          const at = Buffer.from(keyBytes)
          const known = table.find(at)
          table.setValue(known < 0 ? table.add(at) : known, value === null ? null : Buffer.from(value))
          expected.set(at.toString('hex'), value === null ? null : Buffer.from(value))
        }
        const found = new Map<string, Buffer | null>()
        for (let row = 0; row < table.size; row++) found.set(table.keyOf(row).toString('hex'), table.valueOf(row))
        expect(found).toEqual(expected)
      }),
    )
  })
})
