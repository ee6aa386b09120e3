import type { BenchCommand } from './command-line.ts'
import type { Figure } from './figures.ts'

/** What a bench is given. */
export interface BenchContext {
  readonly command: BenchCommand
  /** A folder of this run, deleted afterwards. */
  readonly scratch: string
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Says how far it is. */
  readonly report: (line: string) => void
  /** Aborted when the person has had enough. */
  readonly signal: AbortSignal
}

/** What a bench found. */
export interface BenchResult {
  readonly figures: readonly Figure[]
  /** The table for people. */
  readonly text: string
}

/**
 * One bench. Hands its result to `show`, and has stopped what it started when it resolves, also when it throws: a `BenchError` when it could
 * not measure, or when what it measured was wrong. Then there is no result.
 */
export type Bench = (context: BenchContext, show: (result: BenchResult) => void) => Promise<void>
