import type { TopicPartition } from './broker.ts'

/** A member of a group, as its leader sees it when it assigns partitions. */
export interface Subscriber {
  readonly memberId: string
  /** Orders static members the same way after a restart, which gives them another member id. */
  readonly groupInstanceId: string | null
  readonly topics: readonly string[]
  /** What it had before, to be left with it as far as the balance allows. */
  readonly owned: readonly TopicPartition[]
  /** The generation of `owned`: when two claim the same partition, the later one is right. −1 when it had none. */
  readonly ownedGeneration: number
}

/** `same-number`: partition p of every topic to the same member. `spread`: each partition by itself. */
export type AssignmentStrategy = 'same-number' | 'spread'

/**
 * Divides the partitions of all subscribed topics over the subscribers: each partition to exactly one, the counts of units (partitions, or
 * partition numbers) differing by at most one when all subscribe to the same topics, and what somebody had before left with it. Pure and
 * deterministic: the order of `subscribers` does not matter.
 */
export function assignPartitions(
  strategy: AssignmentStrategy,
  subscribers: readonly Subscriber[],
  partitionCounts: ReadonlyMap<string, number>,
): ReadonlyMap<string, readonly TopicPartition[]> {
  const loads = [...subscribers].sort(bySeniority).map((subscriber) => new Load(subscriber))
  for (const unit of withHolders(
    strategy === 'spread' ? singleUnits(loads, partitionCounts) : numberUnits(loads, partitionCounts),
    loads,
  )) {
    leastLoaded(unit, loads)?.take(unit)
  }
  return new Map(loads.map((load) => [load.subscriber.memberId, load.partitions]))
}

/** Partitions that stay together, and who may have them. */
interface Unit {
  readonly partitions: readonly TopicPartition[]
}

/** What one subscriber has been given so far. */
class Load {
  readonly subscriber: Subscriber
  readonly topics: ReadonlySet<string>
  readonly partitions: TopicPartition[] = []
  units = 0

  constructor(subscriber: Subscriber) {
    this.subscriber = subscriber
    this.topics = new Set(subscriber.topics)
  }

  canTake(unit: Unit): boolean {
    return unit.partitions.every(({ topic }) => this.topics.has(topic))
  }

  take(unit: Unit): void {
    this.partitions.push(...unit.partitions)
    this.units++
  }
}

/** Leaves units with their holders up to the even share; returns what is left over, in order. */
function withHolders(units: readonly Unit[], loads: readonly Load[]): readonly Unit[] {
  const holders = holdersOf(loads)
  const shareMin = Math.floor(units.length / loads.length)
  let withOneMore = units.length % loads.length
  return units.filter((unit) => {
    const holder = unit.partitions
      .map(({ topic, partition }) => holders.get(`${topic}-${partition}`))
      .find((load) => load !== undefined)
    if (holder === undefined || !holder.canTake(unit)) return true
    if (holder.units > shareMin || (holder.units === shareMin && withOneMore === 0)) return true
    if (holder.units === shareMin) withOneMore--
    holder.take(unit)
    return false
  })
}

function holdersOf(loads: readonly Load[]): ReadonlyMap<string, Load> {
  const holders = new Map<string, Load>()
  for (const load of loads) {
    for (const { topic, partition } of load.subscriber.owned) {
      const key = `${topic}-${partition}`
      const other = holders.get(key)
      if (other === undefined || other.subscriber.ownedGeneration < load.subscriber.ownedGeneration)
        holders.set(key, load)
    }
  }
  return holders
}

function singleUnits(loads: readonly Load[], counts: ReadonlyMap<string, number>): readonly Unit[] {
  return allTopics(loads).flatMap((topic) =>
    Array.from({ length: counts.get(topic) ?? 0 }, (_, partition) => ({ partitions: [{ topic, partition }] })),
  )
}

/**
 * One unit per partition number. While members with different subscriptions are in the group (an upgrade is rolled out), topics that not
 * all of the number's takers know form units of their own.
 */
function numberUnits(loads: readonly Load[], counts: ReadonlyMap<string, number>): readonly Unit[] {
  const subscriptions = new Map<string, string[]>()
  for (const topic of allTopics(loads)) {
    const takers = loads.map((load) => (load.topics.has(topic) ? '1' : '0')).join('')
    subscriptions.set(takers, [...(subscriptions.get(takers) ?? []), topic])
  }
  const units: Unit[] = []
  for (const topics of subscriptions.values()) {
    const numbers = Math.max(...topics.map((topic) => counts.get(topic) ?? 0))
    for (let partition = 0; partition < numbers; partition++) {
      const members = topics.filter((topic) => partition < (counts.get(topic) ?? 0))
      units.push({ partitions: members.map((topic) => ({ topic, partition })) })
    }
  }
  return units
}

function allTopics(loads: readonly Load[]): readonly string[] {
  return [...new Set(loads.flatMap((load) => load.subscriber.topics))].sort()
}

function leastLoaded(unit: Unit, loads: readonly Load[]): Load | undefined {
  let best: Load | undefined
  for (const load of loads) if (load.canTake(unit) && (best === undefined || load.units < best.units)) best = load
  return best
}

function bySeniority(one: Subscriber, other: Subscriber): number {
  const [a, b] = [one.groupInstanceId ?? one.memberId, other.groupInstanceId ?? other.memberId]
  return a < b ? -1 : a > b ? 1 : 0
}
