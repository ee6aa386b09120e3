import { setTimeout as delay } from 'node:timers/promises'
import type { Component } from './component.ts'
import { LauncherError } from './errors.ts'
import type { Folders } from './folders.ts'
import { limits } from './limits.ts'
import { awaitReady, boundLog, describeExit, lastWords, type RunningProcess, startProcess } from './process.ts'

/** The running servers and services of one instance. */
export interface Stack {
  /**
   * Prepares and starts a component and waits until it does its work. `rank` orders the stop: higher ranks stop first.
   * A component that ends later is started again, within bounds. Throws a LauncherError with the cause, INTERRUPTED
   * when `starting` is aborted.
   */
  readonly start: (component: Component, rank: number, starting: AbortSignal) => Promise<void>
  /** Resolves when a component could not be kept running; never rejects. */
  readonly failed: Promise<LauncherError>
  /** Stops everything, the highest rank first, one rank at a time. Idempotent. */
  readonly stop: () => Promise<void>
}

/** What a stack needs. */
export interface StackOptions {
  readonly folders: Folders
  readonly report: (line: string) => void
  readonly signal: AbortSignal
}

/** Creates an empty stack. */
export function createStack({ folders, report, signal }: StackOptions): Stack {
  const running = new Map<string, { component: Component; rank: number; process: RunningProcess }>()
  const failed = Promise.withResolvers<LauncherError>()
  let stopping: Promise<void> | undefined

  const logWatch = setInterval(() => {
    for (const { process } of running.values()) boundLog(process.logFile)
  }, limits.logCheckMs)
  logWatch.unref()

  return {
    failed: failed.promise,
    start: async (component, rank, starting) => {
      const { name, title } = component
      const started = performance.now()
      const seconds = () => `${((performance.now() - started) / 1_000).toFixed(1)} s`
      const progress = setInterval(() => report(`  ${name.padEnd(16)} starting, ${seconds()}`), limits.progressMs)
      try {
        await component.prepare(starting)
        if (starting.aborted) throw new LauncherError('INTERRUPTED', 'Stopped while starting')
        const process = startProcess(component.spec, folders)
        running.set(name, { component, rank, process })
        await awaitReady(process, { check: component.isReady, deadlineMs: component.readyDeadlineMs, signal: starting })
        watch(component, rank, process, [])
      } finally {
        clearInterval(progress)
      }
      report(`  ${name.padEnd(16)} ready in ${seconds().padStart(6)}   ${title}, ${component.address}`)
    },
    stop: () => {
      stopping ??= stopAll()
      return stopping
    },
  }

  /** Starts a component again when it ends by itself; gives up, with the cause, when that does not help. */
  function watch(component: Component, rank: number, process: RunningProcess, restarts: readonly number[]): void {
    void process.exit.then(async (exit) => {
      if (stopping !== undefined || signal.aborted) return
      const now = performance.now()
      const recent = restarts.filter((at) => now - at < limits.restarts.windowMs)
      const what = `${component.name} ${describeExit(exit)}`
      if (recent.length >= limits.restarts.max) {
        const minutes = limits.restarts.windowMs / 60_000
        failed.resolve(
          new LauncherError(
            'ENDED_EARLY',
            `${what}, after ${recent.length} restarts in ${minutes} minutes. ${lastWords(process)}`,
          ),
        )
        return
      }
      report(
        `  ${component.name.padEnd(16)} ${describeExit(exit)}; starting it again (${recent.length + 1} of ${limits.restarts.max}). Its log: ${process.logFile}`,
      )
      await delay(limits.restarts.delayMs)
      if (stopping !== undefined) return
      const next = startProcess(component.spec, folders)
      running.set(component.name, { component, rank, process: next })
      const attempts = [...recent, now]
      try {
        await awaitReady(next, { check: component.isReady, deadlineMs: component.readyDeadlineMs, signal })
        report(`  ${component.name.padEnd(16)} ready again`)
      } catch (error) {
        if (stopping !== undefined || signal.aborted) return
        // Not ready and not ended: end it, so that the next attempt begins clean.
        if (next.exited() === undefined) await next.stop()
        if (attempts.length >= limits.restarts.max) {
          failed.resolve(
            error instanceof LauncherError ? error : new LauncherError('ENDED_EARLY', what, { cause: error }),
          )
          return
        }
      }
      watch(component, rank, next, attempts)
    })
  }

  async function stopAll(): Promise<void> {
    clearInterval(logWatch)
    const ranks = [...new Set([...running.values()].map(({ rank }) => rank))].sort((a, b) => b - a)
    for (const rank of ranks) {
      const group = [...running.values()].filter((one) => one.rank === rank)
      await Promise.all(group.map(({ process }) => process.stop()))
    }
  }
}
