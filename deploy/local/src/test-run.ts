import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { stripVTControlCharacters } from 'node:util'
import { portSettings, portsFrom } from './config.ts'
import { LauncherError } from './errors.ts'
import { type Folders, layFolders } from './folders.ts'
import { limits } from './limits.ts'
import { freePorts } from './ports.ts'
import { guardScript } from './process.ts'
import type { TestFailure, TestReport } from './score-reporter.ts'
import { bringUp, type LauncherContext } from './up.ts'

/** How many things passed, and what failed. */
export interface Score {
  readonly passed: number
  /** A line for each: what it is, and why in its first words. */
  readonly failures: readonly string[]
}

const nothing: Score = { passed: 0, failures: [] }

/** Of why a test failed; half from its begin and half from its end when there is more. */
const reasonCharsMax = 600

/** Of the services under test: the longest there is, since tests say what comes of a lead, and not how soon. */
const patience = { MILLRACE_LEAD_OUTCOME_TIMEOUT_MS: '25000' }

/**
 * The command `test`: types, lint, unit tests, then a stack of its own on free ports with empty data: the
 * packages' integration tests against its servers, then the end-to-end tests and the attacks against everything. Goes on after a
 * failure; always stops the stack. With filters, only the tests whose files match are run. Answers the exit code; what failed is listed again at
 * the end, since it may stand thousands of lines above, and the last line is `N passed, N failed`.
 */
export async function runTests(context: LauncherContext, filters: readonly string[]): Promise<number> {
  const started = performance.now()
  const folders = layFolders({
    root: context.folders.root,
    cache: context.config.cache,
    instance: join(context.config.instance, 'test'),
  })
  const reports = join(folders.instance, 'reports')
  rmSync(reports, { recursive: true, force: true })
  mkdirSync(reports, { recursive: true })
  const run = { context, folders, reports }
  const scores: Score[] = []
  if (filters.length === 0) {
    scores.push(await check(run, 'types', 'tsc', ['--noEmit']))
    scores.push(await check(run, 'types of the page', 'tsc', ['--noEmit', '-p', 'services/console']))
    scores.push(await check(run, 'types of the load scripts', 'tsc', ['--noEmit', '-p', 'k6']))
    scores.push(await check(run, 'format and lint', 'biome', ['check', '.']))
    scores.push(await check(run, 'floating promises', 'oxlint', ['--type-aware']))
  }
  scores.push(await vitest(run, 'unit', filters, {}))
  scores.push(await integration(run, filters))
  const score = sum(scores)
  const interrupted = context.signal.aborted
  context.report(
    `\n${interrupted ? 'Interrupted' : 'Done'} after ${Math.round((performance.now() - started) / 1_000)} s`,
  )
  for (const failure of score.failures) context.report(`FAILED ${failure}`)
  context.report(`${score.passed} passed, ${score.failures.length} failed`)
  return score.failures.length > 0 || interrupted ? 1 : 0
}

interface TestRun {
  readonly context: LauncherContext
  readonly folders: Folders
  readonly reports: string
}

async function integration(run: TestRun, filters: readonly string[]): Promise<Score> {
  const { context, folders } = run
  if (context.signal.aborted) return nothing
  const free = await freePorts(portSettings.length)
  const ports = portsFrom((key) => free[portSettings.findIndex((setting) => setting.key === key)] ?? 0)
  context.report(`\n── a stack for the integration tests, in ${folders.instance}`)
  const own = {
    ...context,
    environment: { ...context.environment, ...patience },
    folders,
    config: { ...context.config, ports, instance: folders.instance, logLevel: 'warn' },
  }
  const scores: Score[] = []
  try {
    const stack = await bringUp(own, { fresh: true, until: 'prepared' })
    try {
      // First the packages by themselves, which start what they test; then everything together.
      scores.push(await vitest(run, 'integration', filters, stack.variables))
      if (!context.signal.aborted) await stack.startServices()
      scores.push(await vitest(run, 'e2e', filters, stack.variables))
      scores.push(await vitest(run, 'security', filters, stack.variables))
    } finally {
      await stack.stop()
    }
  } catch (error) {
    if (!(error instanceof LauncherError)) throw error
    context.report(error.message)
    scores.push({ passed: 0, failures: [`the stack for the tests: ${reasonIn(error.message)}`] })
  }
  return sum(scores)
}

