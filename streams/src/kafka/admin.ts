import { createTopicsV7, deleteRecordsV2, deleteTopicsV6, describeConfigsV4, listOffsetsV7 } from '@platformatic/kafka'
import {
  type Admin,
  type ListedOffset,
  type NewTopic,
  partitionKey,
  type TopicDescription,
  type TopicPartition,
} from '../core/broker.ts'
import { StreamsError } from '../core/errors.ts'
import type { Cluster } from './cluster.ts'
import { kafkaLimits } from './limits.ts'
import { errorCode, isPassing, refusal, requireNone, responseOf } from './protocol-error.ts'

const topicResource = 2

/** Which offset to list: the timestamp that stands for it, and the isolation level. */
const listedOffsets = {
  earliest: { timestamp: -2n, isolation: 0 },
  latest: { timestamp: -1n, isolation: 0 },
  latestCommitted: { timestamp: -1n, isolation: 1 },
} as const

/** Topic administration over the wire. Every operation retries while brokers are unavailable, for at most 30 s. */
export class KafkaAdmin implements Admin {
  readonly #cluster: Cluster

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  async createTopics(topics: readonly NewTopic[]): Promise<readonly string[]> {
    if (topics.length === 0) return []
    const created = new Set<string>()
    await this.#cluster.retrying('creating topics', () => this.#create(topics, created))
    await this.#awaitEverywhere(topics)
    return topics.map(({ name }) => name).filter((name) => created.has(name))
  }

