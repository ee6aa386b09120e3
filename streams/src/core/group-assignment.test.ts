import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { partitionKey, type TopicPartition } from './broker.ts'
import { type Division, type DivisionOptions, divideGroup, type Subscriber } from './group-assignment.ts'
import { limits } from './limits.ts'

function subscriber(memberId: string, topics: readonly string[], more: Partial<Subscriber> = {}): Subscriber {
  return {
    memberId,
    groupInstanceId: null,
    topics,
    owned: [],
    ownedGeneration: -1,
    warm: undefined,
    standbys: [],
    ...more,
  }
}

function divide(
  subscribers: readonly Subscriber[],
  counts: Readonly<Record<string, number>>,
  more: Partial<DivisionOptions> = {},
): Division {
  const partitionCounts = new Map(Object.entries(counts))
  return divideGroup({
    strategy: 'same-number',
    rebalance: 'eager',
    standbys: 0,
    subscribers,
    partitionCounts,
    ...more,
  })
}

function keysOf({ members }: Division, memberId: string): readonly string[] {
  return (members.get(memberId)?.partitions ?? []).map(partitionKey).sort()
}

function numbersOf({ members }: Division, memberId: string): readonly number[] {
  const numbers = (members.get(memberId)?.partitions ?? []).map(({ partition }) => partition)
  return [...new Set(numbers)].sort((a, b) => a - b)
}

function allPartitions(counts: Readonly<Record<string, number>>): readonly TopicPartition[] {
  return Object.entries(counts).flatMap(([topic, count]) =>
    Array.from({ length: count }, (_, partition) => ({ topic, partition })),
  )
}

function numbered(topic: string, ...numbers: readonly number[]): readonly TopicPartition[] {
  return numbers.map((partition) => ({ topic, partition }))
}

/** Copies without a lag, but where `lags` says so. */
function warm(...numbers: readonly (number | readonly [number, number])[]): ReadonlyMap<number, number> {
  return new Map(numbers.map((one) => (typeof one === 'number' ? [one, 0] : one)))
}

const someGroup = fc.record({
  members: fc.integer({ min: 1, max: 7 }),
  counts: fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.integer({ min: 0, max: 9 }), { minKeys: 1 }),
})

