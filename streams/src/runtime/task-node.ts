import { StreamsError } from '../core/errors.ts'
import type { StreamRecord } from '../core/record.ts'
import type { DropReason, LateFor, Processor, ProcessorContext, RecordOrigin } from '../processor/processor.ts'
import type { TaskStore } from '../state/store.ts'
import type { ProcessorNode } from '../topology/topology.ts'
import type { SourceRecord } from './failures.ts'
import type { TaskState } from './task-state.ts'
import { processingError } from './task-state.ts'

/** What takes records from a node. */
export interface Receiver {
  accept(record: StreamRecord<unknown, unknown>): void
}

/** A record that waits for rows to be loaded. */
interface WaitingRecord {
  readonly record: StreamRecord<unknown, unknown>
  readonly source: SourceRecord | undefined
  readonly streamTimeMs: number
}

/**
 * One processor in one task. Records go straight through, depth first, as long as all rows they read are in memory. One whose rows are not
 * waits, and so do those behind it, until `drain` has loaded the rows of all of them in one go: the order at each node is kept.
 */
export class TaskNode implements Receiver, ProcessorContext<unknown, unknown> {
  readonly name: string
  readonly taskId: string
  readonly partition: number
  readonly children: Receiver[] = []
  restoredTimes: readonly number[] = []
  /** Records that came, since the start. Counted whether or not somebody asks: an increment costs less than asking. */
  records = 0
  readonly #processor: Processor<unknown, unknown, unknown, unknown>
  readonly #reads: boolean
  readonly #lateTopic: string | undefined
  readonly #stores: ReadonlyMap<string, TaskStore>
  readonly #state: TaskState
  #waiting: WaitingRecord[] = []

  constructor(node: ProcessorNode, state: TaskState) {
    this.name = node.name
    this.taskId = state.taskId
    this.partition = state.partition
    this.#state = state
    this.#lateTopic = node.lateTopic
    this.#processor = node.create()
    this.#reads = this.#processor.reads !== undefined
    this.#stores = new Map(node.stores.map((name) => [name, storeOf(state, name)]))
  }

  async init(): Promise<void> {
    await this.#processor.init?.(this)
  }

  accept(record: StreamRecord<unknown, unknown>): void {
    this.records++
    if (this.#reads) {
      const isLoaded = this.#processor.reads?.(record) !== false
      if (!isLoaded || this.#waiting.length > 0) {
        this.#wait(record)
        return
      }
    }
    this.#processor.process(record)
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0
  }

  /** Loads the rows that waiting records read and processes those records. */
  async drain(): Promise<void> {
    for (const store of this.#stores.values()) await store.load()
    const waiting = this.#waiting
    this.#waiting = []
    const state = this.#state
    for (const { record, source, streamTimeMs } of waiting) {
      state.source = source
      state.streamTimeMs = streamTimeMs
      try {
        this.#processor.process(record)
      } catch (cause) {
        state.failed(cause, { source, node: this.name })
      }
    }
    state.source = undefined
    state.streamTimeMs = state.streamTime.nowMs
  }

  async flush(): Promise<void> {
    try {
      await this.#processor.flush?.()
    } catch (cause) {
      throw processingError(cause, this.name)
    }
  }

  times(): readonly number[] {
    return this.#processor.times?.() ?? []
  }

  close(): void {
    this.#processor.close?.()
  }

  forward(record: StreamRecord<unknown, unknown>): void {
    const children = this.children
    for (let i = 0; i < children.length; i++) children[i]?.accept(record)
  }

  store(name: string): TaskStore {
    const store = this.#stores.get(name)
    if (store !== undefined) return store
    throw new StreamsError(
      'INVALID_STATE',
      `node "${this.name}" asks for the store "${name}", which is not among its own`,
      {
        store: name,
      },
    )
  }

  streamTimeMs(): number {
    return this.#state.streamTimeMs
  }

  nowMs(): number {
    return this.#state.clock.nowMs()
  }

  origin(): RecordOrigin | undefined {
    const source = this.#state.source
    return source && { topic: source.topic, partition: source.partition, offset: source.offset }
  }

  dropped(reason: DropReason, records: number, window?: LateFor): void {
    this.#state.dropped(this.name, reason, { records, window })
    if (window !== undefined && this.#lateTopic !== undefined) this.#state.sendLate(this.name, this.#lateTopic, window)
  }

  requestCommit(): void {
    this.#state.commitRequested = true
  }

  #wait(record: StreamRecord<unknown, unknown>): void {
    const { source, streamTimeMs } = this.#state
    this.#waiting.push({ record, source: source?.snapshot(), streamTimeMs })
  }
}

function storeOf(state: TaskState, name: string): TaskStore {
  const store = state.stores.get(name)
  if (store === undefined)
    throw new StreamsError('INVALID_STATE', `task ${state.taskId} was given no store "${name}"`, { store: name })
  return store
}
