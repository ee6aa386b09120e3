import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { FaultError } from '../fault-error.ts'
import type { SinkKind } from './fault-plan.ts'
import { exitDeadlineMs, runningDeadlineMs } from './limits.ts'

const root = join(import.meta.dirname, '../../..')

/** The service's own words: all of its routes run; it has got partitions, as a log line with `topic` and `partitions`. */
const runningMessage = 'storing'
const assignedMessage = 'partitions assigned'

/** One process of a sink, as it is deployed. It ends with this one. */
export class SinkProcess {
  readonly name: string
  /** Resolves with the exit code or signal. */
  readonly exited: Promise<string>
  exit: string | undefined
  isRunning = false
  /** We wanted it to end: that it did is no failure. */
  endExpected = false
  /** Of each topic, how often it was given partitions. */
  readonly assignments = new Map<string, number>()
  readonly #child: ChildProcess
  #lastWords = ''

  constructor(options: {
    readonly name: string
    readonly kind: SinkKind
    readonly environment: Readonly<Record<string, string>>
    readonly logFile: string
    /** Modules that are loaded before the service's own: they break something on purpose. */
    readonly preload: readonly string[]
  }) {
    const { name, kind, environment, logFile, preload } = options
    this.name = name
    const main = join(root, 'services', `sink-${kind}`, 'src', 'main.ts')
    const imports = preload.flatMap((path) => ['--import', path])
    const args = ['--max-old-space-size=384', ...imports, main]
    this.#child = spawn(process.execPath, args, { env: environment, stdio: 'pipe' })
    const killAtExit = () => this.#child.kill('SIGKILL')
    process.once('exit', killAtExit)
    const { promise, resolve } = Promise.withResolvers<string>()
    this.exited = promise
    this.#child.once('close', (code, signal) => {
      process.removeListener('exit', killAtExit)
      this.isRunning = false
      this.exit = String(signal ?? code)
      resolve(this.exit)
    })
    const { stdout, stderr } = this.#child
    const read = (line: string) => {
      appendFileSync(logFile, `${name} ${line}\n`)
      if (line.includes(`"${runningMessage}"`)) this.isRunning = true
      if (line.includes(`"${assignedMessage}"`)) this.#noteAssignment(line)
      this.#lastWords = line
    }
    if (stdout !== null) createInterface({ input: stdout }).on('line', read)
    if (stderr !== null) createInterface({ input: stderr }).on('line', read)
  }

  get lastWords(): string {
    return this.#lastWords.slice(0, 1_000)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** At once, and without a word. */
  kill(): void {
    this.endExpected = true
    this.#child.kill('SIGKILL')
  }

  /** Throws a `FaultError` when it does not store within its deadline. */
  async running(): Promise<void> {
    const endMs = Date.now() + runningDeadlineMs
    while (!this.isRunning) {
      if (this.exit !== undefined || Date.now() > endMs) {
        const what =
          this.exit === undefined ? `did not run within ${runningDeadlineMs / 1_000} s` : 'ended at its start'
        throw new FaultError(`${this.name} ${what}: ${this.lastWords}`)
      }
      await delay(50)
    }
  }

  /** Waits for the end of a process that was told to end. Throws a `FaultError` when it does not come. */
  async ended(): Promise<string> {
    const late = delay(exitDeadlineMs, undefined, { ref: false })
    const exit = await Promise.race([this.exited, late])
    if (exit === undefined) throw new FaultError(`${this.name} did not end within ${exitDeadlineMs / 1_000} s`)
    return exit
  }

  /** Asks it to write what it has and to end. */
  async stop(): Promise<string> {
    this.endExpected = true
    this.#child.kill('SIGTERM')
    return await this.ended()
  }

  #noteAssignment(line: string): void {
    const { topic, partitions } = JSON.parse(line)
    if (partitions.length > 0) this.assignments.set(topic, (this.assignments.get(topic) ?? 0) + 1)
  }
}
