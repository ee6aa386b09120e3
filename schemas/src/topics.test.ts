import { expect, it } from 'vitest'
import { statsIntervalNames, statsIntervals, topicNames, topics } from './topics.ts'

it('the catalogue has every topic once', () => {
  expect(topics.map((spec) => spec.name)).toEqual([...topicNames])
})

it('a larger window holds whole smaller ones, so that partial results can be rolled up', () => {
  const sizes = statsIntervalNames.map((name) => statsIntervals[name])
  for (const [index, size] of sizes.slice(1).entries()) expect(size % (sizes[index] ?? 0)).toBe(0)
})
