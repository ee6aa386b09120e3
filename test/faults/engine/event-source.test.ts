import { expect, it } from 'vitest'
import { EventSource, windowOf } from './event-source.ts'
import { disorderMs, graceMs, partitions } from './limits.ts'

const events = (seed: number, count = 5_000) => {
  const source = new EventSource(seed, 1_750_000_000_000)
  return { source, given: Array.from({ length: count }, () => source.next()) }
}

it('gives the same events for the same seed', () => {
  expect(events(1).given).toEqual(events(1).given)
  expect(events(1).given).not.toEqual(events(2).given)
})

it('keeps the totals of what it gave', () => {
  const { source, given } = events(3)
  const counts = new Map<string, number>()
  let sum = 0
  for (const { event } of given) {
    const window = windowOf(event.type, event.at)
    counts.set(window, (counts.get(window) ?? 0) + 1)
    sum += event.value
  }
  expect(new Map([...source.totals].map(([window, { count }]) => [window, count]))).toEqual(counts)
  expect([...source.totals.values()].reduce((all, totals) => all + totals.sum, 0)).toBe(sum)
})

it('goes out of order, but by less than the grace', () => {
  let newest = 0
  let largest = 0
  for (const { event } of events(4).given) {
    largest = Math.max(largest, newest - event.at)
    newest = Math.max(newest, event.at)
  }
  expect(largest).toBeGreaterThan(0)
  expect(largest).toBeLessThanOrEqual(disorderMs)
  expect(largest).toBeLessThan(graceMs)
})

it('uses every partition, and names the stream time of the one that is furthest behind', () => {
  const { source, given } = events(5)
  const newest = new Map<number, number>()
  for (const { partition, event } of given) newest.set(partition, Math.max(newest.get(partition) ?? 0, event.at))
  expect(newest.size).toBe(partitions)
  expect(source.streamTimeMs).toBe(Math.min(...newest.values()))
})
