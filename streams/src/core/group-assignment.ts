import { partitionKey, type TopicPartition } from './broker.ts'
import { limits } from './limits.ts'
import { chooseStandbys } from './standby-choice.ts'

/** A member of a group, as its leader sees it when it divides the partitions. */
export interface Subscriber {
  readonly memberId: string
  /** Orders static members the same way after a restart, which gives them another member id. */
  readonly groupInstanceId: string | null
  readonly topics: readonly string[]
  /** What it had before, to be left with it as far as the balance allows. */
  readonly owned: readonly TopicPartition[]
  /** The generation of `owned`: when two claim the same partition, the later one is right. −1 when it had none. */
  readonly ownedGeneration: number
  /** How many changelog records its copy of a number's state lacks, by number; undefined for a member that keeps no state. */
  readonly warm: ReadonlyMap<number, number> | undefined
  /** The numbers that it was to keep warm in its last generation: ties are decided for it. */
  readonly standbys: readonly number[]
}

/** `same-number`: partition p of every topic to the same member. `spread`: each partition by itself. */
export type AssignmentStrategy = 'same-number' | 'spread'

/** What is to be divided, and how. */
export interface DivisionOptions {
  readonly strategy: AssignmentStrategy
  /** `cooperative`: what somebody still has is given to nobody else; it goes over in the next generation. */
  readonly rebalance: 'eager' | 'cooperative'
  /** Members beside the owner that keep each number warm. */
  readonly standbys: number
  readonly subscribers: readonly Subscriber[]
  readonly partitionCounts: ReadonlyMap<string, number>
}

/** What one member gets. */
export interface MemberDivision {
  readonly partitions: readonly TopicPartition[]
  readonly standbys: readonly number[]
}

/** A group divided. */
export interface Division {
  /** By member id. */
  readonly members: ReadonlyMap<string, MemberDivision>
  /** False when partitions are with nobody until those who have them have given them up and joined again. */
  readonly isComplete: boolean
}

/**
 * Divides the partitions of all subscribed topics over the subscribers. Pure and deterministic: the order of `subscribers` does not matter.
 *
 * Every unit (a partition; a partition number under `same-number`) goes to exactly one member. In the end the counts of units differ by at
 * most one when all subscribe to the same topics. Until then, what comes first holds:
 *
 *  1. A unit stays with the member that has it, as far as the balance allows.
 *  2. One whose member is gone goes to a member with a copy that is caught up (`limits.caughtUpLagMax`), also against the balance.
 *  3. One that is to move for the balance does so when the copy at its new member is caught up, or not behind the present one's. Else it
 *     stays, its new member warms up first, and a later division moves it (KIP-441).
 *
 * Where nobody reports state, everything moves at once. Applied again and again, with copies that catch up, the division comes to rest.
 */
export function divideGroup(options: DivisionOptions): Division {
  const { strategy, rebalance, partitionCounts } = options
  const isSpread = strategy === 'spread'
  const loads = [...options.subscribers].sort(bySeniority).map((subscriber) => new Load(subscriber, isSpread))
  const units = isSpread ? singleUnits(loads, partitionCounts) : numberUnits(loads, partitionCounts)
  const holders = holdersOf(loads)
  const targets = balance(units, { loads, holders })
  const warmUps: WarmUp[] = []
  for (const [unit, target] of targets) {
    const now = placeNow({ unit, target, holder: holderOf(unit, holders) }, loads)
    now.units.push(unit)
    if (now !== target) warmUps.push({ unit, target })
  }
  const standbys = standbysOf({ loads, warmUps, numbers: isSpread ? [] : numbersOf(units) }, options.standbys)
  let isComplete = true
  const members = new Map<string, MemberDivision>()
  for (const load of loads) {
    const partitions: TopicPartition[] = []
    const kept = new Set(standbys.get(load))
    for (const unit of load.units) {
      const free = unit.partitions.filter((partition) => isFree(partition, { load, holders, rebalance }))
      partitions.push(...free)
      if (free.length === unit.partitions.length) continue
      isComplete = false
      // What it keeps warm of a number that it is about to get must not be closed meanwhile.
      if (load.warm.has(unit.number)) kept.add(unit.number)
    }
    members.set(load.subscriber.memberId, { partitions, standbys: [...kept].sort((a, b) => a - b) })
  }
  return { members, isComplete }
}

/** Partitions that stay together. */
interface Unit {
  /** The partition number that they have in common. */
  readonly number: number
  readonly partitions: readonly TopicPartition[]
}

