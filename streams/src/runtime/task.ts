import type { CommittedOffset, FetchedBatches, TopicPartition } from '../core/broker.ts'
import type { Clock } from '../core/clock.ts'
import { StreamsError } from '../core/errors.ts'
import { limits } from '../core/limits.ts'
import type { PackedRecords } from '../core/packed-records.ts'
import type { DropReason, LateFor } from '../processor/processor.ts'
import type { ChangelogEntries, CommittedRows, TaskStore } from '../state/store.ts'
import type { TaskNumber } from '../topology/partition-plan.ts'
import type { TopicNames } from '../topology/topic-names.ts'
import type { SourceNode, Subtopology } from '../topology/topology.ts'
import { decodeCommitMetadata, encodeCommitMetadata, nodeHash, type WrittenMark } from './commit-metadata.ts'
import type { FailureAction, FailurePolicy, FailureStage } from './failures.ts'
import type { NodeSnapshot, StoreInMemory } from './probes.ts'
import { StreamTime } from './stream-time.ts'
import { TaskInput } from './task-input.ts'
import { type Receiver, TaskNode } from './task-node.ts'
import { TaskSink } from './task-sink.ts'
import { TaskState } from './task-state.ts'

export type { FailureAction, FailurePolicy, FailureStage } from './failures.ts'

/** Records that were not processed to the end, for counting and sampled logging. */
export interface DroppedRecords {
  readonly taskId: string
  readonly node: string
  readonly reason: DropReason
  readonly records: number
  /** Of late records: the window they were too late for, and the stream time that closed it. */
  readonly window?: LateFor | undefined
}

/** A record that failed, and what was done about it. */
export interface FailedRecord {
  readonly taskId: string
  readonly stage: FailureStage
  readonly error: StreamsError
  readonly action: FailureAction
}

/** What a task tells whoever watches; each is optional and costs nothing when absent. Called synchronously: must not throw. */
export interface TaskProbes {
  dropped?(dropped: DroppedRecords): void
  failed?(failed: FailedRecord): void
}

/** What a task is made of. The stores are open and restored; the task closes them. */
export interface StreamTaskOptions {
  readonly subtopology: Subtopology
  readonly partition: number
  /** Every store of the subtopology, by its name. */
  readonly stores: ReadonlyMap<string, TaskStore>
  readonly names: TopicNames
  /** Partitions of a source or sink topic, by its name at the broker. */
  readonly partitionsOf: (topic: string) => number
  /** The tasks that write watermarks to this topic (name at the broker): all that feed it. */
  readonly writersOf: (topic: string) => readonly TaskNumber[]
  readonly clock: Clock
  readonly probes?: TaskProbes
  /** Default: everything fails. */
  readonly onFailure?: FailurePolicy
  /** Where records go that fail with `dead-letter`: topics of one partition. Default `<topic>.dlq`. */
  readonly deadLetterTopicOf?: (topic: string) => string
}

/** What one commit of a task consists of. */
export interface TaskCommit {
  /** For the transaction, in order: what the sinks wrote, dead letters, then watermarks. */
  readonly records: PackedRecords
  /** Changes per store with a changelog: to be read before the task processes on. */
  readonly changelog: ReadonlyMap<string, ChangelogEntries>
  /** Every input with a position, with the task's metadata; empty when nothing moved. */
  readonly offsets: readonly (TopicPartition & CommittedOffset)[]
  /** Nothing to send: the transaction can do without this task. */
  readonly empty: boolean
  /** Empty, but the stores may be written: rows that are over by the stream time that is committed already. */
  readonly expiredOnly: boolean
}

/**
 * Runs one subtopology for one partition number. Sequential: one caller, never two calls at once. A call that throws leaves the task
 * unusable: close it and build another.
 *
 *     await task.init(committed)
 *     task.add(fetched)
 *     while ((await task.process(1_000)) > 0) send(task.takeOutgoing())
 *     const commit = await task.prepareCommit()   // send, send offsets, commit the transaction
 *     await task.committed(changelogOffsets)
 */
export class StreamTask {
  /** `<subtopology>_<partition>`, as Kafka Streams writes it. */
  readonly id: string
  readonly partition: number
  readonly #options: StreamTaskOptions
  readonly #state: TaskState
  readonly #inputs: readonly TaskInput[]
  readonly #nodes: readonly TaskNode[]
  readonly #sinks: readonly TaskSink[]
  readonly #hasArrivalTime: boolean
  #written: WrittenMark | undefined
  #isIdle = false
  #consumedAtCommit = 0
  #streamTimeAtCommitMs = -1
  #closed = false

