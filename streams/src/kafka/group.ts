import type {
  CloseOptions,
  CommittedOffset,
  GroupListener,
  GroupMember,
  GroupMemberOptions,
  GroupMetadata,
  GroupView,
  TopicPartition,
} from '../core/broker.ts'
import { hasCode, StreamsError } from '../core/errors.ts'
import { type AssignmentStrategy, assignPartitions } from '../core/group-assignment.ts'
import type { Cluster } from './cluster.ts'
import { GroupCoordinator, type Joined, membershipRefusal } from './group-coordinator.ts'
import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from './group-protocol.ts'
import { type Ending, Heartbeat } from './heartbeat.ts'
import { kafkaLimits } from './limits.ts'
import { errorCode, isPassing } from './protocol-error.ts'
import { backoffMs, pause } from './retry.ts'

const sessionTimeoutDefaultMs = 10_000

/** How long handlers may take at a rebalance, unless said otherwise. */
export const rebalanceTimeoutDefaultMs = 60_000

/** Beats at least this often, however long the session timeout is: a member learns of a rebalance with its next beat. */
const heartbeatMaxMs = 1_000

/** The longest wait for the answer to a leave request: the broker expels a silent member anyway. */
const leaveTimeoutMs = 3_000

/**
 * A member of a group by the classic protocol, eager: at a rebalance everything is revoked, then everything assigned anew, and the assignment
 * leaves partitions where they were as far as it can.
 *
 *     join ─▶ joining ─▶ assigned ──heartbeat: rebalance──▶ revoking ─▶ joining
 *                          │ ▲ heartbeats all the time, also while handlers run
 *                          └─┴──heartbeat: expelled──▶ lost ─▶ joining
 *
 * While the coordinator cannot be reached, a member keeps its partitions and goes on trying without end, as only the coordinator can tell
 * whether they are still its own; commits are refused if they are not.
 */
export class KafkaGroupMember implements GroupMember {
  readonly failed: Promise<Error>
  readonly #cluster: Cluster
  readonly #coordinator: GroupCoordinator
  readonly #options: GroupMemberOptions
  readonly #strategy: AssignmentStrategy
  readonly #sessionTimeoutMs: number
  readonly #fail: (error: Error) => void
  #topics: readonly string[] = []
  #listener: GroupListener | undefined
  #memberId = ''
  #metadata: GroupMetadata | undefined
  #assigned: readonly TopicPartition[] = []
  /** The partitions of each topic when this member, as the leader, assigned them last. */
  #counts: ReadonlyMap<string, number> | undefined
  #countedMs = 0
  #heartbeat: Heartbeat | undefined
  #closing: Promise<void> | undefined

  constructor(cluster: Cluster, options: GroupMemberOptions) {
    this.#cluster = cluster
    this.#options = options
    this.#coordinator = new GroupCoordinator(cluster, options.groupId)
    this.#strategy = options.assignment ?? 'spread'
    this.#sessionTimeoutMs = options.sessionTimeoutMs ?? sessionTimeoutDefaultMs
    const { promise, resolve } = Promise.withResolvers<Error>()
    this.failed = promise
    this.#fail = resolve
  }

  async join(topics: readonly string[], listener: GroupListener): Promise<void> {
    if (this.#closing !== undefined || this.#listener !== undefined)
      throw new StreamsError('INVALID_STATE', 'a group member joins once')
    this.#topics = [...topics].sort()
    this.#listener = listener
    for (const topic of topics) await this.#cluster.require(topic)
    const first = Promise.withResolvers<void>()
    void this.#run(listener, first.resolve).catch((error) => {
      first.reject(error)
      if (this.#closing === undefined) this.#fail(error)
    })
    await first.promise
  }

  metadata(): GroupMetadata | undefined {
    return this.#metadata
  }

