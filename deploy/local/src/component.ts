import type { ProcessSpec } from './process.ts'

/** One server or service as the launcher sees it. */
export interface Component {
  readonly name: string
  /** What a person would call it, with its version. */
  readonly title: string
  /** Where it listens, for people. */
  readonly address: string
  readonly readyDeadlineMs: number
  /** Creates its data folder and configuration when they are missing. Called once, before the first start. */
  readonly prepare: (signal: AbortSignal) => Promise<void>
  readonly spec: ProcessSpec
  /** Whether it does its work now: more than an open port. May throw while it is not up. */
  readonly isReady: (signal: AbortSignal) => Promise<boolean>
}
