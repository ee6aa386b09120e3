import {
  type CloseOptions,
  type CommittedOffset,
  type GroupAssignment,
  type GroupListener,
  type GroupMember,
  type GroupMemberOptions,
  type GroupMetadata,
  partitionsWithout,
  type TopicPartition,
} from '../core/broker.ts'
import { hasCode, StreamsError } from '../core/errors.ts'
import { GenerationGate } from '../core/generation-gate.ts'
import { type Logger, silentLogger } from '../core/logger.ts'
import type { Cluster, GroupTimeouts } from './cluster.ts'
import { GroupCoordinator, membershipRefusal } from './group-coordinator.ts'
import { GroupLeader } from './group-leader.ts'
import { decodeAssignment, encodeSubscription } from './group-protocol.ts'
import { decodeDivision, encodeReport, type ReportData } from './group-user-data.ts'
import { type Ending, Heartbeat } from './heartbeat.ts'
import { kafkaLimits } from './limits.ts'
import { errorCode, isPassing } from './protocol-error.ts'
import { backoffMs, pause } from './retry.ts'

const sessionTimeoutDefaultMs = 10_000

/** How long handlers may take at a rebalance, unless said otherwise. */
const rebalanceTimeoutDefaultMs = 60_000

/** Of a session: after a heartbeat without an answer there is time for two more, at another coordinator. */
const heartbeatsPerSession = 3

/** What a member's connections wait for. */
export function groupTimeouts({
  sessionTimeoutMs = sessionTimeoutDefaultMs,
  rebalanceTimeoutMs = rebalanceTimeoutDefaultMs,
}: GroupMemberOptions): GroupTimeouts {
  return { joinTimeoutMs: rebalanceTimeoutMs, heartbeatTimeoutMs: Math.ceil(sessionTimeoutMs / heartbeatsPerSession) }
}

/**
 * Beats at least this often, however long the session timeout is: a member learns of a rebalance with its next beat, and until the last one has,
 * the others wait.
 */
const heartbeatMaxMs = 500

/** While partitions are with nobody: the next rebalance begins as soon as those who had them have given them up. */
const heartbeatSoonMs = 100

/** The longest wait for the answer to a leave request: the broker expels a silent member anyway. */
const leaveTimeoutMs = 3_000

/** What a join has brought. */
interface Generation {
  readonly member: GroupMetadata
  readonly partitions: readonly TopicPartition[]
  readonly group: GroupAssignment
  /** False when another rebalance is to follow at once. */
  readonly isComplete: boolean
}

/** A round of joining that has brought no generation: another one is needed, and what we had may be gone. */
type Failed = 'again' | 'lost'

/**
 * A member of a group by the classic protocol.
 *
 *     join ─▶ joining ─▶ assigned ──heartbeat: rebalance──▶ revoking ─▶ joining
 *                │         │ ▲ heartbeats all the time, also while handlers run
 *                │         └─┴──heartbeat: expelled──▶ lost ─▶ joining
 *                └──answer: expelled──▶ lost ─▶ joining
 *
 * Eager: everything is revoked before joining, then everything assigned anew, and the division leaves partitions where they were as far as it
 * can. Cooperative: nothing is revoked before joining; afterwards, what the division has taken away, and then the member joins once more
 * so that others get it.
 *
 * While the coordinator cannot be reached, a member keeps its partitions and goes on trying without end, as only the coordinator can tell
 * whether they are still its own; commits are refused if they are not.
 */
