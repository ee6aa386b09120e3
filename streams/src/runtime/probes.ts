import type { StreamsErrorCode } from '../core/errors.ts'
import type { TaskStoreStats } from '../state/store.ts'
import type { RestoreProgress } from './recovery.ts'
import type { RunState } from './run-states.ts'
import type { StandbySnapshot } from './standby-replicas.ts'
import type { TaskProbes } from './task.ts'

/** What an application tells whoever watches; each is optional and costs nothing when absent. Called synchronously: must not throw. */
export interface AppProbes extends TaskProbes {
  stateChanged?(to: RunState, from: RunState): void
  /** Records taken from the inputs of a task, late and undecodable ones too. */
  processed?(taskId: string, records: number): void
  committed?(commit: {
    readonly durationMs: number
    readonly tasks: number
    readonly records: number
    readonly changelogRecords: number
  }): void
  restoring?(progress: RestoreProgress): void
  /** Work since the last commit was dropped, to be done again. */
  restarted?(code: StreamsErrorCode): void
}

/** Where an application is, for people and gauges. */
export interface AppSnapshot {
  readonly state: RunState
  readonly tasks: readonly TaskSnapshot[]
  /** Of the restores under way. */
  readonly restore: RestoreProgress | undefined
  /** Of the copies that are kept for other members. */
  readonly standbys: readonly StandbySnapshot[]
}

/** Where a task is. */
export interface TaskSnapshot {
  readonly id: string
  /** −1 before the first record. */
  readonly streamTimeMs: number
  readonly bufferedBytes: number
  readonly inputs: readonly InputSnapshot[]
  readonly nodes: readonly NodeSnapshot[]
  readonly stores: readonly StoreInMemory[]
}

/** How many records came to a node since its task was started. */
export interface NodeSnapshot {
  readonly name: string
  readonly records: number
}

/** What a task holds of a store in memory, and how often that was enough, since it was started. */
export interface StoreInMemory extends TaskStoreStats {
  readonly name: string
}

/** How far an input partition is read. The lag is `highWatermark − position`, transaction markers included. */
export interface InputSnapshot {
  readonly topic: string
  readonly partition: number
  readonly position: number
  /** As of the last answer that had records of this partition. */
  readonly highWatermark: number
}