describe('divideGroup', () => {
  it.each(['same-number', 'spread'] as const)('%s gives every partition to one member, evenly', (strategy) => {
    fc.assert(
      fc.property(someGroup, ({ members, counts }) => {
        const topics = Object.keys(counts)
        const subscribers = Array.from({ length: members }, (_, i) => subscriber(`m${i}`, topics))
        const divided = divide(subscribers, counts, { strategy })
        const shares = [...divided.members.values()].map(({ partitions }) => partitions)
        expect(shares.flat().map(partitionKey).sort()).toEqual(allPartitions(counts).map(partitionKey).sort())
        expect(divided.isComplete).toBe(true)
        const units = shares.map((own) =>
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
        const owner = new Map<number, string>()
        for (const [memberId, { partitions }] of divide(subscribers, counts).members) {
          for (const { partition } of partitions)
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
          const first = divide(
            Array.from({ length: members }, (_, i) => subscriber(`m${i}`, topics)),
            counts,
            { strategy },
          )
          const returning = [...first.members].map(([memberId, { partitions }]) =>
            subscriber(memberId, topics, { owned: partitions, ownedGeneration: 1 }),
          )
          const again = divide(returning, counts, { strategy })
          for (const memberId of first.members.keys()) expect(keysOf(again, memberId)).toEqual(keysOf(first, memberId))
          if (members < 2) return
          const left = divide(returning.slice(1), counts, { strategy })
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
        const subscribers = Array.from({ length: members }, (_, i) =>
          subscriber(`m${i}`, Object.keys(counts), { warm: warm(i, [i + 1, 100]) }),
        )
        const one = divide(subscribers, counts, { standbys: 1 })
        const other = divide(subscribers.toReversed(), counts, { standbys: 1 })
        expect(Object.fromEntries(other.members)).toEqual(Object.fromEntries(one.members))
      }),
    )
  })

  it('believes the later generation when two claim the same partition', () => {
    const owned = [{ topic: 'a', partition: 0 }]
    for (const rebalance of ['eager', 'cooperative'] as const) {
      const divided = divide(
        [
          subscriber('zombie', ['a'], { owned, ownedGeneration: 3 }),
          subscriber('owner', ['a'], { owned, ownedGeneration: 4 }),
        ],
        { a: 1 },
        { rebalance },
      )
      expect(keysOf(divided, 'owner')).toEqual(['a-0'])
      expect(keysOf(divided, 'zombie')).toEqual([])
    }
  })

  it('gives topics only to those who subscribe to them', () => {
    for (const strategy of ['same-number', 'spread'] as const) {
      const divided = divide([subscriber('old', ['a']), subscriber('new', ['a', 'b'])], { a: 2, b: 2 }, { strategy })
      expect(keysOf(divided, 'new')).toEqual(expect.arrayContaining(['b-0', 'b-1']))
      expect([...divided.members.values()].flatMap(({ partitions }) => partitions)).toHaveLength(4)
      expect(keysOf(divided, 'old').every((key) => key.startsWith('a'))).toBe(true)
    }
  })

  describe('cooperatively', () => {
    it('gives to nobody what another one still has, and says so', () => {
      const counts = { a: 4 }
      const old = subscriber('old', ['a'], { owned: numbered('a', 0, 1, 2, 3), ownedGeneration: 1 })
      const first = divide([old, subscriber('new', ['a'])], counts, { rebalance: 'cooperative' })
      expect(keysOf(first, 'old')).toEqual(['a-0', 'a-1'])
      expect(keysOf(first, 'new')).toEqual([])
      expect(first.isComplete).toBe(false)
      const kept = subscriber('old', ['a'], { owned: numbered('a', 0, 1), ownedGeneration: 2 })
      const second = divide([kept, subscriber('new', ['a'])], counts, { rebalance: 'cooperative' })
      expect(keysOf(second, 'new')).toEqual(['a-2', 'a-3'])
      expect(second.isComplete).toBe(true)
    })
  })

  describe('with state', () => {
    const counts = { a: 4 }
    const owner = subscriber('owner', ['a'], {
      owned: numbered('a', 0, 1, 2, 3),
      ownedGeneration: 1,
      warm: warm(0, 1, 2, 3),
    })

    it('lets a new member warm up before it takes over', () => {
      const cold = divide([owner, subscriber('new', ['a'], { warm: warm() })], counts)
      expect(numbersOf(cold, 'owner')).toEqual([0, 1, 2, 3])
      expect(cold.members.get('new')).toEqual({ partitions: [], standbys: [2, 3] })
      const half = subscriber('new', ['a'], { warm: warm(2, [3, limits.caughtUpLagMax + 1]), standbys: [2, 3] })
      expect(numbersOf(divide([owner, half], counts), 'new')).toEqual([2])
      expect(divide([owner, half], counts).members.get('new')?.standbys).toEqual([3])
    })

    it('moves what the new member has a copy of, rather than what it would have to build', () => {
      const moved = divide([owner, subscriber('new', ['a'], { warm: warm(0, [1, 9_000]) })], counts)
      expect(numbersOf(moved, 'new')).toEqual([0, 1])
    })

    it('moves at once what is not warm anywhere, and what goes to a member that keeps no state', () => {
      const stateless = { ...owner, warm: warm() }
      expect(numbersOf(divide([stateless, subscriber('new', ['a'], { warm: warm() })], counts), 'new')).toHaveLength(2)
    })

    it('lets the copy take over when the owner is gone, also against the balance', () => {
      const busy = subscriber('busy', ['a'], {
        owned: numbered('a', 0, 1),
        ownedGeneration: 1,
        warm: warm(0, 1, 2, 3),
        standbys: [2, 3],
      })
      const idle = subscriber('idle', ['a'], { warm: warm() })
      const divided = divide([busy, idle], counts, { standbys: 1 })
      expect(numbersOf(divided, 'busy')).toEqual([0, 1, 2, 3])
      expect(divided.members.get('idle')?.standbys).toEqual([0, 1, 2, 3])
      const even = divide(
        [
          { ...busy, owned: numbered('a', 0, 1) },
          { ...idle, warm: warm([3, 100]) },
        ],
        counts,
      )
      expect(numbersOf(even, 'idle')).toEqual([3])
    })

    it('prefers the copy that lacks the least when none is caught up', () => {
      const [near, far] = [50_000, 90_000]
      const divided = divide(
        [subscriber('far', ['a'], { warm: warm([0, far]) }), subscriber('near', ['a'], { warm: warm([0, near]) })],
        { a: 1 },
      )
      expect(numbersOf(divided, 'near')).toEqual([0])
    })

    it('warms up a few numbers at a time, those that are warmest first', () => {
      const all = Array.from({ length: 20 }, (_, number) => number)
      const holder = subscriber('holder', ['a'], {
        owned: numbered('a', ...all),
        ownedGeneration: 1,
        warm: warm(...all),
      })
      const first = divide([holder, subscriber('new', ['a'], { warm: warm() })], { a: 20 }).members.get('new')
      expect(first?.standbys).toHaveLength(limits.warmUpsMax)
      const begun = new Map(first?.standbys.map((number) => [number, 50_000]))
      const then = divide([holder, subscriber('new', ['a'], { warm: begun })], { a: 20 }).members.get('new')
      expect(then?.standbys).toEqual(first?.standbys)
    })

    it('keeps a copy open that is about to become the original', () => {
      const divided = divide([owner, subscriber('new', ['a'], { warm: warm(0, 1), standbys: [0, 1] })], counts, {
        rebalance: 'cooperative',
      })
      expect(numbersOf(divided, 'owner')).toEqual([2, 3])
      expect(divided.members.get('new')).toEqual({ partitions: [], standbys: [0, 1] })
      expect(divided.isComplete).toBe(false)
    })

    it('keeps a standby where it is', () => {
      const members = ['x', 'y', 'z'].map((id, at) =>
        subscriber(id, ['a'], {
          owned: numbered('a', at),
          ownedGeneration: 1,
          warm: warm(at, [(at + 1) % 3, 700], (at + 2) % 3),
          standbys: [(at + 1) % 3],
        }),
      )
      const divided = divide(members, { a: 3 }, { standbys: 1 })
      for (const { memberId, standbys } of members) expect(divided.members.get(memberId)?.standbys).toEqual(standbys)
    })

    it('keeps no number warm at members that keep no state, nor partitions by themselves', () => {
      const plain = divide([owner, subscriber('plain', ['a'])], counts, { standbys: 1 })
      expect(plain.members.get('plain')?.standbys).toEqual([])
      const spread = divide([owner, subscriber('new', ['a'], { warm: warm() })], counts, {
        standbys: 1,
        strategy: 'spread',
      })
      expect(spread.members.get('new')).toMatchObject({ standbys: [], partitions: [{}, {}] })
    })
  })

  it('comes to rest, evenly, whatever happens to the group', () => {
    const change = fc.oneof(
      fc.record({ kind: fc.constant('join' as const), hasDisk: fc.boolean() }),
      fc.record({ kind: fc.constant('leave' as const), which: fc.nat() }),
      fc.record({ kind: fc.constant('lag' as const), which: fc.nat() }),
    )
    fc.assert(
      fc.property(
        fc.record({
          numbers: fc.integer({ min: 1, max: 14 }),
          standbys: fc.integer({ min: 0, max: 2 }),
          rebalance: fc.constantFrom('eager' as const, 'cooperative' as const),
          changes: fc.array(change, { minLength: 1, maxLength: 8 }),
        }),
        ({ numbers, standbys, rebalance, changes }) => {
          const group = new SimulatedGroup({ numbers, standbys, rebalance })
          group.join(false)
          group.rest()
          for (const one of changes) {
            if (one.kind === 'join') group.join(one.hasDisk)
            if (one.kind === 'leave') group.leave(one.which)
            if (one.kind === 'lag') group.fallBehind(one.which)
            group.rest()
          }
        },
      ),
    )
  })
})

/** What a copy lacks at most, as a changelog is compacted: caught up within the divisions for which `rest` wants nothing to change. */
const wholeChangelog = 40_000

/** A group whose members restore a part of what they lack between two divisions, and leave on disk what they have no more to do with. */
class SimulatedGroup {
  readonly #counts: Readonly<Record<string, number>>
  readonly #options: {
    readonly numbers: number
    readonly standbys: number
    readonly rebalance: 'eager' | 'cooperative'
  }
  #members: Subscriber[] = []
  #joined = 0
  #generation = 0

  constructor(options: { numbers: number; standbys: number; rebalance: 'eager' | 'cooperative' }) {
    this.#options = options
    this.#counts = { a: options.numbers, b: options.numbers }
  }

  join(hasDisk: boolean): void {
    const disk = hasDisk
      ? warm(
          ...Array.from(
            { length: this.#options.numbers },
            (_, at) => [at, Math.min(wholeChangelog, at * 4_000)] as const,
          ),
        )
      : warm()
    this.#members.push(subscriber(`m${++this.#joined}`, ['a', 'b'], { warm: disk }))
  }

  leave(which: number): void {
    if (this.#members.length > 1) this.#members.splice(which % this.#members.length, 1)
  }

  /** Everything that a member does not process is far behind. */
  fallBehind(which: number): void {
    const at = which % this.#members.length
    this.#members = this.#members.map((member, i) =>
      i === at ? { ...member, warm: new Map([...(member.warm ?? [])].map(([number]) => [number, 30_000])) } : member,
    )
  }

  /** Divides until nothing changes for longer than a copy takes to catch up, and looks whether that is as it should be. */
  rest(): void {
    let divided = this.#divide()
    let same = 0
    for (let round = 0; same < 5; round++) {
      const before = JSON.stringify([...divided.members])
      divided = this.#divide()
      same = divided.isComplete && JSON.stringify([...divided.members]) === before ? same + 1 : 0
      expect(round).toBeLessThan(20 + this.#options.numbers * 5)
    }
    this.#checkRest(divided)
  }

  #divide(): Division {
    const { standbys, rebalance } = this.#options
    const divided = divide(this.#members, this.#counts, { standbys, rebalance })
    this.#checkSafe(divided)
    this.#generation++
    this.#members = this.#members.map((member) => this.#follow(member, divided))
    return divided
  }

  #follow(member: Subscriber, { members }: Division): Subscriber {
    const { partitions = [], standbys = [] } = members.get(member.memberId) ?? {}
    const lags = new Map(
      [...(member.warm ?? [])].map(([number, lag]) => [number, Math.min(wholeChangelog, lag + 3_000)]),
    )
    for (const number of standbys) lags.set(number, Math.max(0, (lags.get(number) ?? wholeChangelog) - 15_000))
    for (const { partition } of partitions) lags.set(partition, 0)
    return { ...member, owned: partitions, ownedGeneration: this.#generation, warm: lags, standbys }
  }

  /** One expectation for all: there are thousands of divisions. */
  #checkSafe({ members, isComplete }: Division): void {
    const given = [...members.values()].flatMap(({ partitions }) => partitions.map(partitionKey))
    const holders = new Map(
      this.#members.flatMap(({ memberId, owned }) => owned.map((of) => [partitionKey(of), memberId] as const)),
    )
    const unsafe = [...members].filter(([memberId, { partitions, standbys }]) =>
      partitions.some((of) => {
        const holder = holders.get(partitionKey(of)) ?? memberId
        return standbys.includes(of.partition) || (this.#options.rebalance === 'cooperative' && holder !== memberId)
      }),
    )
    const all = 2 * this.#options.numbers
    expect({ unsafe, twice: given.length - new Set(given).size, missing: isComplete ? all - given.length : 0 }).toEqual(
      {
        unsafe: [],
        twice: 0,
        missing: 0,
      },
    )
  }

  #checkRest(divided: Division): void {
    const shares = [...divided.members.values()]
    const loads = shares.map(({ partitions }) => partitions.length / 2)
    expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(1)
    const perNumber = Math.min(this.#options.standbys, this.#members.length - 1)
    for (let number = 0; number < this.#options.numbers; number++)
      expect(shares.filter(({ standbys }) => standbys.includes(number))).toHaveLength(perNumber)
  }
}
