import type { StreamRecord } from '../core/record.ts'
import type { TaskStore } from '../state/store.ts'

/**
 * Why a record was dropped. `late`: too late for a window, once per window. `null-key`, `null-value`: an operator that needs one met none;
 * `null-key-repartition`: a record without a key on its way to a repartition topic, which Kafka Streams drops without counting.
 */
export const dropReasons = [
  'late',
  'null-key',
  'null-key-repartition',
  'null-value',
  'negative-timestamp',
  'undecodable',
  'failed',
] as const
export type DropReason = (typeof dropReasons)[number]

/** What a node of the graph does with each record. One instance per task: it may keep state, but what must survive belongs in a store. */
export interface Processor<KI, VI, KO, VO> {
  /** Called once, before any record, after the stores are restored. May load rows. */
  init?(context: ProcessorContext<KO, VO>): void | Promise<void>
  /**
   * Asks for the rows that `process` will read, with `store.want`, and says whether all are there already. If not, the record waits until
   * they are loaded, together with those of the records behind it. A node without stores has none.
   */
  reads?(record: StreamRecord<KI, VI>): boolean
  /** Handles one record; synchronous. Every row it reads has been loaded. */
  process(record: StreamRecord<KI, VI>): void
  /**
   * Commit, step 1, before changes are drained: forwards what is held back (pre-aggregates, updates, results of windows that have closed).
   * Nodes are flushed in topological order, so that a node's `process` sees what its parents flushed before it is flushed itself.
   */
  flush?(): void | Promise<void>
  /** Times that must survive with the committed offsets, such as an observed stream time; each −1 or more. Asked after `flush`. */
  times?(): readonly number[]
  /**
   * Which rows of its window store a task has done with that committed these times: copies of the store forget them. Undefined: none. Whatever
   * holds for one commit must hold for all later ones. Pure, and asked of processors that were not initialised. Absent: copies keep every row.
   */
  rowsOver?(committed: CommittedTimes): RowsOver | undefined
  /** The task is closed; for what lives outside of it. After an aborted transaction the task is closed and built anew. */
  close?(): void
}

/** What a task has committed of its stream time, −1 when it had none, and of the times of one node. */
export interface CommittedTimes {
  readonly streamTimeMs: number
  readonly times: readonly number[]
}

/** Rows of a window store that are over: those for which both hold. */
export interface RowsOver {
  /** Their windows start then, or before. */
  readonly startMsMax: number
  /** Their last update was then, or before; infinite when it does not matter. */
  readonly updatedMsMax: number
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
  /** What `times` said at the last commit before this task was started; empty when that is not known. */
  readonly restoredTimes: readonly number[]
  /** Wall clock, for `updated_at` and the like: never for windows. */
  nowMs(): number
  /** Where the current record came from; undefined during `flush`. */
  origin(): RecordOrigin | undefined
  /** Counts records that are dropped (`records` of a partial may be more than one). */
  dropped(reason: DropReason, records: number, window?: LateFor): void
  /** Asks for a commit soon, because memory is held that a commit lets go of. */
  requestCommit(): void
}

/** Where a record was read. */
export interface RecordOrigin {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** The window that a late record was too late for. */
export interface LateFor {
  readonly windowStartMs: number
  readonly streamTimeMs: number
}
