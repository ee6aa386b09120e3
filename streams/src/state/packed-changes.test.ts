import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { changesInOrder, PackedChanges } from './packed-changes.ts'
import type { Change, Changes } from './store.ts'

const bytes = fc.uint8Array({ maxLength: 90 }).map((array) => Buffer.from(array))
const change = fc.record({ key: bytes, value: fc.option(bytes) })

function listOf(changes: Changes): readonly Change[] {
  const list: Change[] = []
  changes.forEach(({ key, value }) => {
    list.push({ key: Buffer.from(key), value: value === null ? null : Buffer.from(value) })
  })
  return list
}

describe('packed changes', () => {
  it('are the changes that were added, in order', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const packed = new PackedChanges()
        for (const each of changes) packed.push(each)
        expect(packed.length).toBe(changes.length)
        expect(listOf(packed)).toEqual(changes)
        const again = new PackedChanges(packed)
        for (const each of changes) again.push(each)
        expect(listOf(again)).toEqual(changes)
      }),
    )
  })

  it('follow others', () => {
    const packed = new PackedChanges()
    packed.push({ key: Buffer.from('b'), value: Buffer.from('1') })
    const both = changesInOrder([{ key: Buffer.from('a'), value: null }], packed)
    expect(both.length).toBe(2)
    expect(listOf(both).map(({ key }) => key.toString())).toEqual(['a', 'b'])
  })
})
