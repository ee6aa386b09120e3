import { type CommittedOffset, partitionKey, type TopicPartition } from '../core/broker.ts'
import { partitionOfKey } from '../core/murmur2.ts'
import { unpacked } from '../core/packed-records.ts'
import type { OutgoingRecord, RecordHeader } from '../core/record.ts'
import type { Serde } from '../core/serde.ts'
import type { DropReason } from '../processor/processor.ts'
import { externalTopics } from '../runtime/assignment.ts'
import type { FailurePolicy } from '../runtime/failures.ts'
import { StreamTask, type TaskCommit, type TaskProbes } from '../runtime/task.ts'
import { memoryStores } from '../state/memory-store.ts'
import type { ByteStoreProvider } from '../state/store.ts'
import { type PartitionPlan, partitionPlan } from '../topology/partition-plan.ts'
import { topicNames } from '../topology/topic-names.ts'
import type { Subtopology, Topology } from '../topology/topology.ts'
import { DriverLog } from './driver-log.ts'
import { rowsOf, type StoreRow } from './driver-rows.ts'
import { DriverTask, type DriverWorld, openRestored } from './driver-task.ts'
import { ManualClock } from './manual-clock.ts'

/** How a topology is driven. */
export interface TopologyDriverOptions {
  /** Partitions of the topics that are not the application's own: one number for all, or by topic. Default 1. */
  readonly partitions?: number | Readonly<Record<string, number>>
  /** Default: one that stands at 0. */
  readonly clock?: ManualClock
  /** Default `test`. */
  readonly applicationId?: string
  /** `every-record`, the default: a commit after each record, so that all it causes is done before the next. `manual`: `commit` only. */
  readonly commit?: 'every-record' | 'manual'
  /** Default: rows in memory. They outlive a crash, as on a disk. */
  readonly stores?: ByteStoreProvider
  readonly onFailure?: FailurePolicy
  readonly deadLetterTopicOf?: (topic: string) => string
  readonly probes?: TaskProbes
}

/** A record to be piped in. Without a partition it goes where Kafka's default partitioner puts it. */
export interface TestRecord<K, V> {
  readonly key: K | null
  readonly value: V | null
  readonly timestamp: number
  readonly headers?: readonly RecordHeader[]
  readonly partition?: number
}

/** A record that was read. */
export interface TestOutput<K, V> {
  readonly key: K | null
  readonly value: V | null
  readonly timestamp: number
  readonly headers: readonly RecordHeader[]
  readonly partition: number
}

/** How a topic's bytes are read and written in a test. */
export interface TestSerdes<K, V> {
  readonly key: Serde<K>
  readonly value: Serde<V>
}

/** Where a commit is cut off by a crash: before the transaction is committed, or after it and before the stores are written. */
export type CrashPoint = 'before-transaction' | 'after-transaction'

/**
 * Runs a topology in memory, with the tasks of production: every partition, repartition topics, changelogs and restores, but no broker and
 * no wall clock. Sequential: await each call before the next.
 *
 *     const driver = new TopologyDriver(topology, { partitions: 4 })
 *     await driver.pipe('events', { key: utf8, value: eventSerde }, { key: 'u1', value: event, timestamp: 0 })
 *     driver.read('stats', { key: utf8, value: statsSerde })
 *     await driver.close()
 */
export class TopologyDriver {
  readonly clock: ManualClock
  /** Records that were dropped since the start, by reason; what a crash undoes counts again when it is done again. */
  readonly dropped = new Map<DropReason, number>()
  readonly #topology: Topology
  readonly #options: TopologyDriverOptions
  readonly #plan: PartitionPlan
  readonly #world: DriverWorld
  readonly #committed = new Map<string, CommittedOffset>()
  readonly #readTo = new Map<string, number>()
  #tasks: readonly DriverTask[] | undefined

  constructor(topology: Topology, options: TopologyDriverOptions = {}) {
    const names = topicNames(options.applicationId ?? 'test')
    this.clock = options.clock ?? new ManualClock()
    this.#topology = topology
    this.#options = options
    this.#plan = partitionPlan(topology, names, externalPartitions(topology, options.partitions ?? 1))
    this.#world = { log: new DriverLog(), names, stores: options.stores ?? memoryStores('driver') }
  }

