import {
  type CloseOptions,
  type CommittedOffset,
  type GroupListener,
  type GroupMember,
  type GroupMemberOptions,
  type GroupMetadata,
  type GroupView,
  type GroupViewMember,
  type MemberReport,
  partitionKey,
  partitionsWithout,
  type TopicPartition,
} from '../core/broker.ts'
import { StreamsError } from '../core/errors.ts'
import { GenerationGate } from '../core/generation-gate.ts'
import { divideGroup, type Subscriber } from '../core/group-assignment.ts'
import type { FakeWaits } from './fake-waits.ts'

/** Longest wait of `committed` for a transaction that is not ended. */
const stableOffsetWaitMs = 30_000

/** Longest waits of commits for a rebalance, and of a rebalance for commits; see `GenerationGate`. */
const gateWaits = { joinWaitMsMax: 60_000, commitWaitMsMax: 5_000 }

/** What the group needs of its broker. */
export interface FakeGroupWorld {
  readonly waits: FakeWaits
  partitionCount(topic: string): number | undefined
  /** Throws what a test has asked for; see `FakeBroker.failNext`. */
  perform<T>(operation: 'groupCommit' | 'committed', action: () => T): Promise<T>
}

/** A consumer group in memory: rebalances one after the other, eager or cooperative, generations, static members, offsets with metadata. */
export class FakeGroup {
  readonly groupId: string
  readonly offsets = new Map<string, CommittedOffset>()
  /** Partitions with offsets in transactions that are not ended, by transactional id. */
  readonly pendingOffsets = new Map<string, ReadonlySet<string>>()
  generationId = 0
  readonly members = new Map<string, FakeGroupMember>()
  readonly world: FakeGroupWorld
  view: GroupView = { generationId: 0, members: [] }
  readonly #expelled = new Map<string, FakeGroupMember>()
  #rebalance: Promise<void> = Promise.resolve()
  #joined = 0

  constructor(groupId: string, world: FakeGroupWorld) {
    this.groupId = groupId
    this.world = world
  }

  /** Throws `REBALANCED` unless this is a current member in the current generation, or nobody is a member and the offsets come without one. */
  check(metadata: GroupMetadata): void {
    if (this.members.size === 0 && metadata.generationId < 0 && metadata.memberId === '') return
    if (metadata.generationId === this.generationId && this.members.has(metadata.memberId)) return
    throw new StreamsError(
      'REBALANCED',
      `member ${metadata.memberId} of generation ${metadata.generationId} is not in generation ${this.generationId} of group ${this.groupId}`,
    )
  }

  newMemberId(clientId: string): string {
    return `${clientId}-${++this.#joined}`
  }

  /** Takes a member out without telling it. */
  expel(memberId: string): Promise<void> {
    const member = this.members.get(memberId)
    if (member === undefined) throw new StreamsError('INVALID_STATE', `group ${this.groupId} has no member ${memberId}`)
    this.members.delete(memberId)
    this.#expelled.set(memberId, member)
    return this.rebalance(() => {})
  }

  /** Tells a member that was taken out. */
  async noticeExpiry(memberId: string): Promise<void> {
    const member = this.#expelled.get(memberId)
    if (member === undefined)
      throw new StreamsError('INVALID_STATE', `member ${memberId} of group ${this.groupId} was not expelled`)
    this.#expelled.delete(memberId)
    await member.noticeExpiry()
  }

  /** Runs a rebalance after those under way; `change` is what brings it about. */
  rebalance(change: () => void): Promise<void> {
    const run = this.#rebalance.then(() => this.#runRebalance(change))
    this.#rebalance = run.catch(() => undefined) // whoever asked for it gets the error; the next one goes ahead
    return run
  }

  async #runRebalance(change: () => void): Promise<void> {
    await Promise.all([...this.members.values()].map((member) => member.prepareToJoin()))
    change()
    // Members that had to give something up join once more, until nothing is with nobody.
    while (!(await this.#runGeneration()))
      await Promise.all([...this.members.values()].map((member) => member.prepareToJoin()))
    this.world.waits.recheck()
  }

  /** True when every partition has its owner. */
  async #runGeneration(): Promise<boolean> {
    this.generationId++
    const members = [...this.members.values()]
    const counts = new Map<string, number>()
    for (const topic of members.flatMap((member) => member.topics))
      counts.set(topic, this.world.partitionCount(topic) ?? 0)
    const joined = members.map((member) => ({ member, report: member.report() }))
    const divided = divideGroup({
      strategy: members[0]?.strategy ?? 'spread',
      rebalance: members[0]?.rebalance ?? 'eager',
      standbys: members[0]?.standbysWanted ?? 0,
      subscribers: joined.map(({ member, report }) => member.subscriber(report)),
      partitionCounts: counts,
    })
    const shares = joined.map(({ member: { memberId, groupInstanceId }, report }) => ({
      memberId,
      groupInstanceId,
      endpoint: report?.endpoint ?? null,
      ...(divided.members.get(memberId) ?? { partitions: [], standbys: [] }),
    }))
    this.view = { generationId: this.generationId, members: shares }
    await Promise.all(
      members.map((member, at) => member.accept(this.view, shares[at] ?? { partitions: [], standbys: [] })),
    )
    return divided.isComplete
  }
}

