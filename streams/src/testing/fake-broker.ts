import {
  type Admin,
  type Broker,
  type Fetcher,
  type FetcherOptions,
  type GroupMember,
  type GroupMemberOptions,
  type ListedOffset,
  type NewTopic,
  type Producer,
  type ProducerOptions,
  partitionKey,
  type TopicDescription,
  type TopicPartition,
  type TransactionalProducer,
  type TransactionalProducerOptions,
} from '../core/broker.ts'
import { type Clock, systemClock } from '../core/clock.ts'
import { StreamsError } from '../core/errors.ts'
import type { OutgoingRecord, RecordHeader } from '../core/record.ts'
import { encodeRecordBatch, soloBatchBytes } from '../core/record-batch.ts'
import { RecordCursor } from '../core/record-cursor.ts'
import { FakeFetcher, type FakeFetcherWorld } from './fake-fetcher.ts'
import { FakeGroup, FakeGroupMember, type FakeGroupWorld } from './fake-group.ts'
import { FakeLog } from './fake-log.ts'
import { FakeProducer, type FakeProducerWorld, FakeTransactionalProducer } from './fake-producer.ts'
import { FakeTransactionalId } from './fake-transactions.ts'
import { FakeWaits } from './fake-waits.ts'

/** The calls that a test can make fail. */
export type FakeOperation = 'poll' | 'send' | 'sendOffsets' | 'commit' | 'abort' | 'groupCommit' | 'committed'

/** How the next call of an operation fails. */
export interface FakeFault {
  readonly error: StreamsError
  /** True when the broker has done what was asked, and only the answer is lost. */
  readonly applied: boolean
}

/** A record as a test looks at it. */
export interface FakeRecord {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
}

/** What a fake broker runs on. */
export interface FakeBrokerOptions {
  /** Without one, waits are real; with one, whoever moves it calls `tick`. */
  readonly clock?: Clock
}

interface FakeTopic {
  readonly logs: readonly FakeLog[]
  readonly config: ReadonlyMap<string, string>
}

/** The broker's default for `max.message.bytes`. */
const messageBytesMax = 1_048_588

/**
 * A `Broker` in memory for unit tests: real record batches, transactions with isolation and markers, fencing by epoch and by generation,
 * groups, offsets with metadata. Passes the same contract suite as the adapter for Kafka. What it does not do: retention, compaction,
 * compression, quotas, session timeouts, network errors other than those asked for with `failNext`.
 */
export class FakeBroker implements Broker {
  readonly #waits: FakeWaits
  readonly #world: FakeWorld
  readonly #topics = new Map<string, FakeTopic>()
  readonly #groups = new Map<string, FakeGroup>()
  readonly #transactionalIds = new Map<string, FakeTransactionalId>()
  readonly #faults = new Map<FakeOperation, FakeFault[]>()

