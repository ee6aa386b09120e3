import { expect, it } from 'vitest'
import { Random } from './random.ts'

it('gives the same numbers for the same seed, and others for another', () => {
  const draw = (seed: number) => {
    const random = new Random(seed)
    return Array.from({ length: 50 }, () => random.int(0, 1_000))
  }
  expect(draw(1)).toEqual(draw(1))
  expect(draw(1)).not.toEqual(draw(2))
})

it('stays within its bounds and reaches all of them', () => {
  const random = new Random(3)
  const drawn = new Set(Array.from({ length: 500 }, () => random.int(5, 9)))
  expect([...drawn].sort()).toEqual([5, 6, 7, 8])
})

it('shuffles without losing anything', () => {
  const list = Array.from({ length: 20 }, (_, index) => index)
  const shuffled = new Random(4).shuffled(list)
  expect(shuffled).not.toEqual(list)
  expect(shuffled.sort((a, b) => a - b)).toEqual(list)
})