/** A member of a `FakeGroup`. */
export class FakeGroupMember implements GroupMember {
  readonly failed: Promise<Error>
  readonly strategy: 'same-number' | 'spread'
  readonly rebalance: 'eager' | 'cooperative'
  readonly standbysWanted: number
  readonly groupInstanceId: string | null
  topics: readonly string[] = []
  /** What the listener was told and not told to give up. */
  owned: readonly TopicPartition[] = []
  /** What it had in its last generation. */
  claimed: readonly TopicPartition[] = []
  standbys: readonly number[] = []
  ownedGeneration = -1
  memberId = ''
  readonly #group: FakeGroup
  readonly #options: GroupMemberOptions
  readonly #gate = new GenerationGate(gateWaits)
  readonly #fail: (error: Error) => void
  #listener: GroupListener | undefined
  #closed = false
  #isFenced = false

  constructor(group: FakeGroup, options: GroupMemberOptions) {
    this.#group = group
    this.#options = options
    this.strategy = options.assignment ?? 'spread'
    this.rebalance = options.rebalance ?? 'eager'
    this.standbysWanted = options.standbys ?? 0
    if (this.standbysWanted > 0 && this.strategy === 'spread')
      throw new StreamsError('INVALID_CONFIG', "standbys: only with assignment 'same-number'")
    this.groupInstanceId = options.groupInstanceId ?? null
    const { promise, resolve } = Promise.withResolvers<Error>()
    this.failed = promise
    this.#fail = resolve
  }

  async join(topics: readonly string[], listener: GroupListener): Promise<void> {
    if (this.#closed || this.#listener !== undefined)
      throw new StreamsError('INVALID_STATE', 'a group member joins once')
    for (const topic of topics) {
      if (this.#group.world.partitionCount(topic) === undefined)
        throw new StreamsError('TOPIC_MISSING', `topic ${topic} does not exist`, { topic })
    }
    this.topics = topics
    this.#listener = listener
    await this.#enter()
  }

  metadata(): GroupMetadata | undefined {
    if (this.ownedGeneration < 0) return undefined
    return {
      groupId: this.#group.groupId,
      generationId: this.ownedGeneration,
      memberId: this.memberId,
      groupInstanceId: this.groupInstanceId,
    }
  }

  get isJoining(): boolean {
    return this.#gate.isJoining
  }

  inGeneration<T>(commit: (group: GroupMetadata) => Promise<T>): Promise<T> {
    return this.#gate.commit(async () => {
      const metadata = this.metadata()
      if (metadata === undefined) throw new StreamsError('REBALANCED', 'this member is not in its group yet')
      return commit(metadata)
    })
  }