  constructor(options: StreamTaskOptions) {
    const { subtopology, partition } = options
    this.id = `${subtopology.id}_${partition}`
    this.partition = partition
    this.#options = options
    this.#state = new TaskState({
      taskId: this.id,
      partition,
      clock: options.clock,
      stores: options.stores,
      streamTime: new StreamTime(watermarkWriters(options)),
      partitionsOf: options.partitionsOf,
      probes: options.probes,
      onFailure: options.onFailure,
      deadLetterTopicOf: options.deadLetterTopicOf,
    })
    const graph = buildGraph(options, this.#state)
    this.#inputs = graph.inputs
    this.#nodes = graph.nodes
    this.#sinks = graph.sinks
    const sources = subtopology.nodes.filter((node) => node.kind === 'source')
    this.#hasArrivalTime = sources.every((node) => node.arrivalTime === true)
  }

  /** The partitions this task reads: those of its source topics that have its number. */
  get inputs(): readonly TopicPartition[] {
    return this.#inputs.map(({ topic, partition }) => ({ topic, partition }))
  }

  /** Bytes of fetched batches not fully processed: pause fetching above a bound. */
  get bufferedBytes(): number {
    return this.#inputs.reduce((sum, input) => sum + input.bufferedBytes, 0)
  }

  /** −1 before the first record, or before all writers of watermarks were heard. */
  get streamTimeMs(): number {
    return this.#state.streamTime.nowMs
  }

  /** Bytes of records that wait to be sent. */
  get outgoingBytes(): number {
    return this.#state.outgoingBytes
  }

  /** True when changed rows reached a bound: commit now. */
  get full(): boolean {
    if (this.#state.commitRequested) return true
    for (const store of this.#options.stores.values()) if (store.full) return true
    return false
  }

  /** How many records came to each node since the start, in the order of the subtopology's nodes by kind: sources, processors, sinks. */
  get nodes(): readonly NodeSnapshot[] {
    const sources = this.#inputs.map(({ name, consumed }) => ({ name, records: consumed }))
    const others = [...this.#nodes, ...this.#sinks].map(({ name, records }) => ({ name, records }))
    return [...sources, ...others]
  }

  /** What each store of this task holds in memory. */
  get storesInMemory(): readonly StoreInMemory[] {
    return [...this.#options.stores].map(([name, { stats }]) => ({ name, ...stats }))
  }

  /** The committed rows of a store of this task; undefined when it has none of this name. */
  committedRows(store: string): CommittedRows | undefined {
    return this.#options.stores.get(store)?.committed
  }

  /** Next offset to process of an input topic; undefined when it has none yet. */
  position(topic: string): number | undefined {
    return this.#inputs.find((input) => input.topic === topic)?.position
  }

  /** The committed offset with its metadata of each input topic (name at the broker) that has one. Restores stream time, then inits processors. */
  async init(restored: ReadonlyMap<string, CommittedOffset>): Promise<void> {
    const times = new Map<number, readonly number[]>()
    for (const input of this.#inputs) {
      const committed = restored.get(input.topic)
      if (committed === undefined) continue
      input.position = committed.offset
      const metadata = decodeCommitMetadata(committed.metadata)
      if (metadata === undefined) continue
      this.#state.streamTime.restore(input.topic, metadata.streamTimeMs, metadata.writers)
      this.#written = laterMark(this.#written, metadata.written)
      for (const [hash, nodeTimes] of metadata.times) times.set(hash, laterTimes(times.get(hash), nodeTimes))
    }
    this.#state.streamTimeMs = this.#state.streamTime.nowMs
    this.#streamTimeAtCommitMs = this.#state.streamTimeMs
    // Not when the first record asks for a row: it and thousands behind it would wait, and V8, having seen them all outlive its scavenges, would make
    // every later one among the objects that live long: 160 bytes of each event, half a microsecond of full collections, and 30 MiB.
    for (const store of this.#options.stores.values()) await store.load()
    for (const node of this.#nodes) {
      node.restoredTimes = times.get(nodeHash(node.name)) ?? []
      await node.init()
    }
  }

  /** Buffers what a fetch brought of one input. Keeps `fetched.bytes` until its records are processed. */
  add(fetched: FetchedBatches): void {
    const input = this.#inputs.find(
      ({ topic, partition }) => topic === fetched.topic && partition === fetched.partition,
    )
    if (input === undefined)
      throw new StreamsError('INVALID_STATE', `task ${this.id} does not read ${fetched.topic}-${fetched.partition}`)
    input.add(fetched)
  }

  /**
   * Processes at most `recordsMax` buffered records, of several inputs the one with the smallest timestamp first. Returns how many
   * records were taken from the buffers, dropped ones and watermarks too: 0 when nothing is buffered, or when an input with nothing
   * buffered has more at the broker.
   */
  async process(recordsMax: number): Promise<number> {
    const before = this.#consumed()
    for (let processed = 0; processed < recordsMax; processed++) {
      const input = this.#nextInput()
      if (input === undefined) break
      this.#processHead(input)
    }
    this.#endOfBatch()
    for (const node of this.#nodes) if (node.isWaiting) await node.drain()
    const consumed = this.#consumed() - before
    if (consumed > 0) this.#isIdle = false
    return consumed
  }

  /**
   * Tells that all inputs are read to their ends and nothing came for the idle bound: the next commit says so in this task's watermark,
   * and readers no longer wait for it. Ends by itself with the next record.
   */
  setIdle(idle: boolean): void {
    this.#isIdle = idle
  }

  /** Hands over what waits to be sent, to be sent within the open transaction, before `prepareCommit`'s records. */
  takeOutgoing(): PackedRecords {
    return this.#state.takeOutgoing()
  }

  /** Commit, step 1: flushes the nodes, parents first, and drains the stores. Nothing is forgotten before `committed`. */
  async prepareCommit(): Promise<TaskCommit> {
    this.#followWallClock()
    this.#endOfBatch()
    for (const node of this.#nodes) {
      if (node.isWaiting) await node.drain()
      await node.flush()
    }
    const isMarked = this.#writeWatermark()
    const records = this.#state.takeOutgoing()
    const changelog = new Map<string, ChangelogEntries>()
    for (const spec of this.#options.subtopology.stores) {
      const entries = this.#options.stores.get(spec.name)?.drain()
      if (spec.changelog && entries !== undefined && entries.length > 0) changelog.set(spec.name, entries)
    }
    const consumed = this.#consumed()
    const isMoved = consumed > this.#consumedAtCommit
    this.#consumedAtCommit = consumed
    this.#state.commitRequested = false
    const offsets = isMoved || isMarked ? this.#offsets() : []
    const empty = records.length === 0 && changelog.size === 0 && offsets.length === 0
    if (offsets.length > 0) this.#streamTimeAtCommitMs = this.streamTimeMs
    return {
      records,
      changelog,
      offsets,
      empty,
      expiredOnly: empty && this.#streamTimeAtCommitMs === this.streamTimeMs,
    }
  }

  /** Commit, step 4: the transaction is committed; writes the stores. `changelogOffsets`: per store the offset behind its last changelog record. */
  async committed(changelogOffsets: ReadonlyMap<string, number>): Promise<void> {
    for (const [name, store] of this.#options.stores) await store.commit(changelogOffsets.get(name))
  }

  /** Closes processors and stores; uncommitted changes are gone. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const node of this.#nodes) node.close()
    for (const store of this.#options.stores.values()) await store.close()
  }

  #consumed(): number {
    let consumed = 0
    for (const input of this.#inputs) consumed += input.consumed
    return consumed
  }

  /** The input whose head has the smallest timestamp; undefined when there is none, or one must be waited for. */
  #nextInput(): TaskInput | undefined {
    let next: TaskInput | undefined
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < this.#inputs.length; i++) {
      const input = this.#inputs[i]
      if (input === undefined) continue
      const head = input.head()
      if (head === undefined) {
        if (input.isBehind) return undefined
      } else if (head.timestamp < least) {
        next = input
        least = head.timestamp
      }
    }
    return next
  }

  #processHead(input: TaskInput): void {
    const record = input.head()
    if (record === undefined) return
    const state = this.#state
    state.streamTime.observe(record.timestamp)
    state.streamTimeMs = state.streamTime.nowMs
    state.source = input
    input.take()
    try {
      const children = input.children
      for (let i = 0; i < children.length; i++) children[i]?.accept(record)
    } catch (cause) {
      state.failed(cause, { source: input, node: input.name })
    }
  }

  #endOfBatch(): void {
    this.#state.source = undefined
    this.#state.streamTimeMs = this.#state.streamTime.nowMs
  }

  /** Quiet sources of arrival times: what comes later cannot be older than the wall clock, but for the way to the topic. */
  #followWallClock(): void {
    if (!this.#isIdle || !this.#hasArrivalTime) return
    const { arrivalSlackMs, arrivalStepMs } = limits
    const latestMs = this.#options.clock.nowMs() - arrivalSlackMs
    this.#state.streamTime.observe(latestMs - (latestMs % arrivalStepMs))
  }

  /** Tells the readers of this task's watermarked sinks how far it is, unless they know. */
  #writeWatermark(): boolean {
    const sinks = this.#sinks.filter((sink) => sink.hasWatermarks)
    const now: WrittenMark = { streamTimeMs: this.#state.streamTime.nowMs, idle: this.#isIdle }
    if (sinks.length === 0 || isSameMark(this.#written, now)) return false
    this.#written = now
    for (const sink of sinks)
      sink.mark({ subtopology: this.#options.subtopology.id, partition: this.partition, ...now })
    return true
  }

  #offsets(): readonly (TopicPartition & CommittedOffset)[] {
    const times = new Map<number, readonly number[]>()
    for (const node of this.#nodes) {
      const nodeTimes = node.times()
      if (nodeTimes.length > 0) times.set(nodeHash(node.name), nodeTimes)
    }
    const { streamTime } = this.#state
    const offsets: (TopicPartition & CommittedOffset)[] = []
    for (const { topic, partition, position } of this.#inputs) {
      if (position === undefined) continue
      const writers = streamTime.marksOf(topic)
      const metadata = encodeCommitMetadata({ streamTimeMs: streamTime.nowMs, written: this.#written, writers, times })
      offsets.push({ topic, partition, offset: position, metadata })
    }
    return offsets
  }
}

interface TaskGraph {
  readonly inputs: readonly TaskInput[]
  readonly nodes: readonly TaskNode[]
  readonly sinks: readonly TaskSink[]
}

/** Connects the task's nodes, in the order of the subtopology. */
function buildGraph(options: StreamTaskOptions, state: TaskState): TaskGraph {
  const { subtopology, partition, names, partitionsOf } = options
  const inputs: TaskInput[] = []
  const nodes: TaskNode[] = []
  const sinks: TaskSink[] = []
  const childrenOf = new Map<string, Receiver[]>()

  function connect(receiver: Receiver, parents: readonly string[]): void {
    for (const parent of parents) childrenOf.get(parent)?.push(receiver)
  }

  for (const node of subtopology.nodes) {
    if (node.kind === 'source') {
      const topic = names.topic(node)
      const input = new TaskInput(node, { topic, partition }, state)
      childrenOf.set(node.name, input.children)
      if (partition < partitionsOf(topic)) inputs.push(input)
    } else if (node.kind === 'processor') {
      const task = new TaskNode(node, state)
      childrenOf.set(node.name, task.children)
      connect(task, node.parents)
      nodes.push(task)
    } else {
      const topic = names.topic(node)
      const sink = new TaskSink(node, { topic, partitions: partitionsOf(topic) }, state)
      connect(sink, node.parents)
      sinks.push(sink)
    }
  }
  return { inputs, nodes, sinks }
}

/** The writers per watermarked input, if all inputs have watermarks. */
function watermarkWriters(options: StreamTaskOptions): ReadonlyMap<string, readonly TaskNumber[]> {
  const { subtopology, names, writersOf } = options
  const sources = subtopology.nodes.filter((node): node is SourceNode => node.kind === 'source')
  if (!sources.every((source) => source.watermarks)) return new Map()
  const writers = new Map(sources.map((source) => [names.topic(source), writersOf(names.topic(source))]))
  for (const [topic, tasks] of writers)
    if (tasks.length > limits.watermarkWritersMax)
      throw new StreamsError(
        'INVALID_CONFIG',
        `${tasks.length} tasks feed "${topic}"; with watermarks at most ${limits.watermarkWritersMax} can: use fewer source partitions`,
        { topic },
      )
  return writers
}

function isSameMark(one: WrittenMark | undefined, other: WrittenMark): boolean {
  if (one === undefined) return other.streamTimeMs < 0 && !other.idle
  return one.streamTimeMs === other.streamTimeMs && one.idle === other.idle
}

function laterMark(one: WrittenMark | undefined, other: WrittenMark | undefined): WrittenMark | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return other.streamTimeMs > one.streamTimeMs ? other : one
}

function laterTimes(one: readonly number[] | undefined, other: readonly number[]): readonly number[] {
  return one === undefined ? other : other.map((time, index) => Math.max(time, one[index] ?? -1))
}
