import { CaseError } from './case-error.ts'
import { type ConformanceCase, readCases } from './case-format.ts'
import { runCase } from './case-run.ts'
import { differenceOf } from './comparison.ts'
import { unsupportedOf } from './unsupported.ts'

/** What the cases of a file gave. */
export interface FileResult {
  readonly passed: number
  readonly failures: readonly CaseFailure[]
  readonly skipped: number
  /** How many cases each operator that is not supported keeps from running; a case may have several. */
  readonly unsupported: ReadonlyMap<string, number>
}

/** A case that failed, and how. */
export interface CaseFailure {
  readonly name: string
  readonly difference: string
}

/** Runs all cases of a file's text. Throws `CaseError` when the file as a whole cannot be read. */
export async function runCases(text: string): Promise<FileResult> {
  const failures: CaseFailure[] = []
  const unsupported = new Map<string, number>()
  let passed = 0
  let skipped = 0
  for (const each of readCases(text)) {
    const outcome = await outcomeOf(each)
    if (outcome.kind === 'passed') passed++
    else if (outcome.kind === 'failed') failures.push({ name: each.name, difference: outcome.difference })
    else {
      skipped++
      for (const operator of outcome.operators) unsupported.set(operator, (unsupported.get(operator) ?? 0) + 1)
    }
  }
  return { passed, failures, skipped, unsupported }
}

type Outcome =
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly difference: string }
  | { readonly kind: 'skipped'; readonly operators: readonly string[] }

async function outcomeOf(of: ConformanceCase): Promise<Outcome> {
  try {
    const operators = unsupportedOf(of)
    if (operators.length > 0) return { kind: 'skipped', operators }
    const difference = differenceOf(of, await runCase(of))
    return difference === undefined ? { kind: 'passed' } : { kind: 'failed', difference }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const difference = error instanceof CaseError ? message : `the runner failed: ${message}`
    return { kind: 'failed', difference }
  }
}
