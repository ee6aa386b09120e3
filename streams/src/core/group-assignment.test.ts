import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { TopicPartition } from './broker.ts'
import { assignPartitions, type Subscriber } from './group-assignment.ts'

function subscriber(
  memberId: string,
  topics: readonly string[],
  owned: readonly TopicPartition[] = [],
  ownedGeneration = -1,
): Subscriber {
  return { memberId, groupInstanceId: null, topics, owned, ownedGeneration }
}

function keysOf(assigned: ReadonlyMap<string, readonly TopicPartition[]>, memberId: string): readonly string[] {
  return (assigned.get(memberId) ?? []).map(({ topic, partition }) => `${topic}${partition}`).sort()
}

const someGroup = fc.record({
  members: fc.integer({ min: 1, max: 7 }),
  counts: fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.integer({ min: 0, max: 9 }), { minKeys: 1 }),
})

describe('assignPartitions', () => {
  it.each(['same-number', 'spread'] as const)('%s gives every partition to one member, evenly', (strategy) => {
    fc.assert(
      fc.property(someGroup, ({ members, counts }) => {
        const topics = Object.keys(counts)
        const subscribers = Array.from({ length: members }, (_, i) => subscriber(`m${i}`, topics))
        const assigned = assignPartitions(strategy, subscribers, new Map(Object.entries(counts)))
        const all = [...assigned.values()].flat().map(({ topic, partition }) => `${topic}${partition}`)
        expect(all.toSorted()).toEqual(
          topics.flatMap((topic) => Array.from({ length: counts[topic] ?? 0 }, (_, i) => `${topic}${i}`)).sort(),
        )
        const units = [...assigned.values()].map((own) =>
          strategy === 'spread' ? own.length : new Set(own.map(({ partition }) => partition)).size,
        )
        expect(Math.max(...units) - Math.min(...units)).toBeLessThanOrEqual(1)
      }),
    )
  })

  it('same-number gives a number of all topics to one member', () => {
    fc.assert(
      fc.property(someGroup, ({ members, counts }) => {
        const subscribers = Array.from({ length: members }, (_, i) => subscriber(`m${i}`, Object.keys(counts)))
        const assigned = assignPartitions('same-number', subscribers, new Map(Object.entries(counts)))
        const owner = new Map<number, string>()
        for (const [memberId, own] of assigned) {
          for (const { partition } of own)
            expect(owner.set(partition, owner.get(partition) ?? memberId).get(partition)).toBe(memberId)
        }
      }),
    )
  })

  it.each(['same-number', 'spread'] as const)(
    '%s moves nothing when nothing has changed, and no more than needed when a member leaves',
    (strategy) => {
      fc.assert(
        fc.property(someGroup, ({ members, counts }) => {
          const topics = Object.keys(counts)
          const partitionCounts = new Map(Object.entries(counts))
          const first = assignPartitions(
            strategy,
            Array.from({ length: members }, (_, i) => subscriber(`m${i}`, topics)),
            partitionCounts,
          )
          const returning = [...first].map(([memberId, own]) => subscriber(memberId, topics, own, 1))
          const again = assignPartitions(strategy, returning, partitionCounts)
          for (const memberId of first.keys()) expect(keysOf(again, memberId)).toEqual(keysOf(first, memberId))
          if (members < 2) return
          const left = assignPartitions(strategy, returning.slice(1), partitionCounts)
          for (const { memberId } of returning.slice(1)) {
            for (const key of keysOf(first, memberId)) expect(keysOf(left, memberId)).toContain(key)
          }
        }),
      )
    },
  )

  it('does not depend on the order of the members', () => {
    fc.assert(
      fc.property(someGroup, ({ members, counts }) => {
        const subscribers = Array.from({ length: members }, (_, i) => subscriber(`m${i}`, Object.keys(counts)))
        const partitionCounts = new Map(Object.entries(counts))
        const one = assignPartitions('spread', subscribers, partitionCounts)
        const other = assignPartitions('spread', subscribers.toReversed(), partitionCounts)
        for (const { memberId } of subscribers) expect(keysOf(other, memberId)).toEqual(keysOf(one, memberId))
      }),
    )
  })

  it('believes the later generation when two claim the same partition', () => {
    const claim = [{ topic: 'a', partition: 0 }]
    const assigned = assignPartitions(
      'spread',
      [subscriber('zombie', ['a'], claim, 3), subscriber('owner', ['a'], claim, 4)],
      new Map([['a', 1]]),
    )
    expect(keysOf(assigned, 'owner')).toEqual(['a0'])
  })

  it('gives topics only to those who subscribe to them', () => {
    const counts = new Map([
      ['a', 2],
      ['b', 2],
    ])
    for (const strategy of ['same-number', 'spread'] as const) {
      const assigned = assignPartitions(strategy, [subscriber('old', ['a']), subscriber('new', ['a', 'b'])], counts)
      expect(keysOf(assigned, 'new')).toEqual(expect.arrayContaining(['b0', 'b1']))
      expect([...assigned.values()].flat()).toHaveLength(4)
      expect(keysOf(assigned, 'old').every((key) => key.startsWith('a'))).toBe(true)
    }
  })
})
