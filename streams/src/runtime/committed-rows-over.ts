import { type CommittedOffset, partitionKey, type TopicPartition } from '../core/broker.ts'
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import type { RowsOver } from '../processor/processor.ts'
import type { PartitionPlan, TaskNumber } from '../topology/partition-plan.ts'
import type { TopicNames } from '../topology/topic-names.ts'
import type { ProcessorNode, StoreSpec, Subtopology, Topology } from '../topology/topology.ts'
import { sourcesOf, taskId } from './assignment.ts'
import { type CommitMetadata, decodeCommitMetadata, nodeHash } from './commit-metadata.ts'
import { standbyCommittedLookMs } from './limits.ts'

/** Reads the group's committed offsets; empty while there is no group. */
export type ReadCommitted = (partitions: readonly TopicPartition[]) => Promise<ReadonlyMap<string, CommittedOffset>>

/** What committed times are read with. */
export interface CommittedRowsOverOptions {
  readonly topology: Topology
  readonly names: TopicNames
  readonly plan: PartitionPlan
  readonly committed: ReadCommitted
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Which rows of window stores their tasks have done with, wherever these run: the group's committed offsets carry the tasks' stream time and
 * the times of their nodes. Read now and then, beside everything else.
 *
 * Nothing is over of a task of which nothing was committed, or something that cannot be read, as after Kafka Streams, which commits no times of
 * ours, until a task of ours has committed; nor after the reading has failed, until it succeeds.
 */
export class CommittedRowsOver {
  readonly #options: CommittedRowsOverOptions
  readonly #judgesOf = new Map<StoreSpec, readonly Judge[]>()
  /** Of each task, one per input that has an offset. */
  readonly #committed = new Map<string, readonly CommitMetadata[]>()
  #lookedMs = Number.NEGATIVE_INFINITY
  /** Never rejects. */
  #looking: Promise<void> | undefined

  constructor(options: CommittedRowsOverOptions) {
    this.#options = options
    for (const subtopology of options.topology.subtopologies) {
      for (const spec of subtopology.stores) this.#judgesOf.set(spec, judgesOf(subtopology, spec))
    }
  }

  /** Rows of this task's store that are over, as of the last reading. */
  of(id: string, spec: StoreSpec): RowsOver | undefined {
    const committed = this.#committed.get(id) ?? []
    const judges = this.#judgesOf.get(spec) ?? []
    let least: RowsOver | undefined
    for (const { hash, processor } of judges) {
      for (const { streamTimeMs, times } of committed) {
        const over = processor.rowsOver?.({ streamTimeMs, times: times.get(hash) ?? [] })
        if (over === undefined) return undefined
        least = least === undefined ? over : lesser(least, over)
      }
    }
    return least
  }

  /** Begins to read what the tasks of these numbers have committed, when it is time. Nobody waits for it: it ends with the group's member at the latest. */
  look(numbers: ReadonlySet<number>): void {
    const nowMs = this.#options.clock.nowMs()
    const sinceMs = nowMs - this.#lookedMs
    // Less than none: the clock was set back.
    if (this.#looking !== undefined || (sinceMs >= 0 && sinceMs < standbyCommittedLookMs)) return
    this.#lookedMs = nowMs
    this.#looking = this.#read(numbers).finally(() => {
      this.#looking = undefined
    })
  }

  /** Waits for the reading under way. */
  async settled(): Promise<void> {
    await this.#looking
  }

  /** One number after the other: what one thread commits is seldom in the middle of a transaction, what all of them commit often is. */
  async #read(numbers: ReadonlySet<number>): Promise<void> {
    const known = new Map<string, readonly CommitMetadata[]>()
    try {
      for (const number of numbers) await this.#readNumber(number, known)
    } catch (error) {
      this.#options.logger.debug(
        { err: error },
        'committed times could not be read: copies keep all their rows meanwhile',
      )
      known.clear()
    }
    this.#committed.clear()
    for (const [id, committed] of known) this.#committed.set(id, committed)
  }

  async #readNumber(number: number, known: Map<string, readonly CommitMetadata[]>): Promise<void> {
    const { topology, plan, committed } = this.#options
    const inputsOf = new Map<string, readonly TopicPartition[]>()
    for (const subtopology of topology.subtopologies) {
      const hasJudges = subtopology.stores.some((spec) => (this.#judgesOf.get(spec) ?? []).length > 0)
      if (!hasJudges || number >= (plan.tasks[subtopology.id] ?? 0)) continue
      const task = { subtopology: subtopology.id, partition: number }
      inputsOf.set(taskId(task), this.#inputsOf(subtopology, task))
    }
    if (inputsOf.size === 0) return
    const offsets = await committed([...inputsOf.values()].flat())
    for (const [id, inputs] of inputsOf) {
      const found = inputs.flatMap((input) => offsets.get(partitionKey(input)) ?? [])
      const metadata = found.map((offset) => decodeCommitMetadata(offset.metadata)).filter((one) => one !== undefined)
      if (metadata.length === found.length) known.set(id, metadata)
    }
  }

  #inputsOf(subtopology: Subtopology, { partition }: TaskNumber): readonly TopicPartition[] {
    const { names, plan } = this.#options
    return sourcesOf(subtopology)
      .map((source) => ({ topic: names.topic(source), partition }))
      .filter(({ topic }) => partition < plan.partitionsOf(topic))
  }
}

/** A node that says which rows are over. */
interface Judge {
  readonly hash: number
  readonly processor: ReturnType<ProcessorNode['create']>
}

/** The nodes of a copied window store; none when there is one among them that does not say what is over. */
function judgesOf({ nodes }: Subtopology, spec: StoreSpec): readonly Judge[] {
  if (spec.kind !== 'window' || !spec.timestamped || !spec.changelog) return []
  const judges: Judge[] = []
  for (const node of nodes) {
    if (node.kind !== 'processor' || !node.stores.includes(spec.name)) continue
    const processor = node.create()
    if (processor.rowsOver === undefined) return []
    judges.push({ hash: nodeHash(node.name), processor })
  }
  return judges
}

function lesser(one: RowsOver, other: RowsOver): RowsOver {
  return {
    startMsMax: Math.min(one.startMsMax, other.startMsMax),
    updatedMsMax: Math.min(one.updatedMsMax, other.updatedMsMax),
  }
}
