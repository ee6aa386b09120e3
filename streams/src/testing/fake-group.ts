import {
  type CloseOptions,
  type CommittedOffset,
  type GroupListener,
  type GroupMember,
  type GroupMemberOptions,
  type GroupMetadata,
  partitionKey,
  type TopicPartition,
} from '../core/broker.ts'
import { StreamsError } from '../core/errors.ts'
import { assignPartitions } from '../core/group-assignment.ts'
import type { FakeWaits } from './fake-waits.ts'

/** Longest wait of `committed` for a transaction that is not ended. */
const stableOffsetWaitMs = 30_000

/** What the group needs of its broker. */
export interface FakeGroupWorld {
  readonly waits: FakeWaits
  partitionCount(topic: string): number | undefined
  /** Throws what a test has asked for; see `FakeBroker.failNext`. */
  perform<T>(operation: 'groupCommit' | 'committed', action: () => T): Promise<T>
}

/** A consumer group in memory: eager rebalances one after the other, generations, static members, offsets with metadata. */
export class FakeGroup {
  readonly groupId: string
  readonly offsets = new Map<string, CommittedOffset>()
  /** Partitions with offsets in transactions that are not ended, by transactional id. */
  readonly pendingOffsets = new Map<string, ReadonlySet<string>>()
  generationId = 0
  readonly members = new Map<string, FakeGroupMember>()
  readonly world: FakeGroupWorld
  readonly #expelled = new Map<string, FakeGroupMember>()
  #rebalance: Promise<void> = Promise.resolve()
  #joined = 0

  constructor(groupId: string, world: FakeGroupWorld) {
    this.groupId = groupId
    this.world = world
  }

  /** Throws `REBALANCED` unless this is a current member in the current generation. */
  check(metadata: GroupMetadata): void {
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
    await Promise.all([...this.members.values()].map((member) => member.revoke()))
    change()
    this.generationId++
    const members = [...this.members.values()]
    const counts = new Map<string, number>()
    for (const topic of members.flatMap((member) => member.topics))
      counts.set(topic, this.world.partitionCount(topic) ?? 0)
    const assigned = assignPartitions(members[0]?.strategy ?? 'spread', members, counts)
    for (const member of members) member.owned = assigned.get(member.memberId) ?? []
    await Promise.all(members.map((member) => member.acceptAssignment(this.generationId)))
    this.world.waits.recheck()
  }
}

/** A member of a `FakeGroup`. */
export class FakeGroupMember implements GroupMember {
  readonly failed: Promise<Error>
  readonly strategy: 'same-number' | 'spread'
  readonly groupInstanceId: string | null
  topics: readonly string[] = []
  owned: readonly TopicPartition[] = []
  ownedGeneration = -1
  memberId = ''
  readonly #group: FakeGroup
  readonly #clientId: string
  readonly #fail: (error: Error) => void
  #listener: GroupListener | undefined
  #closed = false
  #isFenced = false

  constructor(group: FakeGroup, options: GroupMemberOptions) {
    this.#group = group
    this.#clientId = options.clientId
    this.strategy = options.assignment ?? 'spread'
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

  async inGeneration<T>(commit: (group: GroupMetadata) => Promise<T>): Promise<T> {
    const metadata = this.metadata()
    if (metadata === undefined) throw new StreamsError('REBALANCED', 'this member is not in its group yet')
    return commit(metadata)
  }

  rejoin(): void {
    this.#group.rebalance(() => {}).catch(() => undefined)
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
    const metadata = this.metadata()
    if (metadata === undefined || (this.#closed && !this.#isFenced))
      throw new StreamsError('INVALID_STATE', 'only a joined member commits offsets')
    await this.#group.world.perform('groupCommit', () => {
      this.#group.check(metadata)
      for (const { offset, metadata: text, ...partition } of offsets) {
        this.#group.offsets.set(partitionKey(partition), { offset, metadata: text })
      }
    })
  }

  async close({ leave = this.groupInstanceId === null }: CloseOptions = {}): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (!leave || !this.#isMember()) return
    await this.#group.rebalance(() => this.#group.members.delete(this.memberId))
  }

  /** The rebalance asks for the partitions back; a member that is closing has given up its work already. */
  async revoke(): Promise<void> {
    if (this.#closed || this.ownedGeneration < 0 || this.owned.length === 0) return
    await this.#listener?.onRevoked(this.owned)
  }

  /** The rebalance has put `owned`. */
  async acceptAssignment(generationId: number): Promise<void> {
    this.ownedGeneration = generationId
    if (this.#closed) return
    const { memberId, groupInstanceId, owned: partitions } = this
    const member = { memberId, groupInstanceId, endpoint: null, partitions, standbys: [] }
    await this.#listener?.onAssigned(partitions, { view: { generationId, members: [member] }, standbys: [] })
  }

  /** Another one came with this member's instance id. */
  fence(): void {
    this.#closed = true
    this.#isFenced = true
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
    const lost = this.owned
    this.owned = []
    this.ownedGeneration = -1
    if (lost.length > 0) await this.#listener.onLost(lost)
    await this.#enter()
  }

  async #enter(): Promise<void> {
    this.memberId = this.#group.newMemberId(this.#clientId)
    const former = [...this.#group.members.values()].find(
      (one) => one.groupInstanceId !== null && one.groupInstanceId === this.groupInstanceId,
    )
    if (former === undefined) {
      await this.#group.rebalance(() => this.#group.members.set(this.memberId, this))
      return
    }
    this.#group.members.delete(former.memberId)
    this.#group.members.set(this.memberId, this)
    this.owned = former.owned
    former.fence()
    await this.acceptAssignment(this.#group.generationId)
  }

  #isMember(): boolean {
    return this.#group.members.get(this.memberId) === this
  }
}
