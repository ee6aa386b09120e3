import { writeFileSync } from 'node:fs'
import { stripVTControlCharacters } from 'node:util'
import type { Reporter, TestModule } from 'vitest/node'

/** What came of a run of vitest. */
export interface TestReport {
  readonly passed: number
  readonly failures: readonly TestFailure[]
}

/** Something that failed: a test, a file outside of its tests, or, with neither, an error that nobody has met. */
export interface TestFailure {
  /** Its absolute path; empty for an error that nobody has met. */
  readonly file: string
  /** Empty for a file. */
  readonly test: string
  readonly reason: string
}

/** What vitest knows of an error. */
export interface TestError {
  readonly name?: string | undefined
  readonly message: string
  /** A text, where something found was compared with what was expected. */
  readonly diff?: unknown
  readonly cause?: unknown
}

/** Writes the report of a run into a file at its end, for the score of `npm test`: vitest's own reports leave out differences, causes and unhandled errors. None without a file. */
export function scoreReporter(file: string | undefined): Reporter {
  return {
    onTestRunEnd(modules, unhandled) {
      if (file !== undefined) writeFileSync(file, JSON.stringify(reportOf(modules, unhandled)))
    },
  }
}

function reportOf(modules: readonly TestModule[], unhandled: readonly TestError[]): TestReport {
  const failures: TestFailure[] = []
  let passed = 0
  for (const module of modules) {
    const file = module.moduleId
    for (const test of module.children.allTests()) {
      const { state, errors } = test.result()
      if (state === 'passed') passed++
      if (state === 'failed') failures.push({ file, test: test.fullName, reason: reasonsOf(errors ?? []) })
    }
    for (const suite of module.children.allSuites()) {
      const errors = suite.errors()
      if (errors.length > 0) failures.push({ file, test: suite.fullName, reason: reasonsOf(errors) })
    }
    const errors = module.errors()
    if (errors.length > 0) failures.push({ file, test: '', reason: reasonsOf(errors) })
  }
  for (const error of unhandled) failures.push({ file: '', test: '', reason: `unhandled: ${reasonOf(error)}` })
  return { passed, failures }
}

function reasonsOf(errors: readonly TestError[]): string {
  return errors.length === 0 ? 'no message' : errors.map(reasonOf).join('; then ')
}

/** The message, the lines in which found and expected differ, and what was the cause. */
export function reasonOf(error: TestError): string {
  const lines = stripVTControlCharacters(typeof error.diff === 'string' ? error.diff : '').split('\n')
  // Its first two lines say which mark is which.
  const different = lines.filter((line) => /^[-+] (?!Expected$|Received$)/.test(line))
  const difference = different.length === 0 ? '' : `: ${different.map((line) => line.trim()).join(' ')}`
  // Vitest names it `Caused by: Error`.
  const cause = isError(error.cause) ? ` ${reasonOf(error.cause)}` : ''
  return `${error.name ?? 'Error'}: ${withoutStack(error.message)}${difference}${cause}`
}

/** Messages of programs that failed hold stack traces of theirs. */
function withoutStack(message: string): string {
  const [said = ''] = stripVTControlCharacters(message).split(/^\s+at /m, 1)
  return said.trim()
}

function isError(cause: unknown): cause is TestError {
  return typeof cause === 'object' && cause !== null && 'message' in cause && typeof cause.message === 'string'
}