export class KafkaGroupMember implements GroupMember {
  readonly failed: Promise<Error>
  readonly #cluster: Cluster
  readonly #coordinator: GroupCoordinator
  readonly #options: GroupMemberOptions
  readonly #logger: Logger
  readonly #isCooperative: boolean
  /** The name that all members of a group must agree on. */
  readonly #protocol: string
  readonly #sessionTimeoutMs: number
  readonly #rebalanceTimeoutMs: number
  readonly #leader: GroupLeader
  readonly #gate: GenerationGate
  readonly #fail: (error: Error) => void
  #topics: readonly string[] = []
  #listener: GroupListener | undefined
  #memberId = ''
  #metadata: GroupMetadata | undefined
  /** What the listener was told and not told to give up. */
  #owned: readonly TopicPartition[] = []
  /** What we had in the last generation, for the leader to leave it with us. */
  #claimed: readonly TopicPartition[] = []
  #standbys: readonly number[] = []
  #wantsRejoin = false
  #heartbeat: Heartbeat | undefined
  #closing: Promise<void> | undefined

  constructor(cluster: Cluster, options: GroupMemberOptions) {
    const {
      groupId,
      assignment: strategy = 'spread',
      rebalance = 'eager',
      standbys = 0,
      logger = silentLogger,
    } = options
    if (standbys > 0 && strategy !== 'same-number')
      throw new StreamsError(
        'INVALID_CONFIG',
        "standbys: only with assignment 'same-number', as state belongs to partition numbers",
      )
    this.#cluster = cluster
    this.#options = options
    this.#logger = logger
    this.#coordinator = new GroupCoordinator(cluster, groupId)
    this.#isCooperative = rebalance === 'cooperative'
    this.#protocol = this.#isCooperative ? `millrace-cooperative-${strategy}` : `millrace-${strategy}`
    this.#sessionTimeoutMs = options.sessionTimeoutMs ?? sessionTimeoutDefaultMs
    const rebalanceTimeoutMs = options.rebalanceTimeoutMs ?? rebalanceTimeoutDefaultMs
    this.#rebalanceTimeoutMs = rebalanceTimeoutMs
    this.#leader = new GroupLeader({ cluster, groupId, strategy, rebalance, standbys, rebalanceTimeoutMs, logger })
    this.#gate = new GenerationGate({
      joinWaitMsMax: rebalanceTimeoutMs,
      commitWaitMsMax: kafkaLimits.commitBeforeJoinMsMax,
    })
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

  get isJoining(): boolean {
    return this.#gate.isJoining
  }

  inGeneration<T>(commit: (group: GroupMetadata) => Promise<T>): Promise<T> {
    return this.#gate.commit(async () => {
      if (this.#metadata === undefined) throw new StreamsError('REBALANCED', 'this member is not in its group yet')
      return commit(this.#metadata)
    })
  }

  committed(partitions: readonly TopicPartition[]): Promise<ReadonlyMap<string, CommittedOffset>> {
    return this.#coordinator.committed(partitions)
  }

  async commit(offsets: readonly (TopicPartition & CommittedOffset)[]): Promise<void> {
    if (this.#closing !== undefined) throw new StreamsError('CLOSED', 'the group member is closed')
    if (this.#metadata === undefined) throw new StreamsError('INVALID_STATE', 'only a joined member commits offsets')
    if (offsets.length > 0) await this.inGeneration((member) => this.#coordinator.commit(member, offsets))
  }

  rejoin(): void {
    this.#wantsRejoin = true
    this.#heartbeat?.endGeneration()
  }

  close({ leave = this.#options.groupInstanceId === undefined }: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(leave)
    return this.#closing
  }

  async #close(leave: boolean): Promise<void> {
    this.#gate.bar()
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
        const generation = await this.#joinGroup(listener, generations === 0)
        await this.#live(generation, listener, onFirst)
      }
    } catch (error) {
      this.#gate.bar()
      if (this.#closing === undefined && hasCode(error, 'FENCED')) await this.#lose(listener)
      if (this.#closing === undefined && this.#options.groupInstanceId === undefined) await this.#sayGoodbye()
      throw error
    }
  }

  /** One generation, from its assignment to its end, with the handlers that belong to it. Throws when there cannot be another one. */
  async #live(generation: Generation, listener: GroupListener, onAssigned: () => void): Promise<void> {
    const heartbeat = new Heartbeat({
      coordinator: this.#coordinator,
      member: generation.member,
      intervalMs: generation.isComplete
        ? Math.min(heartbeatMaxMs, this.#sessionTimeoutMs / heartbeatsPerSession)
        : heartbeatSoonMs,
      signal: this.#cluster.signal,
      random: this.#cluster.random,
      wantsRebalance: () => this.#leader.wantsRebalance(),
    })
    this.#heartbeat = heartbeat
    try {
      const hasGivenUp = await this.#handOver(generation, listener)
      onAssigned()
      if (hasGivenUp || this.#wantsRejoin) heartbeat.endGeneration()
      const ending = await heartbeat.ending
      if (this.#closing !== undefined) throw new StreamsError('CLOSED', 'the group member is closed')
      if (ending.kind === 'rebalance') await this.#prepareToJoin(listener)
      await this.#end(heartbeat.loss ?? ending, listener)
    } finally {
      heartbeat.stop()
    }
  }

  /** Tells the listener what is new and what is not ours any more; true when something is not. */
  async #handOver({ partitions, group }: Generation, listener: GroupListener): Promise<boolean> {
    const revoked = partitionsWithout(this.#owned, partitions)
    const added = partitionsWithout(partitions, this.#owned)
    this.#claimed = partitions
    if (revoked.length > 0) await listener.onRevoked(revoked)
    this.#owned = partitions
    await listener.onAssigned(added, group)
    return revoked.length > 0
  }

  /** Eager: everything goes back. Cooperative: commits under way come to their ends, and others wait until the join is done. */
  async #prepareToJoin(listener: GroupListener): Promise<void> {
    if (this.#isCooperative) return this.#gate.close()
    const revoked = this.#owned
    if (revoked.length > 0) await listener.onRevoked(revoked)
    this.#owned = []
  }

  async #end(ending: Ending, listener: GroupListener): Promise<void> {
    if (ending.kind === 'fatal') throw ending.error
    if (ending.kind === 'rebalance') return
    if (!ending.isMember) this.#memberId = ''
    await this.#lose(listener)
  }

  /** What we had is somebody else's now. */
  async #lose(listener: GroupListener): Promise<void> {
    this.#gate.bar()
    const lost = this.#owned
    this.#owned = []
    this.#claimed = []
    if (lost.length > 0) await listener.onLost(lost)
  }

  /** Joins until there is an assignment. The first time it gives up when no coordinator can be reached for the operation deadline. */
  async #joinGroup(listener: GroupListener, isFirst: boolean): Promise<Generation> {
    const startMs = performance.now()
    for (let failures = 0; ; failures++) {
      // One that has said goodbye must not come in again: the others would wait for its session to time out.
      if (this.#closing !== undefined) throw new StreamsError('CLOSED', 'the group member is closed')
      try {
        const outcome = await this.#joinOnce()
        if (outcome === 'lost') await this.#lose(listener)
        else if (outcome !== 'again') return outcome
      } catch (error) {
        const waitedMs = performance.now() - startMs
        if (!this.#mayPass(error) || (isFirst && waitedMs > this.#firstJoinMsMax(error))) throw error
        if (failures === 0 && hasCode(error, 'INVALID_CONFIG'))
          this.#logger.warn({ err: error }, 'waiting for the sessions of members that may be gone already')
      }
      await pause(backoffMs(failures, this.#cluster.random), this.#cluster.signal)
    }
  }

  #mayPass(error: unknown): boolean {
    const isFresh = this.#metadata === undefined
    return hasCode(error, 'BROKER_UNAVAILABLE') || (isFresh && hasCode(error, 'INVALID_CONFIG'))
  }

  /** Members of a killed process, perhaps with another protocol, are in the group until their sessions time out. */
  #firstJoinMsMax(error: unknown): number {
    return hasCode(error, 'INVALID_CONFIG') ? 2 * this.#sessionTimeoutMs : kafkaLimits.operationDeadlineMs
  }

  /** One round of joining. */
  async #joinOnce(): Promise<Generation | Failed> {
    const { groupId, groupInstanceId = null } = this.#options
    this.#wantsRejoin = false
    const report = this.#report()
    const joined = await this.#coordinator.join({
      memberId: this.#memberId,
      groupInstanceId,
      sessionTimeoutMs: this.#sessionTimeoutMs,
      rebalanceTimeoutMs: this.#rebalanceTimeoutMs,
      strategy: this.#protocol,
      subscription: encodeSubscription({
        topics: this.#topics,
        owned: this.#claimed,
        generationId: this.#metadata?.generationId ?? -1,
        userData: encodeReport(report),
      }),
    })
    if (joined.errorCode === errorCode.memberIdRequired) {
      this.#memberId = joined.memberId
      return this.#joinOnce()
    }
    const refused = this.#failureOf(joined.errorCode)
    if (refused !== undefined) return refused
    this.#memberId = joined.memberId
    const member = { groupId, generationId: joined.generationId, memberId: joined.memberId, groupInstanceId }
    this.#leader.resign()
    const mustDivide = joined.isLeader && !joined.skipAssignment
    const assignments = mustDivide ? await this.#leader.divide(joined) : new Map<string, Buffer>()
    const synced = await this.#coordinator.sync(member, this.#protocol, assignments)
    const unsynced = this.#failureOf(synced.errorCode)
    if (unsynced !== undefined) return unsynced
    if (joined.isLeader && joined.skipAssignment) await this.#leader.takeOver(joined, synced.assignment)
    return this.#begin({ member, isLeader: joined.isLeader }, synced.assignment, report)
  }

  #begin(
    { member, isLeader }: { readonly member: GroupMetadata; readonly isLeader: boolean },
    assignment: Buffer,
    report: ReportData,
  ): Generation {
    const { partitions, userData } = decodeAssignment(assignment)
    const { isComplete, standbys, view } =
      userData === null ? { isComplete: true, standbys: [], view: undefined } : decodeDivision(userData)
    const { memberId, groupInstanceId, generationId } = member
    const alone = { memberId, groupInstanceId, endpoint: report.endpoint, partitions, standbys }
    const former = view?.members.find((one) => groupInstanceId !== null && one.groupInstanceId === groupInstanceId)
    // A static member that came back: the division was made for the process before, which may have gone in the midst of handing over.
    if (former !== undefined && former.memberId !== memberId)
      this.#wantsRejoin ||= !isComplete || former.endpoint !== report.endpoint
    if (isLeader) this.#leader.lead(isComplete)
    this.#metadata = member
    this.#standbys = standbys
    this.#gate.open()
    return { member, partitions, group: { view: view ?? { generationId, members: [alone] }, standbys }, isComplete }
  }

  #report(): ReportData {
    const report = this.#options.report?.()
    if (report === undefined) return { endpoint: null, warm: undefined, standbys: this.#standbys }
    const nearest = report.warm.toSorted((one, other) => one.lag - other.lag).slice(0, kafkaLimits.reportedNumbersMax)
    const warm = new Map(nearest.map(({ number, lag }) => [number, lag]))
    return { endpoint: report.endpoint, warm, standbys: this.#standbys }
  }

  /** Undefined for an answer without an error; throws on one that no further round can mend. */
  #failureOf(code: number): Failed | undefined {
    if (code === errorCode.none) return undefined
    if (isPassing(code) || code === errorCode.rebalanceInProgress) return 'again'
    if (code === errorCode.unknownMemberId) this.#memberId = ''
    if (code === errorCode.unknownMemberId || code === errorCode.illegalGeneration) return 'lost'
    if (code === errorCode.inconsistentGroupProtocol) throw this.#mixedProtocols()
    throw membershipRefusal(code, this.#options.groupId)
  }

  #mixedProtocols(): StreamsError {
    return new StreamsError(
      'INVALID_CONFIG',
      `the members of group ${this.#options.groupId} divide it by another protocol than ${this.#protocol}: all must have the same \`rebalance\` and \`assignment\`; stop all of them, then start them anew`,
    )
  }
}
