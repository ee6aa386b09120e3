import { type FetchedBatches, partitionKey, type TopicPartition } from '../core/broker.ts'
import type { CommittedRows } from '../state/store.ts'
import { bufferedBytesMax } from './limits.ts'
import type { TaskSnapshot } from './probes.ts'
import type { StreamTask } from './task.ts'

/** A task that is being run, with what the thread knows of its inputs. */
export interface ActiveTask {
  readonly task: StreamTask
  readonly inputs: readonly ActiveInput[]
  lastArrivalMs: number
  /** Has records, and waits for those of another input that come before them. */
  starved: boolean
  idle: boolean
}

/** An input of a task. */
export interface ActiveInput extends TopicPartition {
  /** Where reading began. */
  readonly startOffset: number
  highWatermark: number
  paused: boolean
}

/** The tasks of one thread, by their numbers and by their inputs. */
export class TaskSet implements Iterable<ActiveTask> {
  readonly #tasks = new Map<string, ActiveTask>()
  readonly #byInput = new Map<string, { readonly active: ActiveTask; readonly input: ActiveInput }>()

  get size(): number {
    return this.#tasks.size
  }

  [Symbol.iterator](): Iterator<ActiveTask> {
    return this.#tasks.values()
  }

  get streamTasks(): readonly StreamTask[] {
    return [...this.#tasks.values()].map(({ task }) => task)
  }

  has(id: string): boolean {
    return this.#tasks.has(id)
  }

  /** The committed rows of a store in a partition; undefined when no task here has them. */
  committedRows(store: string, partition: number): CommittedRows | undefined {
    for (const { task } of this.#tasks.values()) {
      const rows = task.partition === partition ? task.committedRows(store) : undefined
      if (rows !== undefined) return rows
    }
    return undefined
  }

  add(active: ActiveTask): void {
    this.#tasks.set(active.task.id, active)
    for (const input of active.inputs) this.#byInput.set(partitionKey(input), { active, input })
  }

  /** Hands what was fetched to its task. False when the task has enough of it; also when the partition is none of ours any more. */
  feed(fetched: FetchedBatches, nowMs: number): boolean {
    const found = this.#byInput.get(partitionKey(fetched))
    if (found === undefined) return false
    const { active, input } = found
    input.highWatermark = fetched.highWatermark
    active.lastArrivalMs = nowMs
    active.idle = false
    active.starved = false
    active.task.add(fetched)
    input.paused = active.task.bufferedBytes > bufferedBytesMax
    return !input.paused
  }

  /** Takes out the tasks that read any of these partitions. */
  remove(partitions: readonly TopicPartition[]): readonly ActiveTask[] {
    const removed = new Set<ActiveTask>()
    for (const partition of partitions) {
      const found = this.#byInput.get(partitionKey(partition))
      if (found !== undefined) removed.add(found.active)
    }
    for (const active of removed) {
      this.#tasks.delete(active.task.id)
      for (const input of active.inputs) this.#byInput.delete(partitionKey(input))
    }
    return [...removed]
  }

  /** Takes out all tasks. */
  clear(): readonly ActiveTask[] {
    const all = [...this.#tasks.values()]
    this.#tasks.clear()
    this.#byInput.clear()
    return all
  }

  snapshot(): readonly TaskSnapshot[] {
    return [...this.#tasks.values()].map(({ task, inputs }) => ({
      id: task.id,
      streamTimeMs: task.streamTimeMs,
      bufferedBytes: task.bufferedBytes,
      nodes: task.nodes,
      stores: task.storesInMemory,
      inputs: inputs.map(({ topic, partition, startOffset, highWatermark }) => ({
        topic,
        partition,
        position: task.position(topic) ?? startOffset,
        highWatermark,
      })),
    }))
  }
}