  async describeTopics(names: readonly string[]): Promise<ReadonlyMap<string, TopicDescription>> {
    if (names.length === 0) return new Map()
    return this.#cluster.retrying('describing topics', async () => {
      const found = await this.#cluster.refresh(names)
      const configs = await this.#configs([...found.keys()])
      return new Map(
        [...found].map(([name, { partitions }]) => [
          name,
          { name, partitions: partitions.length, config: configs.get(name) ?? new Map() },
        ]),
      )
    })
  }

  async listOffsets(partitions: readonly TopicPartition[], at: ListedOffset): Promise<ReadonlyMap<string, number>> {
    const topics = [...new Set(partitions.map(({ topic }) => topic))]
    const found = new Map<string, number>()
    let stale = false
    await this.#cluster.retrying('listing offsets', async () => {
      if (stale) await this.#cluster.refresh(topics)
      stale = true
      for (const topic of topics) await this.#cluster.require(topic)
      const missing = partitions.filter((partition) => !found.has(partitionKey(partition)))
      for (const [leader, led] of this.#byLeader(missing)) await this.#listAt(leader, led, at, found)
    })
    return found
  }

  async deleteTopics(names: readonly string[]): Promise<void> {
    if (names.length === 0) return
    await this.#cluster.retrying('deleting topics', async () => {
      const connection = await this.#cluster.any()
      const call = deleteTopicsV6.api.async(
        connection,
        names.map((name) => ({ name })),
        kafkaLimits.requestTimeoutMs,
      )
      for (const { name, errorCode: code } of (await responseOf(call, 'deleting topics')).responses) {
        if (code !== errorCode.unknownTopicOrPartition) requireNone(code, `deleting topic ${name}`)
      }
    })
    await this.#cluster.retrying('waiting until the topics are gone', async () => {
      const left = await this.#cluster.refresh(names)
      if (left.size > 0) throw new StreamsError('BROKER_UNAVAILABLE', `${[...left.keys()].join(', ')} still there`)
    })
  }

  async deleteRecords(before: readonly (TopicPartition & { readonly offset: number })[]): Promise<void> {
    if (before.length === 0) return
    const topics = [...new Set(before.map(({ topic }) => topic))]
    const done = new Set<string>()
    let stale = false
    await this.#cluster.retrying('deleting records', async () => {
      if (stale) await this.#cluster.refresh(topics)
      stale = true
      for (const topic of topics) await this.#cluster.require(topic)
      const left = before.filter((partition) => !done.has(partitionKey(partition)))
      for (const [leader, led] of this.#byLeader(left)) await this.#deleteAt(leader, led, done)
    })
  }

  close(): Promise<void> {
    return this.#cluster.close()
  }

  async #create(topics: readonly NewTopic[], created: Set<string>): Promise<void> {
    const requested = topics.map(({ name, partitions, replicationFactor, config }) => ({
      name,
      numPartitions: partitions,
      replicationFactor,
      assignments: [],
      configs: Object.entries(config).map(([key, value]) => ({ name: key, value })),
    }))
    const call = createTopicsV7.api.async(await this.#cluster.any(), requested, kafkaLimits.requestTimeoutMs, false)
    for (const { name, errorCode: code, errorMessage } of (await responseOf(call, 'creating topics')).topics) {
      if (code === errorCode.none) created.add(name)
      else if (code !== errorCode.topicAlreadyExists)
        throw refusal(code, `creating topic ${name} (${errorMessage ?? 'no detail'})`, { topic: name })
    }
  }

  /** Every broker must know the topics and their leaders, or the next request may go to one that does not. */
  async #awaitEverywhere(topics: readonly NewTopic[]): Promise<void> {
    const names = topics.map(({ name }) => name)
    await this.#cluster.retrying('waiting for the topics to be known', async () => {
      await this.#cluster.refresh(names)
      for (const nodeId of this.#cluster.brokerIds()) {
        const known = await this.#cluster.metadata(await this.#cluster.connection(nodeId, 'control'), names)
        const ready = known.topics.filter(
          ({ errorCode: code, partitions }) =>
            code === errorCode.none && partitions.every(({ leaderId }) => leaderId >= 0),
        )
        if (ready.length < names.length)
          throw new StreamsError('BROKER_UNAVAILABLE', `broker ${nodeId} does not know all of ${names.join(', ')} yet`)
      }
      await this.#cluster.refresh(names)
    })
  }

  async #configs(names: readonly string[]): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
    if (names.length === 0) return new Map()
    const resources = names.map(
      (resourceName) => ({ resourceType: topicResource, resourceName, configurationKeys: null }) as const,
    )
    const call = describeConfigsV4.api.async(await this.#cluster.any(), resources, false, false)
    const configs = new Map<string, ReadonlyMap<string, string>>()
    for (const { resourceName, errorCode: code, configs: entries } of (await responseOf(call, 'describing topics'))
      .results) {
      if (code === errorCode.unknownTopicOrPartition) continue
      requireNone(code, `describing topic ${resourceName}`, { topic: resourceName })
      const known = new Map<string, string>()
      for (const { name, value } of entries) if (value != null) known.set(name, value)
      configs.set(resourceName, known)
    }
    return configs
  }

  #byLeader<P extends TopicPartition>(partitions: readonly P[]): ReadonlyMap<number, readonly P[]> {
    const led = new Map<number, P[]>()
    for (const partition of partitions) {
      const known = this.#cluster.known(partition.topic)
      if (known !== undefined && partition.partition >= known.partitions.length) {
        throw new StreamsError(
          'TOPIC_MISSING',
          `topic ${partition.topic} has ${known.partitions.length} partitions, not number ${partition.partition}`,
          partition,
        )
      }
      const leader = this.#cluster.leaderOf(partition)
      if (leader === undefined)
        throw new StreamsError('BROKER_UNAVAILABLE', `${partitionKey(partition)} has no leader`, partition)
      led.set(leader, [...(led.get(leader) ?? []), partition])
    }
    return led
  }

  async #listAt(
    leader: number,
    partitions: readonly TopicPartition[],
    at: ListedOffset,
    found: Map<string, number>,
  ): Promise<void> {
    const { timestamp, isolation } =
      typeof at === 'string' ? listedOffsets[at] : { timestamp: BigInt(at.timeMs), isolation: 0 }
    const topics = [...new Set(partitions.map(({ topic }) => topic))].map((name) => ({
      name,
      partitions: partitions
        .filter(({ topic }) => topic === name)
        .map(({ partition }) => ({ partitionIndex: partition, currentLeaderEpoch: -1, timestamp })),
    }))
    const call = listOffsetsV7.api.async(await this.#cluster.connection(leader, 'control'), -1, isolation, topics)
    const response = await responseOf(call, 'listing offsets')
    let failed: number = errorCode.none
    for (const { name, partitions: listed } of response.topics) {
      for (const { partitionIndex, errorCode: code, offset } of listed) {
        const of = { topic: name, partition: partitionIndex }
        // −1: no record is as young as that.
        if (code === errorCode.none && offset >= 0n) found.set(partitionKey(of), Number(offset))
        else if (code === errorCode.none) continue
        else if (isPassing(code)) failed = code
        else throw refusal(code, `listing offsets of ${partitionKey(of)}`, of)
      }
    }
    requireNone(failed, 'listing offsets')
  }

  async #deleteAt(
    leader: number,
    before: readonly (TopicPartition & { readonly offset: number })[],
    done: Set<string>,
  ): Promise<void> {
    const topics = [...new Set(before.map(({ topic }) => topic))].map((name) => ({
      name,
      partitions: before
        .filter(({ topic }) => topic === name)
        .map(({ partition, offset }) => ({ partitionIndex: partition, offset: BigInt(offset) })),
    }))
    const connection = await this.#cluster.connection(leader, 'control')
    const call = deleteRecordsV2.api.async(connection, topics, kafkaLimits.requestTimeoutMs)
    let failed: number = errorCode.none
    for (const { name, partitions } of (await responseOf(call, 'deleting records')).topics) {
      for (const { partitionIndex, errorCode: code } of partitions) {
        const of = { topic: name, partition: partitionIndex }
        if (code === errorCode.none) done.add(partitionKey(of))
        else if (isPassing(code)) failed = code
        else throw refusal(code, `deleting records of ${partitionKey(of)}`, of)
      }
    }
    requireNone(failed, 'deleting records')
  }
}
