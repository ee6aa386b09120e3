import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SortedKeys } from './sorted-keys.ts'

describe('sorted keys', () => {
  it('range as a sorted array does', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string()), fc.string(), fc.string(), fc.nat(20), (names, from, to, limit) => {
        const keys = new SortedKeys()
        for (const name of names) keys.add(name)
        for (const name of names.filter((_, index) => index % 3 === 0)) keys.remove(name)
        const left = names.filter((_, index) => index % 3 !== 0).filter((name) => from <= name && name < to)
        expect(keys.range(from, to, limit)).toEqual(left.sort(compare).slice(0, limit))
      }),
    )
  })

  it('split and merge many blocks', () => {
    const keys = new SortedKeys()
    const names = Array.from({ length: 5_000 }, (_, index) => String((index * 7_919) % 5_000).padStart(4, '0'))
    for (const name of names) keys.add(name)
    expect(keys.range('', '~', 10_000)).toEqual([...names].sort(compare))
    expect(keys.range('2500', '2503', 10)).toEqual(['2500', '2501', '2502'])
    for (const name of names) if (name !== '0042') keys.remove(name)
    expect(keys.range('', '~', 10_000)).toEqual(['0042'])
    keys.clear()
    expect(keys.range('', '~', 10_000)).toEqual([])
  })
})

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0
}
