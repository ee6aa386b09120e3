import type { FaultCommand } from './command-line.ts'

/** What a run found: `passed`, `failed` (a guarantee was broken), or `invalid` (the faults did not hit, so that it shows nothing). */
export const verdicts = ['passed', 'failed', 'invalid'] as const
export type Verdict = (typeof verdicts)[number]

/** The exit code of each verdict. 2 is for a wrong command line, 1 also for a run that could not be done. */
export const exitCodes: Readonly<Record<Verdict, number>> = { passed: 0, failed: 1, invalid: 3 }

/** What a suite may use. */
export interface SuiteContext {
  readonly command: FaultCommand
  /** An empty folder, deleted afterwards when the run has passed. */
  readonly scratch: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly report: (line: string) => void
  /** Aborted when the run is to end early. */
  readonly signal: AbortSignal
}

/** A system under faults, with checks of what must hold nevertheless. */
export interface FaultSuite {
  /** What it is, for the list of suites. */
  readonly title: string
  /** Ways to break a guarantee on purpose: each must make the run fail. */
  readonly sabotages: readonly string[]
  /** Starts what it needs, and stops it. Throws a `FaultError` when it could not be done. */
  run(context: SuiteContext): Promise<Verdict>
}