  rejoin(): void {
    if (this.#closed || !this.#isMember()) return
    this.#group.rebalance(() => {}).catch(() => undefined) // a handler that throws is the error of whoever changed the group
  }

  async committed(partitions: readonly TopicPartition[]): Promise<ReadonlyMap<string, CommittedOffset>> {
    const keys = partitions.map(partitionKey)
    const isStable = () =>
      ![...this.#group.pendingOffsets.values()].some((pending) => keys.some((key) => pending.has(key)))
    if (!(await this.#group.world.waits.until(isStable, stableOffsetWaitMs))) {
      throw new StreamsError(
        'TIMED_OUT',
        `a transaction on offsets of group ${this.#group.groupId} has not ended within ${stableOffsetWaitMs} ms`,
      )
    }
    return this.#group.world.perform('committed', () => {
      const found = new Map<string, CommittedOffset>()
      for (const key of keys) {
        const offset = this.#group.offsets.get(key)
        if (offset !== undefined) found.set(key, offset)
      }
      return found
    })
  }

  async commit(offsets: readonly (TopicPartition & CommittedOffset)[]): Promise<void> {
    if (this.metadata() === undefined || (this.#closed && !this.#isFenced))
      throw new StreamsError('INVALID_STATE', 'only a joined member commits offsets')
    await this.inGeneration((metadata) =>
      this.#group.world.perform('groupCommit', () => {
        this.#group.check(metadata)
        for (const { offset, metadata: text, ...partition } of offsets) {
          this.#group.offsets.set(partitionKey(partition), { offset, metadata: text })
        }
      }),
    )
  }

  async close({ leave = this.groupInstanceId === null }: CloseOptions = {}): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (!leave || !this.#isMember()) return
    await this.#group.rebalance(() => this.#group.members.delete(this.memberId))
  }

  report(): MemberReport | undefined {
    return this.#options.report?.()
  }

  /** As the leader sees it. */
  subscriber(report: MemberReport | undefined): Subscriber {
    const { memberId, groupInstanceId, topics, claimed: owned, ownedGeneration, standbys } = this
    const warm = report === undefined ? undefined : new Map(report.warm.map(({ number, lag }) => [number, lag]))
    return { memberId, groupInstanceId, topics, owned, ownedGeneration, warm, standbys }
  }

  /** A rebalance begins: gives everything back (eager), or lets commits come to their ends; one that is closing has done so already. */
  async prepareToJoin(): Promise<void> {
    if (this.#closed || this.ownedGeneration < 0) return
    if (this.rebalance === 'cooperative') return this.#gate.close()
    const revoked = this.owned
    if (revoked.length > 0) await this.#listener?.onRevoked(revoked)
    this.owned = []
  }

  /** A generation has begun. */
  async accept(view: GroupView, { partitions, standbys }: Share): Promise<void> {
    const revoked = partitionsWithout(this.owned, partitions)
    const added = partitionsWithout(partitions, this.owned)
    this.ownedGeneration = view.generationId
    this.claimed = partitions
    this.standbys = standbys
    if (this.#closed) {
      this.owned = partitions
      return
    }
    this.#gate.open()
    // A process that was replaced in the midst of it holds up nobody.
    if (revoked.length > 0) await Promise.race([this.#listener?.onRevoked(revoked), this.failed])
    if (this.#isFenced) return
    this.owned = partitions
    await this.#listener?.onAssigned(added, { view, standbys })
  }

  /** Another one came with this member's instance id. */
  async fence(): Promise<void> {
    this.#isFenced = true
    if (this.#closed) return
    this.#closed = true
    await this.#lose()
    this.#fail(
      new StreamsError(
        'FENCED',
        `another member has joined group ${this.#group.groupId} as instance ${this.groupInstanceId}`,
      ),
    )
  }

  /** Learns that it was expelled: loses its partitions and joins anew. */
  async noticeExpiry(): Promise<void> {
    if (this.#isMember() || this.#listener === undefined) return
    this.ownedGeneration = -1
    await this.#lose()
    await this.#enter()
  }

  async #lose(): Promise<void> {
    this.#gate.bar()
    const lost = this.owned
    this.owned = []
    this.claimed = []
    if (lost.length > 0) await this.#listener?.onLost(lost)
  }

  async #enter(): Promise<void> {
    const { rebalance, strategy } = this
    for (const other of this.#group.members.values()) {
      if (other.rebalance !== rebalance || other.strategy !== strategy)
        throw new StreamsError(
          'INVALID_CONFIG',
          `the members of group ${this.#group.groupId} divide it by another protocol than ${rebalance} ${strategy}`,
        )
    }
    this.memberId = this.#group.newMemberId(this.#options.clientId)
    const former = [...this.#group.members.values()].find(
      (one) => one.groupInstanceId !== null && one.groupInstanceId === this.groupInstanceId,
    )
    if (former === undefined) {
      await this.#group.rebalance(() => this.#group.members.set(this.memberId, this))
      return
    }
    this.#group.members.delete(former.memberId)
    this.#group.members.set(this.memberId, this)
    const share = { partitions: former.claimed, standbys: former.standbys }
    const known = this.#group.view.members.find(({ groupInstanceId }) => groupInstanceId === this.groupInstanceId)
    former.fence().catch(() => undefined) // its listener's error is nobody's: it has failed already
    await this.accept(this.#group.view, share)
    if (known?.endpoint !== (this.report()?.endpoint ?? null)) this.rejoin()
  }

  #isMember(): boolean {
    return this.#group.members.get(this.memberId) === this
  }
}

type Share = Pick<GroupViewMember, 'partitions' | 'standbys'>
