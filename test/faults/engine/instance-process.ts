import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { FaultError } from '../fault-error.ts'
import type { InstanceOrder, InstanceReport, InstanceSettings } from './instance-settings.ts'
import { exitDeadlineMs } from './limits.ts'

/** How a process ended. */
export interface InstanceExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A process that runs `instance.ts`. It ends with this one. */
export class InstanceProcess {
  readonly name: string
  readonly settings: InstanceSettings
  /** Everything it told. */
  readonly reports: InstanceReport[] = []
  /** Resolves when it is gone. */
  readonly exited: Promise<InstanceExit>
  exit: InstanceExit | undefined
  /** We wanted it to end: that it did is no failure. */
  endExpected = false
  readonly #child: ChildProcess
  readonly #logFile: string
  readonly #waiting = new Set<() => void>()

  constructor(options: { readonly name: string; readonly settings: InstanceSettings; readonly logFile: string }) {
    this.name = options.name
    this.settings = options.settings
    this.#logFile = options.logFile
    this.endExpected = options.settings.order?.signal === 'SIGKILL'
    const script = join(import.meta.dirname, 'instance.ts')
    this.#child = spawn(process.execPath, [script, JSON.stringify(options.settings)], { stdio: 'pipe' })
    const { promise, resolve } = Promise.withResolvers<InstanceExit>()
    this.exited = promise
    const killAtExit = () => this.#child.kill('SIGKILL')
    process.once('exit', killAtExit)
    this.#child.once('close', (code, signal) => {
      process.removeListener('exit', killAtExit)
      this.exit = { code, signal }
      this.#log(`ended with ${signal ?? code}`)
      resolve(this.exit)
      for (const check of this.#waiting) check()
    })
    const { stdin, stdout, stderr } = this.#child
    // It may be dead when it is told something.
    stdin?.on('error', () => undefined)
    if (stdout !== null) createInterface({ input: stdout }).on('line', (line) => this.#read(line))
    if (stderr !== null) createInterface({ input: stderr }).on('line', (line) => this.#log(line))
  }

  /** The broker's name for its producer; undefined before it has said so. */
  get transactionalId(): string | undefined {
    const opened = this.reports.find((report) => report.event === 'opened')
    return opened?.transactionalId
  }

  get state(): string {
    return this.reports.findLast((report) => report.event === 'state')?.state ?? 'starting'
  }

  /** The partition numbers that it processed when it last said so. */
  get numbers(): readonly number[] {
    return this.reports.findLast((report) => report.event === 'committed')?.numbers ?? []
  }

  /** Tells it to send itself a signal. */
  order(order: InstanceOrder): void {
    if (order.signal === 'SIGKILL') this.endExpected = true
    this.#child.stdin?.write(`${JSON.stringify(order)}\n`)
  }

  signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    if (signal === 'SIGKILL') this.endExpected = true
    this.#child.kill(signal)
  }

  /** Waits until `holds` for what was told; false when the time is over, or the process, before that. */
  async until(holds: (instance: this) => boolean, deadlineMs: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const check = () => {
      if (holds(this) || this.exit !== undefined) resolve()
    }
    this.#waiting.add(check)
    check()
    const cancel = new AbortController()
    await Promise.race([promise, delay(deadlineMs, undefined, { signal: cancel.signal }).catch(() => undefined)])
    cancel.abort()
    this.#waiting.delete(check)
    return holds(this)
  }

  /** Waits for the end of a process that was told to end. Throws a `FaultError` when it does not come. */
  async ended(): Promise<InstanceExit> {
    if (!(await this.until(({ exit }) => exit !== undefined, exitDeadlineMs))) {
      throw new FaultError(`${this.name} did not end within ${exitDeadlineMs / 1_000} s`)
    }
    return this.exited
  }

  /** Asks it to commit and end, and to leave the group or to stay a member. */
  async stop(leaves: boolean): Promise<InstanceExit> {
    this.endExpected = true
    this.#child.kill(leaves ? 'SIGTERM' : 'SIGINT')
    return await this.ended()
  }

  #read(line: string): void {
    this.#log(line)
    const report: InstanceReport = JSON.parse(line)
    this.reports.push(report)
    for (const check of this.#waiting) check()
  }

  #log(line: string): void {
    appendFileSync(this.#logFile, `${new Date().toISOString()} ${this.name} ${line}\n`)
  }
}