  constructor(options: FakeBrokerOptions = {}) {
    this.#waits = new FakeWaits(options.clock ?? systemClock)
    this.#world = {
      waits: this.#waits,
      nowMs: () => this.#waits.clock.nowMs(),
      log: ({ topic, partition }) => this.#topics.get(topic)?.logs[partition],
      writableLog: (of) => this.#writableLog(of),
      checkSize: (record) => this.#checkSize(record),
      partitionCount: (topic) => this.#topics.get(topic)?.logs.length,
      group: (groupId) => this.#group(groupId),
      transactionalId: (name) => this.#transactionalId(name),
      perform: (operation, action) => this.#perform(operation, action),
    }
  }

  async openFetcher(options: FetcherOptions): Promise<Fetcher> {
    return new FakeFetcher(this.#world, options)
  }

  async openGroupMember(options: GroupMemberOptions): Promise<GroupMember> {
    return new FakeGroupMember(this.#group(options.groupId), options)
  }

  async openProducer(_options: ProducerOptions): Promise<Producer> {
    return new FakeProducer(this.#world)
  }

  async openTransactionalProducer(options: TransactionalProducerOptions): Promise<TransactionalProducer> {
    const producer = new FakeTransactionalProducer(this.#world, options)
    this.#waits.recheck()
    return producer
  }

  async openAdmin(): Promise<Admin> {
    return {
      createTopics: async (topics) => topics.filter((topic) => this.#create(topic)).map(({ name }) => name),
      describeTopics: async (names) => this.#describe(names),
      listOffsets: async (partitions, at) => this.#listOffsets(partitions, at),
      deleteTopics: async (names) => {
        for (const name of names) this.#topics.delete(name)
        this.#waits.recheck()
      },
      deleteRecords: async (before) => {
        for (const { topic, partition, offset } of before) {
          const { startOffset, highWatermark } = this.#writableLog({ topic, partition })
          if (offset > highWatermark) {
            const message = `${topic}-${partition} ends at ${highWatermark}, before ${offset}`
            throw new StreamsError('OFFSET_OUT_OF_RANGE', message, { topic, partition, offset })
          }
          if (offset > startOffset) this.truncateBefore({ topic, partition }, offset)
        }
      },
      close: async () => {},
    }
  }

  /** Creates a topic for a test. */
  createTopic(name: string, partitions: number, config: Readonly<Record<string, string>> = {}): void {
    this.#create({ name, partitions, replicationFactor: 1, config })
  }

  /** Adds partitions to a topic, up to so many. */
  growTopic(name: string, partitions: number): void {
    const topic = this.#topics.get(name)
    if (topic === undefined) throw new StreamsError('TOPIC_MISSING', `topic ${name} does not exist`, { topic: name })
    const added = Array.from({ length: partitions - topic.logs.length }, () => new FakeLog())
    this.#topics.set(name, { ...topic, logs: [...topic.logs, ...added] })
  }

  /** Appends records without a producer object, one batch per run of records of the same partition. */
  append(records: readonly OutgoingRecord[]): void {
    for (const record of records) this.#writableLog(record).append(encodeRecordBatch([record]), 1)
    this.#waits.recheck()
  }

  /** Every record of a topic, by partition and offset; under `committed` without open and aborted transactions. */
  read(topic: string, isolation: 'committed' | 'uncommitted' = 'committed'): readonly FakeRecord[] {
    const found: FakeRecord[] = []
    const cursor = new RecordCursor()
    for (const [partition, log] of (this.#topics.get(topic)?.logs ?? []).entries()) {
      const { bytes, abortedTransactions } = log.slice(log.startOffset, isolation, Number.MAX_SAFE_INTEGER)
      const { highWatermark, lastStableOffset } = log
      cursor.reset({
        topic,
        partition,
        fetchOffset: log.startOffset,
        bytes,
        highWatermark,
        lastStableOffset,
        abortedTransactions,
      })
      while (cursor.next()) found.push(copyRecord(cursor, partition))
    }
    return found
  }

  /** The committed offset of a group with its metadata, as a test looks at it. */
  committedOffset(
    groupId: string,
    partition: TopicPartition,
  ): { readonly offset: number; readonly metadata: string } | undefined {
    return this.#groups.get(groupId)?.offsets.get(partitionKey(partition))
  }

  /** Makes the next call of `operation` fail; several wait in line. */
  failNext(operation: FakeOperation, fault: FakeFault): void {
    this.#faults.set(operation, [...(this.#faults.get(operation) ?? []), fault])
  }

  /** Deletes records before `offset`, as retention does. */
  truncateBefore(of: TopicPartition, offset: number): void {
    this.#writableLog(of).truncateBefore(offset)
    this.#waits.recheck()
  }

  /**
   * Expels a member as if its heartbeats had stopped: the others share its partitions, and it is a zombie that notices nothing until
   * `noticeExpiry`. Resolves after the rebalance.
   */
  async expireMember(groupId: string, memberId: string): Promise<void> {
    const group = this.#group(groupId)
    await group.expel(memberId)
  }

  /** Lets an expelled member learn of it: it loses its partitions and joins anew. */
  async noticeExpiry(groupId: string, memberId: string): Promise<void> {
    await this.#group(groupId).noticeExpiry(memberId)
  }

  /** Ids of the current members of a group. */
  members(groupId: string): readonly string[] {
    return [...(this.#groups.get(groupId)?.members.keys() ?? [])]
  }

  /** Call after moving a manual clock: ends waits that are over and aborts transactions that are open for too long. */
  tick(): void {
    for (const id of this.#transactionalIds.values()) id.expire(this.#waits.clock.nowMs())
    this.#waits.recheck()
  }

  #create(topic: NewTopic): boolean {
    if (this.#topics.has(topic.name)) return false
    if (!Number.isInteger(topic.partitions) || topic.partitions < 1) {
      throw new StreamsError('BROKER_REFUSED', `topic ${topic.name} cannot have ${topic.partitions} partitions`, {
        topic: topic.name,
      })
    }
    const logs = Array.from({ length: topic.partitions }, () => new FakeLog())
    this.#topics.set(topic.name, { logs, config: new Map(Object.entries(topic.config)) })
    return true
  }

  #describe(names: readonly string[]): ReadonlyMap<string, TopicDescription> {
    const found = new Map<string, TopicDescription>()
    for (const name of names) {
      const topic = this.#topics.get(name)
      if (topic !== undefined) found.set(name, { name, partitions: topic.logs.length, config: topic.config })
    }
    return found
  }

  #listOffsets(partitions: readonly TopicPartition[], at: ListedOffset): ReadonlyMap<string, number> {
    const found = new Map<string, number>()
    for (const partition of partitions) {
      const offset = this.#offsetAt(partition, at)
      if (offset !== undefined) found.set(partitionKey(partition), offset)
    }
    return found
  }

  #offsetAt(of: TopicPartition, at: ListedOffset): number | undefined {
    const log = this.#writableLog(of)
    if (at === 'earliest') return log.startOffset
    if (at === 'latest') return log.highWatermark
    if (at === 'latestCommitted') return log.lastStableOffset
    const { bytes } = log.slice(log.startOffset, 'uncommitted', Number.POSITIVE_INFINITY)
    const { startOffset: fetchOffset, highWatermark, lastStableOffset } = log
    const cursor = new RecordCursor()
    cursor.reset({ ...of, fetchOffset, bytes, highWatermark, lastStableOffset, abortedTransactions: [] })
    while (cursor.next()) if (cursor.timestamp >= at.timeMs) return cursor.offset
    return undefined
  }

  #writableLog({ topic, partition }: TopicPartition): FakeLog {
    const log = this.#topics.get(topic)?.logs[partition]
    if (log === undefined)
      throw new StreamsError('TOPIC_MISSING', `${topic}-${partition} does not exist`, { topic, partition })
    return log
  }

  #checkSize(record: OutgoingRecord): void {
    const { topic, partition } = record
    const bytesMax = Number(this.#topics.get(topic)?.config.get('max.message.bytes') ?? messageBytesMax)
    const bytes = soloBatchBytes(record)
    if (bytes > bytesMax) {
      throw new StreamsError(
        'RECORD_TOO_LARGE',
        `a record of ${bytes} bytes is over max.message.bytes=${bytesMax} of ${topic}`,
        { topic, partition },
      )
    }
  }

  #group(groupId: string): FakeGroup {
    const known = this.#groups.get(groupId)
    if (known !== undefined) return known
    const group = new FakeGroup(groupId, this.#world)
    this.#groups.set(groupId, group)
    return group
  }

  #transactionalId(name: string): FakeTransactionalId {
    const known = this.#transactionalIds.get(name)
    if (known !== undefined) return known
    const id = new FakeTransactionalId(name, 1000 + this.#transactionalIds.size)
    this.#transactionalIds.set(name, id)
    return id
  }

  /** Every operation goes through here: a turn of the event loop, the faults, and the wake-up of those who wait. */
  async #perform<T>(operation: FakeOperation, action: () => T): Promise<T> {
    await new Promise<void>((resolve) => setImmediate(resolve))
    const fault = this.#faults.get(operation)?.shift()
    if (fault !== undefined && !fault.applied) throw fault.error
    const result = action()
    this.#waits.recheck()
    if (fault !== undefined) throw fault.error
    return result
  }
}

type FakeWorld = FakeGroupWorld &
  FakeFetcherWorld &
  FakeProducerWorld & { perform<T>(operation: FakeOperation, action: () => T): Promise<T> }

function copyRecord(cursor: RecordCursor, partition: number): FakeRecord {
  const { bytes, offset, timestamp, keyStart, keyEnd, valueStart, valueEnd } = cursor
  return {
    partition,
    offset,
    timestamp,
    key: keyStart < 0 ? null : Buffer.from(bytes.subarray(keyStart, keyEnd)),
    value: valueStart < 0 ? null : Buffer.from(bytes.subarray(valueStart, valueEnd)),
    headers: cursor.headers(),
  }
}