/** A unit that its future member is not ready for. */
interface WarmUp {
  readonly unit: Unit
  readonly target: Load
}

/** What one subscriber has been given so far. */
class Load {
  readonly subscriber: Subscriber
  readonly topics: ReadonlySet<string>
  /** Lags by number; empty when partitions are divided one by one, as state belongs to numbers. */
  readonly warm: ReadonlyMap<number, number>
  /** What it processes from now on. */
  readonly units: Unit[] = []
  /** How many units it shall have in the end. */
  targets = 0

  constructor(subscriber: Subscriber, isSpread: boolean) {
    this.subscriber = subscriber
    this.topics = new Set(subscriber.topics)
    this.warm = isSpread ? new Map() : (subscriber.warm ?? new Map())
  }

  canTake(unit: Unit): boolean {
    return unit.partitions.every(({ topic }) => this.topics.has(topic))
  }

  /** Infinite without any copy. */
  lagOf({ number }: Unit): number {
    return this.warm.get(number) ?? Number.POSITIVE_INFINITY
  }

  isCaughtUp(unit: Unit): boolean {
    return this.lagOf(unit) <= limits.caughtUpLagMax
  }
}

/** Who has what, by `partitionKey`. */
type Holders = ReadonlyMap<string, Load>

/** Even shares: everybody the same number of units, some one more. */
class Shares {
  readonly #min: number
  #withOneMore: number

  constructor(units: number, loads: readonly Load[]) {
    this.#min = Math.floor(units / loads.length)
    this.#withOneMore = units % loads.length
  }

  hasRoom(load: Load): boolean {
    return load.targets < this.#min || (load.targets === this.#min && this.#withOneMore > 0)
  }

