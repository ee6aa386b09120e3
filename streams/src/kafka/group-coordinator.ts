import {
  type Connection,
  heartbeatV4,
  joinGroupV9,
  leaveGroupV5,
  offsetCommitV8,
  offsetFetchV8,
  syncGroupV5,
} from '@platformatic/kafka'
import { type CommittedOffset, type GroupMetadata, partitionKey, type TopicPartition } from '../core/broker.ts'
import { StreamsError } from '../core/errors.ts'
import type { Cluster, ConnectionPurpose } from './cluster.ts'
import { kafkaLimits } from './limits.ts'
import { offsetTopics } from './offset-topics.ts'
import { errorCode, isPassing, refusal, requireNone, responseOf } from './protocol-error.ts'
import { pause } from './retry.ts'

/** Kafka's tools show subscriptions and assignments of groups of this type. */
const protocolType = 'consumer'

/** What joining asks for. */
export interface JoinRequest {
  /** '' for a member that is new. */
  readonly memberId: string
  readonly groupInstanceId: string | null
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly strategy: string
  readonly subscription: Buffer
}

/** What joining brings. The leader gets everybody's subscription. */
export interface Joined {
  readonly errorCode: number
  readonly generationId: number
  readonly memberId: string
  readonly isLeader: boolean
  /** True for a static leader that came back: the group keeps its assignment. */
  readonly skipAssignment: boolean
  readonly members: readonly {
    readonly memberId: string
    readonly groupInstanceId: string | null
    readonly subscription: Buffer
  }[]
}

/**
 * The requests of one group to its coordinator. Without an answer they throw `BROKER_UNAVAILABLE` and look for the coordinator anew the next
 * time; answers with an error code are returned where the membership decides by them.
 */
export class GroupCoordinator {
  readonly #cluster: Cluster
  readonly #groupId: string
  #nodeId: number | undefined

  constructor(cluster: Cluster, groupId: string) {
    this.#cluster = cluster
    this.#groupId = groupId
  }

