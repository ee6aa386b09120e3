import { expect, it } from 'vitest'
import { parseLags, parseReconciliation, parseWaiting } from './operations.ts'

it('reads lags, the furthest behind first', () => {
  const group = (name: string, seconds: number) => ({
    group: name,
    topic: 'events',
    records: 3,
    seconds,
    partitions: [],
  })
  const lags = parseLags({ measured_at: 1, groups: [group('sink', 0.5), group('processor', 8)] })
  expect(lags.map(({ group: name }) => name)).toEqual(['processor', 'sink'])
  expect(() => parseLags({ groups: [{}] })).toThrow('"group"')
})

it('reads what was compared, and which minutes are not whole', () => {
  const minute = { kafka: 4, stored: 3, dead_lettered: 0, is_settled: true }
  const difference = { stage: 'store', partition: 0, first_offset: 1, next_offset: 2 }
  const [topic] = parseReconciliation({
    topics: [
      {
        topic: 'events',
        totals: { gateway: 0, store: 3, waiting: 1, processor: 0 },
        differences: [
          { ...difference, minute: 60_000, records: 2 },
          { ...difference, minute: 60_000, records: 1 },
        ],
        minutes: [
          { ...minute, minute: 0 },
          { ...minute, minute: 60_000 },
        ],
      },
    ],
  })
  expect(topic).toMatchObject({ topic: 'events', differences: 4, kafka: 8, stored: 6 })
  expect(topic?.minutes.map(({ differences }) => differences)).toEqual([0, 3])
})

it('reads how many letters wait', () => {
  expect(parseWaiting({ waiting: 7, letters: [] })).toBe(7)
})
