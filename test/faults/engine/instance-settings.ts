import type { StreamsAppOptions } from '@millrace/streams'

/** Places in the engine where an instance may be told to stop. */
export type FailpointName = Parameters<NonNullable<StreamsAppOptions['failpoint']>>[0]

/** What an instance is told at its start, as JSON in its first argument. */
export interface InstanceSettings {
  readonly brokers: readonly string[]
  readonly stateDirectory: string
  readonly guarantee: 'exactly_once' | 'at_least_once'
  /** How many others keep copies of each instance's state. */
  readonly numStandbys: number
  /** What to do at a failpoint, from the start on. */
  readonly order: InstanceOrder | undefined
}

/** What an instance is told while it runs, as a line of JSON on its standard input: to send itself a signal at a failpoint. */
export interface InstanceOrder {
  readonly failpoint: FailpointName
  /** At the n-th pass from now on. */
  readonly pass: number
  readonly signal: 'SIGKILL' | 'SIGSTOP'
}

/** What an instance tells, as lines of JSON on its standard output. */
export type InstanceReport =
  /** The first: who it is for the broker. */
  | { readonly event: 'opened'; readonly transactionalId: string }
  | { readonly event: 'state'; readonly state: string }
  /** Just before the signal. */
  | { readonly event: 'failpoint'; readonly failpoint: string }
  /** Work was dropped, to be done again. */
  | { readonly event: 'restarted'; readonly code: string }
  /** A warning of the engine with the reason for it. */
  | { readonly event: 'warned'; readonly message: string; readonly code: string; readonly reason: string }
  /** Stores were read from their changelogs. */
  | { readonly event: 'restored'; readonly records: number }
  | { readonly event: 'dropped'; readonly reason: string; readonly records: number }
  /** Every second: what was committed since the last of these, the partition numbers that it processes, and stores of which it keeps a copy. */
  | {
      readonly event: 'committed'
      readonly commits: number
      readonly records: number
      readonly changelogRecords: number
      readonly numbers: readonly number[]
      readonly copies: number
    }