/** One tool that is green or not. */
async function check(run: TestRun, title: string, tool: string, args: readonly string[]): Promise<Score> {
  if (run.context.signal.aborted) return nothing
  run.context.report(`\n── ${title}: ${tool} ${args.join(' ')}`)
  const code = await stream(run, tool, args, {})
  return code === 0 ? { passed: 1, failures: [] } : { passed: 0, failures: [`${title}: ${tool} ended with ${code}`] }
}

async function vitest(
  run: TestRun,
  project: string,
  filters: readonly string[],
  variables: Readonly<Record<string, string>>,
): Promise<Score> {
  if (run.context.signal.aborted) return nothing
  const { folders } = run
  const report = join(run.reports, `${project}.json`)
  const args = ['run', '--project', project]
  run.context.report(`\n── ${project} tests: vitest run --project ${project} ${filters.join(' ')}`)
  const code = await stream(
    run,
    'vitest',
    [...args, ...(filters.length > 0 ? ['--passWithNoTests', ...filters] : [])],
    { ...variables, MILLRACE_TEST_REPORT: report },
  )
  const score = existsSync(report) ? scoreOf(JSON.parse(readFileSync(report, 'utf8')), folders.root) : nothing
  if (code === 0 || score.failures.length > 0) return score
  // A vitest that died: its exit code knows.
  return { ...score, failures: [`${project} tests: vitest ended with ${code}, and no test had failed`] }
}

/** Tests that passed, and what failed, with files under `root`. */
export function scoreOf({ passed, failures }: TestReport, root: string): Score {
  const lineOf = ({ file, test, reason }: TestFailure) =>
    [file === '' ? '' : relative(root, file), test, reasonIn(reason)].filter((part) => part !== '').join(': ')
  return { passed, failures: failures.map(lineOf) }
}

/** A reason on one line: the score at the end is all that is kept of a run. */
function reasonIn(message: string): string {
  const line = stripVTControlCharacters(message).trim().replaceAll(/\s+/g, ' ')
  return line.length > reasonCharsMax
    ? `${line.slice(0, reasonCharsMax / 2)} … ${line.slice(-reasonCharsMax / 2)}`
    : line
}

/** Adds scores up. */
export function sum(scores: readonly Score[]): Score {
  return {
    passed: scores.reduce((passed, score) => passed + score.passed, 0),
    failures: scores.flatMap(({ failures }) => failures),
  }
}

/** Runs a tool of node_modules with its output on ours; answers its exit code. It ends when we do. */
async function stream(
  { context, folders }: TestRun,
  tool: string,
  args: readonly string[],
  variables: Readonly<Record<string, string>>,
): Promise<number> {
  const pidFile = join(folders.instance, `${tool}.pid`)
  const command = join(folders.root, 'node_modules', '.bin', tool)
  const child = spawn('/bin/sh', [guardScript, pidFile, '0', '5', command, ...args], {
    cwd: folders.root,
    env: { ...context.inherited, ...variables },
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    detached: true,
  })
  const ended = new Promise<number>((resolve) => {
    child.once('error', () => resolve(127))
    child.once('exit', (code) => resolve(code ?? 1))
  })
  const cancel = new AbortController()
  const late = delay(limits.checkDeadlineMs, 'late', {
    signal: AbortSignal.any([cancel.signal, context.signal]),
  }).catch(() => 'aborted')
  const first = await Promise.race([ended, late])
  cancel.abort()
  if (typeof first === 'number') return first
  if (first === 'late') context.report(`${tool} did not finish within ${limits.checkDeadlineMs / 60_000} minutes`)
  child.kill('SIGTERM')
  await Promise.race([ended, delay(limits.stopDeadlineMs.service)])
  // Browsers and services that a test started belong to the group.
  if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL')
  return 1
}
