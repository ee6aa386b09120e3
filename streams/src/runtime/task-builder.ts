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
import { sourcesOf } from './assignment.ts'
import type { Failpoint } from './failpoint.ts'
import { openTaskStore } from './open-task-store.ts'
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
  /** Memory for all task stores. */
  readonly stateBytesMax: number
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
  readonly onProgress: (progress: RestoreProgress) => void
}

/** Builds tasks: their stores restored, their stream time as committed, their inputs with the offset to go on from. */
export class TaskBuilder {
  readonly #options: TaskBuilderOptions

  constructor(options: TaskBuilderOptions) {
    this.#options = options
  }

  /** Undefined when it was interrupted; nothing is open then. Throws what broker and stores throw, with nothing open either. */
  async build(request: BuildRequest): Promise<readonly ActiveTask[] | undefined> {
    const drafts = request.numbers.map((number) => this.#draft(number))
    const committed = await request.member.committed(drafts.flatMap(({ inputs }) => inputs))
    try {
      for (const draft of drafts) await this.#openStores(draft)
      const jobs = drafts.flatMap((draft) => this.#restoreJobs(draft))
      const ends = await restoreStores(jobs, { ...this.#options, ...request })
      if (ends === undefined) {
        await closeAll(drafts)
        return undefined
      }
      await this.#options.failpoint('recovery:restored')
      const built: ActiveTask[] = []
      const positions = await this.#positions(drafts, committed)
      const storeCount = drafts.reduce((sum, { stores }) => sum + stores.length, 0)
      for (const draft of drafts) {
        const task = await this.#task(draft, { ends, bytesMax: this.#options.stateBytesMax / Math.max(storeCount, 1) })
        await task.init(committedByTopic(draft, committed))
        const inputs = draft.inputs.map((input) => activeInput(input, positions))
        built.push({ task, inputs, lastArrivalMs: this.#options.clock.nowMs(), starved: false, idle: false })
      }
      return built
    } catch (error) {
      await closeAll(drafts)
      throw error
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
    return { number, subtopology, inputs, stores: [], closers: [] }
  }

  async #openStores(draft: Draft): Promise<void> {
    for (const spec of draft.subtopology.stores) {
      const rows = await this.#options.stores.open(spec.name, draft.number.partition)
      draft.stores.push({ spec, rows })
      draft.closers.push(() => rows.close())
    }
  }

  #restoreJobs(draft: Draft): readonly RestoreJob[] {
    return draft.stores
      .filter(({ spec }) => spec.changelog)
      .map(({ spec, rows }) => ({ spec, rows, changelog: this.#changelogOf(draft, spec) }))
  }

  #changelogOf(draft: Draft, spec: StoreSpec): TopicPartition {
    return { topic: this.#options.names.changelog(spec.name), partition: draft.number.partition }
  }

  async #task(
    draft: Draft,
    state: { readonly ends: ReadonlyMap<string, number>; readonly bytesMax: number },
  ): Promise<StreamTask> {
    const { names, plan, clock, probes, onFailure, deadLetterTopicOf } = this.#options
    const stores = new Map<string, TaskStore>()
    for (const { spec, rows } of draft.stores) {
      const restored = spec.changelog
        ? state.ends.get(partitionKey(this.#changelogOf(draft, spec)))
        : await rows.changelogOffset()
      stores.set(spec.name, openTaskStore(spec, rows, { changelogOffset: restored ?? 0, bytesMax: state.bytesMax }))
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
    return task
  }

  /** Where each input is read on, and where it ends now. Inputs without a committed offset begin where their source says. */
  async #positions(
    drafts: readonly Draft[],
    committed: ReadonlyMap<string, CommittedOffset>,
  ): Promise<ReadonlyMap<string, { readonly start: number; readonly end: number }>> {
    const inputs = drafts.flatMap((draft) => draft.inputs)
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
  readonly number: TaskNumber
  readonly subtopology: Subtopology
  readonly inputs: readonly (TopicPartition & { readonly source: SourceNode })[]
  readonly stores: { readonly spec: StoreSpec; readonly rows: ByteStore }[]
  readonly closers: (() => Promise<void>)[]
}

async function closeAll(drafts: readonly Draft[]): Promise<void> {
  for (const { closers } of drafts) for (const close of closers.reverse()) await close()
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