  /** Appends a record to a topic and lets the tasks work until nothing is left to do. */
  async pipe<K, V>(topic: string, serdes: TestSerdes<K, V>, record: TestRecord<K, V>): Promise<void> {
    const key = record.key === null ? null : serdes.key.write(record.key)
    const value = record.value === null ? null : serdes.value.write(record.value)
    await this.pipeBytes(topic, { ...record, key, value })
  }

  /** The same for a record that is bytes already. */
  async pipeBytes(topic: string, record: TestRecord<Buffer, Buffer>): Promise<void> {
    const partitions = this.#plan.partitionsOf(topic)
    const partition = record.partition ?? (record.key === null ? 0 : partitionOfKey(record.key, partitions))
    if (partition < 0 || partition >= partitions)
      throw new RangeError(`topic "${topic}" has partitions 0 to ${partitions - 1}, not ${partition}`)
    this.#world.log.append({ ...record, topic, partition })
    await this.#work()
  }

  /** The committed records of a topic that were not read yet, partition by partition. */
  read<K, V>(topic: string, serdes: TestSerdes<K, V>): readonly TestOutput<K, V>[] {
    return this.#world.log.partitionsOf(topic).flatMap((at) => {
      const records = this.#world.log.records(at)
      const from = this.#readTo.get(partitionKey(at)) ?? 0
      this.#readTo.set(partitionKey(at), records.length)
      return records.slice(from).map((record) => decode(record, serdes))
    })
  }

  /** All committed records of a topic by its name at the broker, as bytes: `test-<store>-changelog` and `test-<name>-repartition` too. */
  bytesOf(topic: string): readonly OutgoingRecord[] {
    return this.#world.log.partitionsOf(topic).flatMap((at) => this.#world.log.records(at))
  }

  /** The rows of a store as of the last commit, partition by partition, in the store's order. */
  async rows(name: string): Promise<readonly StoreRow[]> {
    const spec = this.#topology.subtopologies.flatMap(({ stores }) => stores).find((store) => store.name === name)
    if (spec === undefined) throw new RangeError(`the topology has no store "${name}"`)
    const rows: StoreRow[] = []
    for (const { task, stores } of await this.#start()) {
      const store = stores.get(name)
      if (store !== undefined) rows.push(...(await rowsOf(spec, store, task.partition)))
    }
    return rows
  }

  /** The offsets that are committed, by `partitionKey`, as `GroupMember.committed` has them. */
  committed(partitions: readonly TopicPartition[]): ReadonlyMap<string, CommittedOffset> {
    const asked = new Set(partitions.map(partitionKey))
    return new Map([...this.#committed].filter(([key]) => asked.has(key)))
  }

  /** A task's stream time. */
  async streamTimeMs(taskId: string): Promise<number> {
    const found = (await this.#start()).find(({ task }) => task.id === taskId)
    if (found === undefined) throw new RangeError(`there is no task "${taskId}"`)
    return found.task.streamTimeMs
  }

  /** Commits all tasks as one, then lets them work on what that made visible. With `crashAt` a crash cuts the commit off there. */
  async commit(crashAt?: CrashPoint): Promise<void> {
    await this.#commit(await this.#start(), crashAt)
    if (crashAt === undefined) await this.#work()
    else await this.crash()
  }

  /** The process dies: what was not committed is gone, and the tasks start again from stores, changelogs and committed offsets. */
  async crash(): Promise<void> {
    await this.#closeTasks()
    await this.#work()
  }

  /** Nothing came for the idle bound: each task says so in a commit, upstream tasks first, and what waited for their inputs goes on. */
  async idle(): Promise<void> {
    for (const { id } of this.#topology.subtopologies) {
      const tasks = (await this.#start()).filter(({ task }) => task.id.startsWith(`${id}_`))
      for (const { task } of tasks) task.setIdle(true)
      await this.#commit(tasks)
      await this.#work()
    }
  }

  async close(): Promise<void> {
    await this.#closeTasks()
    await this.#world.stores.close()
  }

  async #closeTasks(): Promise<void> {
    for (const { task } of this.#tasks ?? []) await task.close()
    this.#tasks = undefined
  }

  async #start(): Promise<readonly DriverTask[]> {
    if (this.#tasks !== undefined) return this.#tasks
    const tasks: DriverTask[] = []
    for (const subtopology of this.#topology.subtopologies)
      for (let partition = 0; partition < (this.#plan.tasks[subtopology.id] ?? 0); partition++)
        tasks.push(await this.#open(subtopology, partition))
    this.#tasks = tasks
    return tasks
  }

  async #open(subtopology: Subtopology, partition: number): Promise<DriverTask> {
    const { onFailure, deadLetterTopicOf } = this.#options
    const stores = await openRestored(subtopology, partition, this.#world)
    const task = new StreamTask({
      subtopology,
      partition,
      stores,
      names: this.#world.names,
      partitionsOf: (topic) => this.#plan.partitionsOf(topic),
      writersOf: (topic) => this.#plan.writersOf(topic),
      clock: this.clock,
      probes: this.#countingProbes(),
      ...(onFailure === undefined ? {} : { onFailure }),
      ...(deadLetterTopicOf === undefined ? {} : { deadLetterTopicOf }),
    })
    const restored = new Map<string, CommittedOffset>()
    for (const input of task.inputs) {
      const committed = this.#committed.get(partitionKey(input))
      if (committed !== undefined) restored.set(input.topic, committed)
    }
    await task.init(restored)
    return new DriverTask(task, stores, this.#world.log)
  }

  /** Feeds the tasks and lets them process until none has anything left. */
  async #work(): Promise<void> {
    const tasks = await this.#start()
    for (let isBusy = true; isBusy; ) {
      isBusy = false
      for (const each of tasks) {
        each.feed()
        while ((await each.task.process(1)) > 0) {
          isBusy = true
          if (this.#options.commit !== 'manual') await this.#commit([each])
        }
      }
    }
  }

  async #commit(tasks: readonly DriverTask[], crashAt?: CrashPoint): Promise<void> {
    const prepared: { readonly task: StreamTask; readonly commit: TaskCommit }[] = []
    for (const { task } of tasks) {
      const commit = await task.prepareCommit()
      if (!commit.empty) prepared.push({ task, commit })
    }
    if (crashAt === 'before-transaction') return
    const ends = prepared.map(({ task, commit }) => this.#append(task, commit))
    if (crashAt === 'after-transaction') return
    for (const [index, { task }] of prepared.entries()) await task.committed(ends[index] ?? new Map<string, number>())
  }

  /** Makes a commit's records and offsets visible; returns the ends of its changelogs. */
  #append(task: StreamTask, { records, changelog, offsets }: TaskCommit): ReadonlyMap<string, number> {
    const { log, names } = this.#world
    for (const record of unpacked(records)) log.append(record)
    for (const offset of offsets) this.#committed.set(partitionKey(offset), offset)
    const ends = new Map<string, number>()
    for (const [store, entries] of changelog) {
      const to = { topic: names.changelog(store), partition: task.partition }
      entries.forEach(({ key, value, timestamp }) => {
        const own = { key: Buffer.from(key), value: value === null ? null : Buffer.from(value), timestamp }
        ends.set(store, log.append({ ...own, ...to }))
      })
    }
    return ends
  }

  #countingProbes(): TaskProbes {
    const { probes } = this.#options
    return {
      ...probes,
      dropped: (dropped) => {
        this.dropped.set(dropped.reason, (this.dropped.get(dropped.reason) ?? 0) + dropped.records)
        probes?.dropped?.(dropped)
      },
    }
  }
}

function decode<K, V>(record: OutgoingRecord, serdes: TestSerdes<K, V>): TestOutput<K, V> {
  const { key, value, timestamp, partition, headers = [] } = record
  return {
    key: key === null ? null : serdes.key.read(key, 0, key.length),
    value: value === null ? null : serdes.value.read(value, 0, value.length),
    timestamp,
    headers,
    partition,
  }
}

function externalPartitions(
  topology: Topology,
  partitions: number | Readonly<Record<string, number>>,
): ReadonlyMap<string, number> {
  return new Map(
    externalTopics(topology).map((topic) => [
      topic,
      typeof partitions === 'number' ? partitions : (partitions[topic] ?? 1),
    ]),
  )
}