  /** Waits at the broker until all members have joined, for at most the rebalance timeout. */
  async join(request: JoinRequest): Promise<Joined> {
    const { memberId, groupInstanceId, sessionTimeoutMs, rebalanceTimeoutMs, strategy, subscription } = request
    const protocols = [{ name: strategy, metadata: subscription }]
    const response = await this.#call('join', `joining group ${this.#groupId}`, (connection) =>
      joinGroupV9.api.async(
        connection,
        this.#groupId,
        sessionTimeoutMs,
        rebalanceTimeoutMs,
        memberId,
        groupInstanceId,
        protocolType,
        protocols,
      ),
    )
    return {
      errorCode: this.#noted(response.errorCode),
      generationId: response.generationId,
      memberId: response.memberId,
      isLeader: response.memberId === response.leader,
      skipAssignment: response.skipAssignment,
      members: response.members.map((member) => ({
        memberId: member.memberId,
        groupInstanceId: member.groupInstanceId ?? null,
        subscription: member.metadata,
      })),
    }
  }

  /** Waits at the broker for the leader's assignment; the leader brings it. */
  async sync(
    member: GroupMetadata,
    strategy: string,
    assignments: ReadonlyMap<string, Buffer>,
  ): Promise<{ readonly errorCode: number; readonly assignment: Buffer }> {
    const entries = [...assignments].map(([memberId, assignment]) => ({ memberId, assignment }))
    const response = await this.#call('join', `getting the assignment of group ${this.#groupId}`, (connection) =>
      syncGroupV5.api.async(
        connection,
        this.#groupId,
        member.generationId,
        member.memberId,
        member.groupInstanceId,
        protocolType,
        strategy,
        entries,
      ),
    )
    return { errorCode: this.#noted(response.errorCode), assignment: response.assignment }
  }

  /** Returns the answer's error code. One that does not come in time says that the coordinator is gone, while there is time to find another one. */
  async heartbeat(member: GroupMetadata): Promise<number> {
    const response = await this.#call('heartbeat', `heartbeat of group ${this.#groupId}`, (connection) =>
      heartbeatV4.api.async(connection, this.#groupId, member.generationId, member.memberId, member.groupInstanceId),
    )
    return this.#noted(response.errorCode)
  }

  /** Takes a member out; one that is out already, or was replaced, does not matter. */
  async leave(memberId: string, groupInstanceId: string | null): Promise<void> {
    const members = [{ memberId, groupInstanceId, reason: 'closed' }]
    const response = await this.#call('control', `leaving group ${this.#groupId}`, (connection) =>
      leaveGroupV5.api.async(connection, this.#groupId, members),
    )
    for (const code of [response.errorCode, ...response.members.map((member) => member.errorCode)]) {
      const isGone = code === errorCode.unknownMemberId || code === errorCode.fencedInstanceId
      if (!isGone) requireNone(this.#noted(code), `leaving group ${this.#groupId}`)
    }
  }

  /** Throws `REBALANCED` when the member or the generation is not the group's. Repeated while the coordinator is away. */
  async commit(member: GroupMetadata, offsets: readonly (TopicPartition & CommittedOffset)[]): Promise<void> {
    const what = `committing offsets of group ${this.#groupId}`
    await this.#cluster.retrying(what, async () => {
      const response = await this.#call('control', what, (connection) =>
        offsetCommitV8.api.async(
          connection,
          this.#groupId,
          member.generationId,
          member.memberId,
          member.groupInstanceId,
          offsetTopics(offsets),
        ),
      )
      for (const { name, partitions } of response.topics) {
        for (const { partitionIndex, errorCode: code } of partitions) {
          requireNone(this.#noted(code), `${what} at ${name}-${partitionIndex}`, {
            topic: name,
            partition: partitionIndex,
          })
        }
      }
    })
  }

  /** Committed offsets; waits while some are in a transaction that is not ended. Throws `TIMED_OUT` when that takes too long. */
  async committed(partitions: readonly TopicPartition[]): Promise<ReadonlyMap<string, CommittedOffset>> {
    const what = `reading committed offsets of group ${this.#groupId}`
    const deadlineMs = performance.now() + kafkaLimits.stableOffsetsWaitMs
    for (;;) {
      const found = await this.#cluster.retrying(what, () => this.#fetchOffsets(partitions, what))
      if (found !== undefined) return found
      if (performance.now() > deadlineMs)
        throw new StreamsError(
          'TIMED_OUT',
          `${what}: a transaction on them has not ended within ${kafkaLimits.stableOffsetsWaitMs} ms`,
        )
      await pause(kafkaLimits.backoffMinMs, this.#cluster.signal)
    }
  }

  /** Undefined while a transaction on them is open. */
  async #fetchOffsets(
    partitions: readonly TopicPartition[],
    what: string,
  ): Promise<ReadonlyMap<string, CommittedOffset> | undefined> {
    const topics = [...new Set(partitions.map(({ topic }) => topic))].map((name) => ({
      name,
      partitionIndexes: partitions.filter(({ topic }) => topic === name).map(({ partition }) => partition),
    }))
    const response = await this.#call('control', what, (connection) =>
      offsetFetchV8.api.async(connection, [{ groupId: this.#groupId, memberEpoch: -1, topics }], true),
    )
    const found = new Map<string, CommittedOffset>()
    for (const group of response.groups) {
      requireNone(this.#noted(group.errorCode), what)
      for (const { name, partitions: fetched } of group.topics) {
        for (const { partitionIndex, errorCode: code, committedOffset, metadata } of fetched) {
          if (code === errorCode.unstableOffsetCommit) return undefined
          requireNone(code, what, { topic: name, partition: partitionIndex })
          const key = partitionKey({ topic: name, partition: partitionIndex })
          if (committedOffset >= 0n) found.set(key, { offset: Number(committedOffset), metadata: metadata ?? '' })
        }
      }
    }
    return found
  }

  async #call<Response>(
    purpose: ConnectionPurpose,
    what: string,
    request: (connection: Connection) => Promise<Response>,
  ): Promise<Response> {
    this.#nodeId ??= await this.#cluster.findCoordinator('group', this.#groupId)
    const nodeId = this.#nodeId
    try {
      return await responseOf(request(await this.#cluster.connection(nodeId, purpose)), what)
    } catch (error) {
      this.#cluster.avoid(nodeId)
      this.#nodeId = undefined
      throw error
    }
  }

  /** An answer that the coordinator is elsewhere is remembered by forgetting it. */
  #noted(code: number): number {
    if (isPassing(code)) this.#nodeId = undefined
    return code
  }
}

/** The error of an answer that no retry can mend. */
export function membershipRefusal(code: number, groupId: string): StreamsError {
  if (code === errorCode.fencedInstanceId) {
    return new StreamsError('FENCED', `another member of group ${groupId} has the same group instance id`, {
      cause: refusal(code, 'membership'),
    })
  }
  return refusal(code, `membership in group ${groupId}`)
}
