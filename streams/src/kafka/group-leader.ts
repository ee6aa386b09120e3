import { setTimeout } from 'node:timers/promises'
import type { GroupView } from '../core/broker.ts'
import { type DivisionOptions, divideGroup, type Subscriber } from '../core/group-assignment.ts'
import type { Logger } from '../core/logger.ts'
import type { Cluster } from './cluster.ts'
import type { Joined } from './group-coordinator.ts'
import { decodeAssignment, decodeSubscription, encodeAssignment } from './group-protocol.ts'
import { decodeDivision, decodeReport, encodeDivision, encodeView } from './group-user-data.ts'
import { kafkaLimits } from './limits.ts'

/** How a leader leads. */
export interface GroupLeaderOptions extends Pick<DivisionOptions, 'strategy' | 'rebalance' | 'standbys'> {
  /** Brings topics as the cluster has them now. */
  readonly cluster: Pick<Cluster, 'refresh'>
  readonly groupId: string
  /** How long members may take to give up what was taken from them, before the leader has the group join again. */
  readonly rebalanceTimeoutMs: number
  readonly logger: Logger
}

/** What the leader of a group does: dividing it, and seeing to it that it is divided anew when that is needed. */
export class GroupLeader {
  readonly #options: GroupLeaderOptions
  /** The partitions of each topic by the division that this member leads; undefined while another one leads. */
  #counts: ReadonlyMap<string, number> | undefined
  #countedMs = 0
  /** When partitions were left with nobody, until those who had them have joined again. */
  #incompleteSinceMs: number | undefined

  constructor(options: GroupLeaderOptions) {
    this.#options = options
  }

  /** Another generation begins, which this member may lead or not. */
  resign(): void {
    this.#counts = undefined
    this.#incompleteSinceMs = undefined
  }

  /** This member leads a division, which it has made or, as a static member that came back, found. */
  lead(isComplete: boolean): void {
    this.#incompleteSinceMs = isComplete ? undefined : performance.now()
  }

  /** Who gets what, as bytes by member id. */
  async divide({ generationId, members }: Joined): Promise<ReadonlyMap<string, Buffer>> {
    const joined = members.map((member) => joinedMember(member))
    const counts = await this.#countPartitions([...new Set(joined.flatMap(({ subscriber }) => subscriber.topics))])
    this.#counts = counts
    const subscribers = joined.map(({ subscriber }) => subscriber)
    const divided = divideGroup({ ...this.#options, subscribers, partitionCounts: counts })
    const shares = joined.map(({ subscriber: { memberId, groupInstanceId }, endpoint }) => ({
      memberId,
      groupInstanceId,
      endpoint,
      ...(divided.members.get(memberId) ?? { partitions: [], standbys: [] }),
    }))
    const view = this.#viewWithin({ generationId, members: shares })
    return new Map(
      shares.map(({ memberId, partitions, standbys }) => {
        const userData = encodeDivision(divided.isComplete, standbys, view)
        return [memberId, encodeAssignment({ partitions, userData })] as const
      }),
    )
  }

  /**
   * This member came back as the static leader of a division that stays: what it was made for is in the division itself. Topics that have grown
   * meanwhile are noticed with the first look. Of a group so large that its division says nothing of the others, the present counts.
   */
  async takeOver({ members }: Joined, assignment: Buffer): Promise<void> {
    const { userData } = decodeAssignment(assignment)
    const { isComplete, view } = userData === null ? { isComplete: true, view: undefined } : decodeDivision(userData)
    // With nobody in part: the group joins again anyway.
    if (!isComplete) return
    const topics = [...new Set(members.flatMap(({ subscription }) => decodeSubscription(subscription).topics))]
    if (view === undefined || view.members.length === 0) {
      this.#counts = await this.#countPartitions(topics)
      return
    }
    const counts = new Map(topics.map((topic) => [topic, 0]))
    for (const { partitions } of view.members)
      for (const { topic } of partitions) counts.set(topic, (counts.get(topic) ?? 0) + 1)
    this.#counts = counts
    this.#countedMs = Number.NEGATIVE_INFINITY
  }

  /** True when topics have other partitions than when they were divided, or when partitions are with nobody for too long. Asked again and again. */
  async wantsRebalance(): Promise<boolean> {
    const nowMs = performance.now()
    const sinceMs = this.#incompleteSinceMs
    if (sinceMs !== undefined && nowMs - sinceMs > this.#options.rebalanceTimeoutMs) return true
    const counts = this.#counts
    if (counts === undefined || nowMs - this.#countedMs < kafkaLimits.partitionCheckMs) return false
    const now = await this.#countPartitions([...counts.keys()])
    return [...now].some(([topic, count]) => count !== counts.get(topic))
  }

  /** The broker keeps the assignments of all members in one record, and each holds the view: above the bound it is left out. */
  #viewWithin(view: GroupView): Buffer {
    const bytes = encodeView(view)
    const { groupId, logger } = this.#options
    if (bytes.length * view.members.length <= kafkaLimits.groupViewBytesMax) return bytes
    logger.warn(
      {
        group: groupId,
        members: view.members.length,
        view_bytes: bytes.length,
        bytes_max: kafkaLimits.groupViewBytesMax,
      },
      'the group is too large for its members to know each other: nobody can be asked for the rows of another',
    )
    return encodeView({ generationId: view.generationId, members: [] })
  }

  /**
   * Brokers learn of topics one after the other, and one that has just started knows none: a topic that is unknown is asked for again, before it
   * counts as gone and all members lose its partitions.
   */
  async #countPartitions(topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const startMs = performance.now()
    let found = await this.#options.cluster.refresh(topics)
    while (topics.some((topic) => !found.has(topic)) && performance.now() - startMs < kafkaLimits.topicMissingAfterMs) {
      await setTimeout(kafkaLimits.backoffMinMs)
      found = await this.#options.cluster.refresh(topics)
    }
    this.#countedMs = performance.now()
    return new Map(topics.map((topic) => [topic, found.get(topic)?.partitions.length ?? 0]))
  }
}

function joinedMember({ memberId, groupInstanceId, subscription }: Joined['members'][number]): {
  readonly subscriber: Subscriber
  readonly endpoint: string | null
} {
  const { topics, owned, generationId: ownedGeneration, userData } = decodeSubscription(subscription)
  const { endpoint, warm, standbys } =
    userData === null ? { endpoint: null, warm: undefined, standbys: [] } : decodeReport(userData)
  return { subscriber: { memberId, groupInstanceId, topics, owned, ownedGeneration, warm, standbys }, endpoint }
}