  async inGeneration<T>(commit: (group: GroupMetadata) => Promise<T>): Promise<T> {
    if (this.#metadata === undefined) throw new StreamsError('REBALANCED', 'this member is not in its group yet')
    return commit(this.#metadata)
  }

  rejoin(): void {
    this.#heartbeat?.endGeneration()
  }

  committed(partitions: readonly TopicPartition[]): Promise<ReadonlyMap<string, CommittedOffset>> {
    return this.#coordinator.committed(partitions)
  }

  async commit(offsets: readonly (TopicPartition & CommittedOffset)[]): Promise<void> {
    if (this.#closing !== undefined) throw new StreamsError('CLOSED', 'the group member is closed')
    if (this.#metadata === undefined) throw new StreamsError('INVALID_STATE', 'only a joined member commits offsets')
    if (offsets.length > 0) await this.#coordinator.commit(this.#metadata, offsets)
  }

  close({ leave = this.#options.groupInstanceId === undefined }: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(leave)
    return this.#closing
  }

  async #close(leave: boolean): Promise<void> {
    this.#heartbeat?.stop()
    if (leave) await this.#sayGoodbye()
    await this.#cluster.close()
  }

  /** Whether that arrives or not, the member is gone: the session timeout does the rest. */
  async #sayGoodbye(): Promise<void> {
    if (this.#memberId === '') return
    const leaving = this.#coordinator.leave(this.#memberId, this.#options.groupInstanceId ?? null)
    await Promise.race([leaving, pause(leaveTimeoutMs, this.#cluster.signal)]).catch(() => {})
  }

  /** Generation after generation, until it is closed or cannot go on. */
  async #run(listener: GroupListener, onFirst: () => void): Promise<void> {
    try {
      for (let generations = 0; ; generations++) {
        const member = await this.#joinGroup(generations === 0)
        await this.#live(member, listener, onFirst)
      }
    } catch (error) {
      if (this.#closing === undefined && this.#options.groupInstanceId === undefined) await this.#sayGoodbye()
      throw error
    }
  }

  /** One generation, from its assignment to the end of the handler that gives it up. Throws when there cannot be another one. */
  async #live(member: GroupMetadata, listener: GroupListener, onAssigned: () => void): Promise<void> {
    const heartbeat = new Heartbeat({
      coordinator: this.#coordinator,
      member,
      intervalMs: Math.min(heartbeatMaxMs, this.#sessionTimeoutMs / 3),
      signal: this.#cluster.signal,
      random: this.#cluster.random,
      wantsRebalance: () => this.#havePartitionsChanged(),
    })
    this.#heartbeat = heartbeat
    try {
      await listener.onAssigned(this.#assigned, { view: this.#viewOf(member), standbys: [] })
      onAssigned()
      const ending = await heartbeat.ending
      if (this.#closing !== undefined) throw new StreamsError('CLOSED', 'the group member is closed')
      await this.#giveUp(heartbeat.loss ?? ending, listener)
      if (heartbeat.loss !== undefined) this.#forget(heartbeat.loss)
    } finally {
      heartbeat.stop()
    }
  }

  #viewOf({ generationId, memberId, groupInstanceId }: GroupMetadata): GroupView {
    const { endpoint = null } = this.#options.report?.() ?? {}
    return {
      generationId,
      members: [{ memberId, groupInstanceId, endpoint, partitions: this.#assigned, standbys: [] }],
    }
  }

  async #giveUp(ending: Ending, listener: GroupListener): Promise<void> {
    const isFenced = ending.kind === 'fatal' && ending.error.code === 'FENCED'
    if (this.#assigned.length > 0) {
      if (ending.kind === 'rebalance') await listener.onRevoked(this.#assigned)
      if (ending.kind === 'lost' || isFenced) await listener.onLost(this.#assigned)
    }
    if (ending.kind === 'fatal') throw ending.error
  }

  /** What we had is somebody else's now. */
  #forget(loss: Ending): void {
    if (loss.kind === 'fatal') throw loss.error
    if (loss.kind === 'lost' && !loss.isMember) this.#memberId = ''
    this.#assigned = []
  }

  /** Joins until there is an assignment. The first time it gives up when no coordinator can be reached for the operation deadline. */
  async #joinGroup(isFirst: boolean): Promise<GroupMetadata> {
    const startMs = performance.now()
    for (let failures = 0; ; failures++) {
      try {
        const member = await this.#joinOnce()
        if (member !== undefined) return member
      } catch (error) {
        if (!hasCode(error, 'BROKER_UNAVAILABLE')) throw error
        if (isFirst && performance.now() - startMs > kafkaLimits.operationDeadlineMs) throw error
      }
      await pause(backoffMs(failures, this.#cluster.random), this.#cluster.signal)
    }
  }

  /** One round of joining; undefined when another one is needed. */
  async #joinOnce(): Promise<GroupMetadata | undefined> {
    const { groupId, groupInstanceId = null, rebalanceTimeoutMs = rebalanceTimeoutDefaultMs } = this.#options
    const joined = await this.#coordinator.join({
      memberId: this.#memberId,
      groupInstanceId,
      sessionTimeoutMs: this.#sessionTimeoutMs,
      rebalanceTimeoutMs,
      strategy: protocolName(this.#strategy),
      subscription: encodeSubscription({
        topics: this.#topics,
        owned: this.#assigned,
        generationId: this.#metadata?.generationId ?? -1,
      }),
    })
    if (joined.errorCode === errorCode.memberIdRequired) {
      this.#memberId = joined.memberId
      return this.#joinOnce()
    }
    if (this.#mustRejoin(joined.errorCode)) return undefined
    this.#memberId = joined.memberId
    const member = { groupId, generationId: joined.generationId, memberId: joined.memberId, groupInstanceId }
    this.#counts = undefined
    const assignments =
      joined.isLeader && !joined.skipAssignment ? await this.#assign(joined) : new Map<string, Buffer>()
    const synced = await this.#coordinator.sync(member, protocolName(this.#strategy), assignments)
    if (this.#mustRejoin(synced.errorCode)) return undefined
    this.#assigned = decodeAssignment(synced.assignment)
    this.#metadata = member
    return member
  }

  /** True when another round is needed; throws on an answer that no round can mend. */
  #mustRejoin(code: number): boolean {
    if (code === errorCode.none) return false
    if (code === errorCode.unknownMemberId) this.#memberId = ''
    else if (!isPassing(code) && code !== errorCode.rebalanceInProgress && code !== errorCode.illegalGeneration) {
      throw membershipRefusal(code, this.#options.groupId)
    }
    return true
  }

  /** The leader's part: who gets what. */
  async #assign({ members }: Joined): Promise<ReadonlyMap<string, Buffer>> {
    const subscribers = members.map(({ memberId, groupInstanceId, subscription }) => {
      const { topics, owned, generationId } = decodeSubscription(subscription)
      return { memberId, groupInstanceId, topics, owned, ownedGeneration: generationId }
    })
    const counts = await this.#countPartitions([...new Set(subscribers.flatMap(({ topics }) => topics))])
    this.#counts = counts
    const assigned = assignPartitions(this.#strategy, subscribers, counts)
    return new Map([...assigned].map(([memberId, partitions]) => [memberId, encodeAssignment(partitions)]))
  }

  async #countPartitions(topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const found = await this.#cluster.refresh(topics)
    this.#countedMs = performance.now()
    return new Map(topics.map((topic) => [topic, found.get(topic)?.partitions.length ?? 0]))
  }

  /** The leader looks from time to time whether topics have other partitions than when it assigned them. */
  async #havePartitionsChanged(): Promise<boolean> {
    const counts = this.#counts
    if (counts === undefined || performance.now() - this.#countedMs < kafkaLimits.partitionCheckMs) return false
    const now = await this.#countPartitions([...counts.keys()])
    return [...now].some(([topic, count]) => count !== counts.get(topic))
  }
}

/** The name that all members of a group must agree on. */
function protocolName(strategy: AssignmentStrategy): string {
  return `millrace-${strategy}`
}
