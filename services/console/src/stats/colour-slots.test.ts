import { expect, test } from 'vitest'
import { assignSlots } from './colour-slots.ts'

test('gives out the lowest colours in order', () => {
  expect([...assignSlots(new Map(), ['b', 'a'])]).toEqual([
    ['b', 0],
    ['a', 1],
  ])
})

test('lets types keep their colours when the ranking changes, and gives free ones to newcomers', () => {
  const before = assignSlots(new Map(), ['a', 'b', 'c'])
  const after = assignSlots(before, ['d', 'c', 'a', 'e'])
  expect(Object.fromEntries(after)).toEqual({ a: 0, d: 1, c: 2, e: 3 })
})
