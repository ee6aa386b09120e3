import type { CommittedOffset, FetchedBatches, TopicPartition } from '../core/broker.ts'
import type { Clock } from '../core/clock.ts'
import type { StreamsError } from '../core/errors.ts'
import type { OutgoingRecord } from '../core/record.ts'
import type { DropReason } from '../processor/processor.ts'
import type { ChangelogEntry, TaskStore } from '../state/store.ts'
import type { TaskNumber } from '../topology/partition-plan.ts'
import type { TopicNames } from '../topology/topic-names.ts'
import type { Subtopology } from '../topology/topology.ts'

/** Where a record failed. */
export const failureStages = ['deserialization', 'processing', 'production'] as const
export type FailureStage = (typeof failureStages)[number]

/** What to do about a record that failed. */
export type FailureAction = 'fail' | 'skip' | 'dead-letter'

/** Decides what to do about a record that failed; pure. */
export type FailurePolicy = (stage: FailureStage, error: StreamsError) => FailureAction

/** Records that were not processed to the end, for counting and sampled logging. */
export interface DroppedRecords {
  readonly taskId: string
  readonly node: string
  readonly reason: DropReason
  readonly records: number
  /** Of late records: the window they were too late for, and the stream time that closed it. */
  readonly window?: { readonly windowStartMs: number; readonly streamTimeMs: number } | undefined
}

/** What a task tells whoever watches; each is optional and costs nothing when absent. Called synchronously: must not throw. */
export interface TaskProbes {
  dropped?(dropped: DroppedRecords): void
  failed?(failed: {
    readonly taskId: string
    readonly stage: FailureStage
    readonly error: StreamsError
    readonly action: FailureAction
  }): void
}

/** What a task is made of. The stores are open and restored; the task closes them. */
export interface StreamTaskOptions {
  readonly subtopology: Subtopology
  readonly partition: number
  /** Every store of the subtopology, by its name. */
  readonly stores: ReadonlyMap<string, TaskStore>
  readonly names: TopicNames
  /** Partitions of a topic, by its name at the broker. */
  readonly partitionsOf: (topic: string) => number
  /** The tasks that write watermarks to this topic (name at the broker): all that feed it. */
  readonly writersOf: (topic: string) => readonly TaskNumber[]
  readonly clock: Clock
  readonly probes?: TaskProbes
  /** Default: everything fails. */
  readonly onFailure?: FailurePolicy
  /** Where records go that fail with `dead-letter`. Default `<topic>.dlq`. */
  readonly deadLetterTopicOf?: (topic: string) => string
}

/** What one commit of a task consists of. */
export interface TaskCommit {
  /** For the transaction, in order: what the sinks wrote, dead letters, then watermarks. */
  readonly records: readonly OutgoingRecord[]
  /** Changes per store with a changelog. */
  readonly changelog: ReadonlyMap<string, readonly ChangelogEntry[]>
  /** Every input with a position, with the task's metadata; empty when nothing moved. */
  readonly offsets: readonly (TopicPartition & CommittedOffset)[]
  /** Nothing to send, nothing to write: skip this task. */
  readonly empty: boolean
}

/**
 * Runs one subtopology for one partition number. Sequential: one caller, never two calls at once. A call that throws leaves the task
 * unusable: close it, roll back, build another.
 *
 *     await task.init(committed)
 *     task.add(fetched)
 *     while ((await task.process(1_000)) > 0) send(task.takeOutgoing())
 *     const commit = await task.prepareCommit()   // send, send offsets, commit the transaction
 *     await task.committed(changelogOffsets)
 */
export declare class StreamTask {
  constructor(options: StreamTaskOptions)
  /** `<subtopology>_<partition>`, as Kafka Streams writes it. */
  readonly id: string
  /** The partitions this task reads: those of its source topics that have its number. */
  readonly inputs: readonly TopicPartition[]
  /** The committed offset with its metadata of each input topic (name at the broker) that has one. Restores stream time, then inits processors. */
  init(restored: ReadonlyMap<string, CommittedOffset>): Promise<void>
  /** Buffers what a fetch brought of one input. Keeps `fetched.bytes` until its records are processed. */
  add(fetched: FetchedBatches): void
  /** Bytes of fetched batches not fully processed: pause fetching above a bound. */
  readonly bufferedBytes: number
  /** Processes at most `recordsMax` buffered records, the one with the smallest timestamp first; returns how many. */
  process(recordsMax: number): Promise<number>
  /** Next offset to process of an input topic; undefined when it has none yet. */
  position(topic: string): number | undefined
  readonly streamTimeMs: number
  /** Tells that all inputs are read to their ends and nothing came for the idle bound: the next commit marks this task's watermark idle. Ends by itself with the next record. */
  setIdle(idle: boolean): void
  /** Bytes of records that wait to be sent. */
  readonly outgoingBytes: number
  /** Hands over what waits to be sent, to be sent within the open transaction, before `prepareCommit`'s records. */
  takeOutgoing(): readonly OutgoingRecord[]
  /** True when a store's dirty rows reached their bound: commit now. */
  readonly full: boolean
  /** Commit, step 1: flushes the nodes, parents first, and drains the stores. Nothing is forgotten before `committed`. */
  prepareCommit(): Promise<TaskCommit>
  /** Commit, step 4: the transaction is committed; writes the stores. `changelogOffsets`: per store the offset behind its last changelog record. */
  committed(changelogOffsets: ReadonlyMap<string, number>): Promise<void>
  /** Closes processors and stores; uncommitted changes are gone. Idempotent. */
  close(): Promise<void>
}
