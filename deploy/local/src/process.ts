import { type ChildProcess, spawn } from 'node:child_process'
import {
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { LauncherError } from './errors.ts'
import type { Folders } from './folders.ts'
import { limits } from './limits.ts'
import { lastLines } from './log-tail.ts'

/** The script that every child runs under; its own comment says what it promises. */
export const guardScript = fileURLToPath(new URL('./guard.sh', import.meta.url))

/** When a child has to go in an ordered stop, and how long it may take: our services before the servers. */
export const processKinds = ['service', 'registry', 'server'] as const
export type ProcessKind = (typeof processKinds)[number]

/** What to run. `env` is the whole environment of the child: nothing is inherited unless it is named here. */
export interface ProcessSpec {
  readonly name: string
  readonly kind: ProcessKind
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd?: string
}

/** How a child ended: an exit code, or the signal that ended it. */
export interface ProcessExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A child of the launcher. */
export interface RunningProcess {
  readonly name: string
  readonly logFile: string
  /** Where in its log file this start begins. */
  readonly logStart: number
  /** Resolves once, when the child has ended, however it ended. Never rejects. */
  readonly exit: Promise<ProcessExit>
  /** The exit, once there is one. */
  readonly exited: () => ProcessExit | undefined
  /** SIGTERM, then SIGKILL to its whole group after the deadline of its kind. Idempotent; resolves when it is gone. */
  readonly stop: () => Promise<void>
}

/**
 * Starts a child under the guard, in a process group of its own (Ctrl-C must not reach it before its turn), with its
 * output appended to `logs/<name>.log`. The child ends also when this process is killed.
 */
export function startProcess(spec: ProcessSpec, folders: Folders): RunningProcess {
  const logFile = join(folders.logs, `${spec.name}.log`)
  rollLog(logFile)
  const log = openSync(logFile, 'a', 0o600)
  const logStart = fstatSync(log).size
  const kind = spec.kind === 'service' ? 'service' : 'server'
  const stopDeadlineMs = limits.stopDeadlineMs[kind]
  const pidFile = pidFileOf(folders, spec.name)
  // One of an earlier run would say that this guard is ready.
  rmSync(pidFile, { force: true })
  const args = [
    guardScript,
    pidFile,
    limits.orphanDelayS[spec.kind],
    stopDeadlineMs / 1_000,
    spec.command,
    ...spec.args,
  ]
  let child: ChildProcess
  try {
    child = spawn('/bin/sh', args.map(String), {
      cwd: spec.cwd ?? folders.instance,
      env: { ...spec.env },
      detached: true,
      stdio: ['ignore', log, log, 'pipe'],
    })
  } finally {
    closeSync(log)
  }

  let ended: ProcessExit | undefined
  const exit = new Promise<ProcessExit>((resolve) => {
    const end = (code: number | null, signal: NodeJS.Signals | null) => {
      // A guard that was killed leaves its child behind: the group goes with it.
      if (signal !== null) killGroup(child)
      ended ??= toExit(code, signal)
      resolve(ended)
    }
    child.once('exit', end)
    child.once('error', () => end(127, null))
  })
  // The guard never writes to the pipe; it may close its end before we do.
  child.stdio[3]?.on('error', () => undefined)

  let stopping: Promise<void> | undefined
  return {
    name: spec.name,
    logFile,
    logStart,
    exit,
    exited: () => ended,
    stop: () => {
      stopping ??= stopChild()
      return stopping
    },
  }

  async function stopChild(): Promise<void> {
    // A guard that is just starting cannot pass a signal on yet.
    const guardDeadline = performance.now() + limits.guardDeadlineMs
    while (ended === undefined && !existsSync(pidFile) && performance.now() < guardDeadline) {
      await Promise.race([delay(limits.guardPollMs), exit])
    }
    if (ended !== undefined) return
    child.kill('SIGTERM')
    const cancel = new AbortController()
    const late = delay(stopDeadlineMs, 'late', { signal: cancel.signal }).catch(() => 'cancelled')
    if ((await Promise.race([exit, late])) === 'late') {
      killGroup(child)
      await exit
    }
    cancel.abort()
  }
}

/** Where the guard notes the ids of the child and of itself. */
export function pidFileOf(folders: Folders, name: string): string {
  return join(folders.run, `${name}.pid`)
}

/** The id of the child itself (not of its guard), or undefined when it does not run. */
export function childPid(folders: Folders, name: string): number | undefined {
  const file = pidFileOf(folders, name)
  if (!existsSync(file)) return undefined
  const pid = Number(readFileSync(file, 'utf8').split(' ')[0])
  return Number.isInteger(pid) && pid > 1 ? pid : undefined
}

/** What to wait for, and for how long. */
export interface Readiness {
  /** Answers whether the server does its work now. May throw while it is not up yet: that counts as no. */
  readonly check: (signal: AbortSignal) => Promise<boolean>
  readonly deadlineMs: number
  readonly signal: AbortSignal
}

/**
 * Waits until `check` says yes. Throws ENDED_EARLY when the child ends before, NOT_READY after the deadline, both with
 * the last lines of its log, and INTERRUPTED when `signal` is aborted.
 */
export async function awaitReady(process: RunningProcess, readiness: Readiness): Promise<void> {
  const { check, deadlineMs, signal } = readiness
  const started = performance.now()
  let cause: unknown = 'it does not answer as it should'
  while (true) {
    if (signal.aborted) throw new LauncherError('INTERRUPTED', 'Stopped while starting')
    const exit = process.exited()
    if (exit !== undefined) {
      throw new LauncherError(
        'ENDED_EARLY',
        `${process.name} ${describeExit(exit)} before it was ready. ${lastWords(process)}`,
      )
    }
    const elapsedMs = performance.now() - started
    if (elapsedMs > deadlineMs) {
      throw new LauncherError(
        'NOT_READY',
        `${process.name} was not ready within ${Math.round(deadlineMs / 1_000)} s (${describeCause(cause)}). ${lastWords(process)}`,
        { cause },
      )
    }
    try {
      if (await check(AbortSignal.timeout(limits.probeTimeoutMs))) return
    } catch (error) {
      cause = error
    }
    await Promise.race([delay(limits.readyPollMs), process.exit])
  }
}

function describeCause(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  return cause.cause instanceof Error ? `${cause.message}: ${cause.cause.message}` : cause.message
}

/** The last lines of the child's log, introduced for a message. */
export function lastWords(process: Pick<RunningProcess, 'logFile' | 'logStart'>): string {
  const lines = lastLines(process.logFile, limits.logLinesShown, process.logStart)
  if (lines.length === 0) return `It wrote nothing to ${process.logFile}`
  return `Its last lines (${process.logFile}):\n${lines.map((line) => `    ${line}`).join('\n')}`
}

/** "ended with code 78" or "was ended by SIGKILL". */
export function describeExit(exit: ProcessExit): string {
  return exit.signal === null ? `ended with code ${exit.code}` : `was ended by ${exit.signal}`
}

/** Runs a command to its end, output to `logs/<name>.log`; throws `code` with its last lines when it fails. */
export async function runCommand(
  spec: ProcessSpec,
  folders: Folders,
  options: { deadlineMs: number; signal: AbortSignal; code: 'PREPARE_FAILED' | 'COMMAND_FAILED' },
): Promise<void> {
  const process = startProcess(spec, folders)
  const cancel = new AbortController()
  const limit = AbortSignal.any([options.signal, cancel.signal])
  const late = delay(options.deadlineMs, undefined, { signal: limit }).catch(() => undefined)
  await Promise.race([process.exit, late])
  cancel.abort()
  const exit = process.exited()
  if (exit === undefined) {
    await process.stop()
    if (options.signal.aborted) throw new LauncherError('INTERRUPTED', 'Stopped while starting')
    const seconds = Math.round(options.deadlineMs / 1_000)
    throw new LauncherError(options.code, `${spec.name} did not finish within ${seconds} s. ${lastWords(process)}`)
  }
  if (exit.code !== 0) {
    throw new LauncherError(options.code, `${spec.name} ${describeExit(exit)}. ${lastWords(process)}`)
  }
}

/** Moves a log that has grown past its bound aside. The writer appends, so that it goes on at the new beginning. */
export function boundLog(logFile: string): void {
  if (!existsSync(logFile) || statSync(logFile).size < limits.logBytesMax) return
  copyFileSync(logFile, `${logFile}.1`)
  truncateSync(logFile, 0)
}

/** A process id of the launcher's environment that a child may see: what programs need to run at all. */
export function baseEnvironment(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const kept = ['PATH', 'HOME', 'USER', 'LOGNAME', 'TMPDIR', 'LANG', 'LC_ALL', 'TZ', 'LD_LIBRARY_PATH']
  const entries = kept.map((name) => [name, environment[name]] as const)
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== undefined))
}

function rollLog(logFile: string): void {
  if (existsSync(logFile) && statSync(logFile).size > limits.logBytesMax / 8) renameSync(logFile, `${logFile}.1`)
}

/** A shell reports a child's signal as 128 + its number. */
function toExit(code: number | null, signal: NodeJS.Signals | null): ProcessExit {
  if (code === null || code <= 128) return { code, signal }
  const name = signalNames.find((candidate) => constants.signals[candidate] === code - 128)
  return name === undefined ? { code, signal } : { code: null, signal: name }
}

const signalNames: readonly NodeJS.Signals[] = [
  'SIGTERM',
  'SIGKILL',
  'SIGINT',
  'SIGHUP',
  'SIGABRT',
  'SIGSEGV',
  'SIGBUS',
  'SIGILL',
  'SIGFPE',
  'SIGPIPE',
  'SIGQUIT',
]

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch (error) {
    // ESRCH: the whole group has ended already, which is what was wanted.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}
