import { describe, expect, it } from 'vitest'
import { RowList } from './row-list.ts'
import { RowTable } from './row-table.ts'

function entriesOf(list: RowList): [number, number][] {
  const found: [number, number][] = []
  list.forEach((table, row, index) => {
    expect(index).toBe(found.length)
    found.push([table.fromMs, row])
  })
  return found
}

describe('a row list', () => {
  it('keeps the order over tables', () => {
    const list = new RowList()
    const [a, b] = [new RowTable(1, 1), new RowTable(2, 2)]
    const expected: [number, number][] = []
    for (let row = 0; row < 100; row++) {
      const table = row % 7 < 4 ? a : b
      list.push(table, row)
      expected.push([table.fromMs, row])
    }
    expect(list.size).toBe(100)
    expect(entriesOf(list)).toEqual(expected)
  })

  it('follows rows to another table', () => {
    const list = new RowList()
    const [a, b, c] = [new RowTable(1, 1), new RowTable(2, 2), new RowTable(3, 3)]
    for (const row of [2, 0]) list.push(a, row)
    list.push(b, 2)
    list.push(a, 1)
    list.follow(new Map([[a, { table: c, rows: Uint32Array.of(5, 6, 7) }]]))
    expect(entriesOf(list)).toEqual([
      [3, 7],
      [3, 5],
      [2, 2],
      [3, 6],
    ])
  })
})
