import {
  type Admin,
  type Broker,
  type CommittedOffset,
  type GroupMember,
  partitionKey,
  type TopicPartition,
} from '../core/broker.ts'
import type { Clock } from '../core/clock.ts'
import { StreamsError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { ByteStore, ByteStoreProvider, TaskStore } from '../state/store.ts'
import type { PartitionPlan, TaskNumber } from '../topology/partition-plan.ts'
import type { TopicNames } from '../topology/topic-names.ts'
import type { SourceNode, StoreSpec, Subtopology, Topology } from '../topology/topology.ts'
import { sourcesOf, taskId } from './assignment.ts'
import type { Failpoint } from './failpoint.ts'
import { openTaskStore, type StoreBudget } from './open-task-store.ts'
import { type RestoreJob, type RestoreProgress, restoreStores } from './recovery.ts'
import { type FailurePolicy, StreamTask, type TaskProbes } from './task.ts'
import type { ActiveInput, ActiveTask } from './task-set.ts'

/** What tasks are built from. */
export interface TaskBuilderOptions {
  readonly topology: Topology
  readonly names: TopicNames
  readonly plan: PartitionPlan
  readonly broker: Broker
  readonly admin: Admin
  readonly stores: ByteStoreProvider
  readonly clientId: string
  /** Memory for each task store. */
  readonly budget: StoreBudget
  readonly clock: Clock
  readonly logger: Logger
  readonly probes: TaskProbes
  readonly onFailure: FailurePolicy | undefined
  readonly deadLetterTopicOf: ((topic: string) => string) | undefined
  readonly failpoint: Failpoint
}

/** What one building of tasks is told. */
export interface BuildRequest {
  readonly numbers: readonly TaskNumber[]
  readonly member: GroupMember
  readonly interrupted: () => boolean
  /** Resolves when it is interrupted: transactions of other processes, which may hold up committed offsets, are not waited for any longer. */
  readonly interruption: Promise<void>
  readonly onProgress: (progress: RestoreProgress) => void
  /** A task is ready, while others may still be restored. Who takes it closes it. */
  readonly onBuilt: (active: ActiveTask) => void
}

/** Builds tasks: their stores restored, their stream time as committed, their inputs with the offset to go on from. */
export class TaskBuilder {
  readonly #options: TaskBuilderOptions

  constructor(options: TaskBuilderOptions) {
    this.#options = options
  }

  /**
   * Hands over each task as soon as its own stores are restored. Resolves when all were, or when it was interrupted. Throws what broker and
   * stores throw. Of tasks that were not handed over nothing is open then.
   */
  async build(request: BuildRequest): Promise<void> {
    const drafts = request.numbers.map((number) => this.#draft(number))
    const asked = request.member.committed(drafts.flatMap(({ inputs }) => inputs))
    const committed = await Promise.race([asked, request.interruption])
    if (committed === undefined || request.interrupted()) return
    const waiting = new Map(drafts.map((draft) => [draft.id, draft]))
    const finish = async (draft: Draft) => {
      if (draft.missing > 0) return
      await this.#options.failpoint('recovery:restored')
      const active = await this.#task(draft, committed)
      waiting.delete(draft.id)
      request.onBuilt(active)
    }
    try {
      for (const draft of drafts) await this.#openStores(draft)
      for (const draft of drafts) await finish(draft)
      const jobs = [...waiting.values()].flatMap((draft) => this.#restoreJobs(draft))
      const onRestored = async (job: RestoreJob, offset: number) => {
        const draft = waiting.get(job.taskId)
        if (draft === undefined) return
        draft.missing--
        draft.changelogOffsets.set(job.spec.name, offset)
        await finish(draft)
      }
      await restoreStores(jobs, { ...this.#options, ...request, onRestored })
    } finally {
      for (const { closers } of waiting.values()) for (const close of closers.reverse()) await close()
    }
  }

  #draft(number: TaskNumber): Draft {
    const { topology, names, plan } = this.#options
    const subtopology = topology.subtopologies.find(({ id }) => id === number.subtopology)
    if (subtopology === undefined) {
      throw new StreamsError('INVALID_STATE', `there is no subtopology ${number.subtopology}`)
    }
    const inputs = sourcesOf(subtopology)
      .map((source) => ({ topic: names.topic(source), partition: number.partition, source }))
      .filter(({ topic, partition }) => partition < plan.partitionsOf(topic))
    const missing = subtopology.stores.filter(({ changelog }) => changelog).length
    const id = taskId(number)
    return { id, number, subtopology, inputs, stores: [], missing, changelogOffsets: new Map(), closers: [] }
  }

  async #openStores(draft: Draft): Promise<void> {
    for (const spec of draft.subtopology.stores) {
      const rows = await this.#options.stores.open(spec.name, draft.number.partition)
      draft.stores.push({ spec, rows })
      draft.closers.push(() => rows.close())
    }
  }

  #restoreJobs(draft: Draft): readonly RestoreJob[] {
    const { names } = this.#options
    return draft.stores
      .filter(({ spec }) => spec.changelog)
      .map(({ spec, rows }) => ({
        taskId: draft.id,
        spec,
        rows,
        changelog: { topic: names.changelog(spec.name), partition: draft.number.partition },
      }))
  }

  async #task(draft: Draft, committed: ReadonlyMap<string, CommittedOffset>): Promise<ActiveTask> {
    const { names, plan, clock, probes, budget, onFailure, deadLetterTopicOf } = this.#options
    const stores = new Map<string, TaskStore>()
    for (const { spec, rows } of draft.stores) {
      const changelogOffset = draft.changelogOffsets.get(spec.name) ?? (await rows.changelogOffset()) ?? 0
      stores.set(spec.name, openTaskStore(spec, rows, { changelogOffset, budget }))
    }
    const task = new StreamTask({
      subtopology: draft.subtopology,
      partition: draft.number.partition,
      stores,
      names,
      partitionsOf: (topic) => plan.partitionsOf(topic),
      writersOf: (topic) => plan.writersOf(topic),
      clock,
      probes,
      ...(onFailure === undefined ? {} : { onFailure }),
      ...(deadLetterTopicOf === undefined ? {} : { deadLetterTopicOf }),
    })
    draft.closers.push(() => task.close())
    await task.init(committedByTopic(draft, committed))
    const positions = await this.#positions(draft, committed)
    const inputs = draft.inputs.map((input) => activeInput(input, positions))
    return { task, inputs, lastArrivalMs: clock.nowMs(), starved: false, idle: false }
  }

  /** Where each input is read on, and where it ends now. Inputs without a committed offset begin where their source says. */
  async #positions(
    { inputs }: Draft,
    committed: ReadonlyMap<string, CommittedOffset>,
  ): Promise<ReadonlyMap<string, { readonly start: number; readonly end: number }>> {
    const unknown = inputs.filter((input) => !committed.has(partitionKey(input)))
    const { admin } = this.#options
    const earliest = unknown.filter(({ source }) => source.internal || source.offsetReset === 'earliest')
    const starts = earliest.length === 0 ? new Map<string, number>() : await admin.listOffsets(earliest, 'earliest')
    const ends = inputs.length === 0 ? new Map<string, number>() : await admin.listOffsets(inputs, 'latest')
    return new Map(
      inputs.map((input) => {
        const key = partitionKey(input)
        const end = ends.get(key) ?? 0
        return [key, { start: committed.get(key)?.offset ?? starts.get(key) ?? end, end }]
      }),
    )
  }
}

/** A task on its way. */
interface Draft {
  readonly id: string
  readonly number: TaskNumber
  readonly subtopology: Subtopology
  readonly inputs: readonly (TopicPartition & { readonly source: SourceNode })[]
  readonly stores: { readonly spec: StoreSpec; readonly rows: ByteStore }[]
  /** Stores that are still to be restored. */
  missing: number
  /** Of the stores that are restored. */
  readonly changelogOffsets: Map<string, number>
  readonly closers: (() => Promise<void>)[]
}

function committedByTopic(
  draft: Draft,
  committed: ReadonlyMap<string, CommittedOffset>,
): ReadonlyMap<string, CommittedOffset> {
  const byTopic = new Map<string, CommittedOffset>()
  for (const input of draft.inputs) {
    const offset = committed.get(partitionKey(input))
    if (offset !== undefined) byTopic.set(input.topic, offset)
  }
  return byTopic
}

function activeInput(
  { topic, partition }: TopicPartition,
  positions: ReadonlyMap<string, { readonly start: number; readonly end: number }>,
): ActiveInput {
  const position = positions.get(partitionKey({ topic, partition }))
  return { topic, partition, startOffset: position?.start ?? 0, highWatermark: position?.end ?? 0, paused: false }
}
