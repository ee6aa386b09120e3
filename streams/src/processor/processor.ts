import type { StreamRecord } from '../core/record.ts'
import type { TaskStore } from '../state/store.ts'

/** Why a record was dropped. */
export const dropReasons = ['late', 'null-key', 'negative-timestamp', 'undecodable', 'window-expired'] as const
export type DropReason = (typeof dropReasons)[number]

/** What a node of the graph does with each record. One instance per task: it may keep state, but what must survive belongs in a store. */
export interface Processor<KI, VI, KO, VO> {
  /** Called once, before any record, after the stores are restored. May load rows. */
  init?(context: ProcessorContext<KO, VO>): void | Promise<void>
  /** Names the rows that `process` will read, with `store.want`. A node without stores has none. */
  reads?(record: StreamRecord<KI, VI>): void
  /** Handles one record; synchronous. Every row it reads has been loaded. */
  process(record: StreamRecord<KI, VI>): void
  /**
   * Commit, step 1, before changes are drained: forwards what is held back (pre-aggregates, cached updates, results of windows that have closed).
   * Nodes are flushed in topological order, so that a node's `process` sees what its parents flushed before it is flushed itself.
   */
  flush?(): void | Promise<void>
  /** The transaction was aborted: forget what was held since the last commit. The task is then closed and built anew; here for what lives outside. */
  close?(): void
}

/** What a processor may use of its task. */
export interface ProcessorContext<KO, VO> {
  readonly taskId: string
  readonly partition: number
  forward(record: StreamRecord<KO, VO>): void
  store(name: string): TaskStore
  /**
   * The task's stream time, −1 before the first record: the largest timestamp polled so far, or, where all inputs carry watermarks, the
   * minimum of the sources' stream times, idle ones excepted. Never goes back, also not over restarts (it travels with the committed offsets).
   */
  streamTimeMs(): number
  /** Wall clock, for `updated_at` and the like: never for windows. */
  nowMs(): number
  /** Where the current record came from; undefined during `flush`. */
  origin(): { readonly topic: string; readonly partition: number; readonly offset: number } | undefined
  /** Counts records that are dropped (`records` of a partial may be more than one). */
  dropped(reason: DropReason, records: number, detail?: { readonly windowStartMs: number; readonly streamTimeMs: number }): void
}