  take(load: Load): void {
    if (load.targets === this.#min) this.#withOneMore--
    load.targets++
  }
}

/** Who shall have each unit in the end, in the order of the units. */
function balance(
  units: readonly Unit[],
  { loads, holders }: { readonly loads: readonly Load[]; readonly holders: Holders },
): ReadonlyMap<Unit, Load> {
  const shares = new Shares(units.length, loads)
  const targets = new Map<Unit, Load | undefined>(units.map((unit) => [unit, undefined]))
  const give = (unit: Unit, load: Load) => {
    shares.take(load)
    targets.set(unit, load)
  }
  const held = new Map<Load, Unit[]>(loads.map((load) => [load, []]))
  for (const unit of units) {
    const holder = holderOf(unit, holders)
    if (holder?.canTake(unit) === true) held.get(holder)?.push(unit)
  }
  for (const [load, own] of held) {
    for (const unit of mostWorthKeeping(own, without(loads, load))) if (shares.hasRoom(load)) give(unit, load)
  }
  const isLeft = (unit: Unit) => targets.get(unit) === undefined
  for (const { unit, load } of copiesOf(units.filter(isLeft), loads))
    if (isLeft(unit) && shares.hasRoom(load)) give(unit, load)
  const settled = new Map<Unit, Load>()
  for (const unit of units) {
    let target = targets.get(unit)
    if (target === undefined) {
      const able = loads.filter((load) => load.canTake(unit))
      target = leastTargets(able.filter((load) => shares.hasRoom(load))) ?? leastTargets(able)
      if (target === undefined) continue
      shares.take(target)
    }
    settled.set(unit, target)
  }
  return settled
}

/** What others have no copy of first: what is given up goes to whom it costs the least. */
function mostWorthKeeping(own: readonly Unit[], others: readonly Load[]): readonly Unit[] {
  const costOf = new Map(own.map((unit) => [unit, Math.min(...others.map((load) => roundedLag(load, unit)))]))
  return own.toSorted((one, other) => descending(costOf.get(one) ?? 0, costOf.get(other) ?? 0))
}

/** Every copy of these units that a member has, the best first. */
function copiesOf(
  units: readonly Unit[],
  loads: readonly Load[],
): readonly { readonly unit: Unit; readonly load: Load }[] {
  const copies = units.flatMap((unit) =>
    loads
      .filter((load) => load.canTake(unit) && load.warm.has(unit.number))
      .map((load) => ({
        unit,
        load,
        lag: roundedLag(load, unit),
        standby: load.subscriber.standbys.includes(unit.number) ? 0 : 1,
      })),
  )
  return copies.sort((one, other) => one.lag - other.lag || one.standby - other.standby)
}

/** Copies that are caught up are all alike. */
function roundedLag(load: Load, unit: Unit): number {
  return load.isCaughtUp(unit) ? 0 : load.lagOf(unit)
}

/** Who has the unit for now. */
function placeNow(
  { unit, target, holder }: { readonly unit: Unit; readonly target: Load; readonly holder: Load | undefined },
  loads: readonly Load[],
): Load {
  if (holder === target || target.isCaughtUp(unit)) return target
  if (holder?.canTake(unit) === true) return target.lagOf(unit) <= holder.lagOf(unit) ? target : holder
  return fewestUnits(loads.filter((load) => load.canTake(unit) && load.isCaughtUp(unit))) ?? target
}

/** False for what another member still has, under the cooperative protocol. */
function isFree(
  partition: TopicPartition,
  given: { readonly load: Load; readonly holders: Holders; readonly rebalance: 'eager' | 'cooperative' },
): boolean {
  const holder = given.holders.get(partitionKey(partition))
  return given.rebalance === 'eager' || holder === undefined || holder === given.load
}

/** Who keeps what warm: members that keep state, and no others. */
function standbysOf(
  {
    loads,
    warmUps,
    numbers,
  }: { readonly loads: readonly Load[]; readonly warmUps: readonly WarmUp[]; readonly numbers: readonly number[] },
  perNumber: number,
): ReadonlyMap<Load, readonly number[]> {
  const able = loads.filter((load) => load.subscriber.warm !== undefined)
  const candidates = able.map((load) => ({
    warm: load.warm,
    standbys: load.subscriber.standbys,
    owned: new Set(load.units.map(({ number }) => number)),
    warmUps: warmUpsOf(load, warmUps),
  }))
  const chosen = chooseStandbys({ candidates, numbers, perNumber })
  return new Map(able.map((load, at) => [load, chosen[at] ?? []]))
}

/** The numbers that `load` is to make warm now: those that are warmest already, not too many at a time. */
function warmUpsOf(load: Load, warmUps: readonly WarmUp[]): readonly number[] {
  return warmUps
    .filter(({ target }) => target === load)
    .sort((one, other) => descending(load.lagOf(other.unit), load.lagOf(one.unit)))
    .slice(0, limits.warmUpsMax)
    .map(({ unit }) => unit.number)
}

function holderOf(unit: Unit, holders: Holders): Load | undefined {
  for (const partition of unit.partitions) {
    const holder = holders.get(partitionKey(partition))
    if (holder !== undefined) return holder
  }
  return undefined
}

function holdersOf(loads: readonly Load[]): Holders {
  const holders = new Map<string, Load>()
  for (const load of loads) {
    for (const partition of load.subscriber.owned) {
      const key = partitionKey(partition)
      const other = holders.get(key)
      if (other === undefined || other.subscriber.ownedGeneration < load.subscriber.ownedGeneration)
        holders.set(key, load)
    }
  }
  return holders
}

function singleUnits(loads: readonly Load[], counts: ReadonlyMap<string, number>): readonly Unit[] {
  return allTopics(loads).flatMap((topic) =>
    Array.from({ length: counts.get(topic) ?? 0 }, (_, partition) => ({
      number: partition,
      partitions: [{ topic, partition }],
    })),
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
      units.push({ number: partition, partitions: members.map((topic) => ({ topic, partition })) })
    }
  }
  return units
}

function numbersOf(units: readonly Unit[]): readonly number[] {
  return [...new Set(units.map(({ number }) => number))].sort((a, b) => a - b)
}

function allTopics(loads: readonly Load[]): readonly string[] {
  return [...new Set(loads.flatMap((load) => load.subscriber.topics))].sort()
}

function leastTargets(loads: readonly Load[]): Load | undefined {
  return loads.reduce<Load | undefined>(
    (best, load) => (best === undefined || load.targets < best.targets ? load : best),
    undefined,
  )
}

function fewestUnits(loads: readonly Load[]): Load | undefined {
  return loads.reduce<Load | undefined>(
    (best, load) => (best === undefined || load.units.length < best.units.length ? load : best),
    undefined,
  )
}

function without(loads: readonly Load[], one: Load): readonly Load[] {
  return loads.filter((load) => load !== one)
}

/** Compares also infinities, whose difference is no number. */
function descending(one: number, other: number): number {
  return one === other ? 0 : one > other ? -1 : 1
}

function bySeniority(one: Subscriber, other: Subscriber): number {
  const [a, b] = [one.groupInstanceId ?? one.memberId, other.groupInstanceId ?? other.memberId]
  return a < b ? -1 : a > b ? 1 : 0
}
