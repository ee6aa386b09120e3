import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { BenchError } from './bench-error.ts'

/** How to run a process that is measured. */
export interface MeasuredProcessOptions {
  /** For messages. */
  readonly title: string
  readonly command: string
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** A process that is told to stop may take this long for its last commit before it is killed. */
const stopDeadlineMs = 20_000

/** Of what it wrote to its error output, for messages. */
const errorLinesMax = 30

/**
 * A process of its own that measures itself, so that its CPU and memory are its own. It tells what it finds in lines of JSON with a field
 * `event`; other lines are ignored. It ends with this process.
 */
export class MeasuredProcess {
  readonly #title: string
  readonly #child: ChildProcess
  readonly #exited: Promise<void>
  readonly #events = new Map<string, unknown>()
  readonly #waiting = new Map<string, () => void>()
  readonly #errorLines: string[] = []

  constructor({ title, command, args, environment }: MeasuredProcessOptions) {
    this.#title = title
    this.#child = spawn(command, args, { env: { ...environment }, stdio: ['ignore', 'pipe', 'pipe'] })
    const kill = () => this.#child.kill('SIGKILL')
    process.once('exit', kill)
    this.#exited = new Promise((resolve) => {
      this.#child.once('error', (error) => {
        this.#errorLines.push(error.message)
        resolve()
      })
      this.#child.once('close', () => resolve())
    })
    void this.#exited.then(() => process.removeListener('exit', kill))
    const { stdout, stderr } = this.#child
    if (stdout !== null) createInterface({ input: stdout }).on('line', (line) => this.#read(line))
    if (stderr !== null) createInterface({ input: stderr }).on('line', (line) => this.#keep(line))
  }

  /** The first line with this event. Throws a `BenchError` with the process's last words when it ends, or the time is over, before. */
  async event<T extends object>(name: string, deadlineMs: number): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<'told'>()
    this.#waiting.set(name, () => resolve('told'))
    if (this.#events.has(name)) resolve('told')
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>((expire) => {
      timer = setTimeout(() => expire('late'), deadlineMs)
    })
    const outcome = await Promise.race([promise, late, this.#exited.then(() => 'ended' as const)])
    clearTimeout(timer)
    if (!this.#events.has(name)) {
      const what = outcome === 'late' ? `said nothing of "${name}" within ${deadlineMs / 1_000} s` : 'ended early'
      throw new BenchError(`${this.#title} ${what}.\n${this.#errorLines.join('\n')}`)
    }
    // The two programs that are run write what their readers declare.
    return this.#events.get(name) as T
  }

  /** Sends it a signal, which it answers with lines, or not at all. */
  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** Resolves when it has ended, by itself or, when that takes too long, by force. */
  async ended(): Promise<void> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), stopDeadlineMs)
    await this.#exited
    clearTimeout(timer)
  }

  /** Asks it to end. Idempotent; resolves when it is gone. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGTERM')
    await this.ended()
  }

  #read(line: string): void {
    if (!line.startsWith('{')) return
    const told: unknown = JSON.parse(line)
    if (typeof told !== 'object' || told === null || !('event' in told) || typeof told.event !== 'string') return
    this.#events.set(told.event, told)
    this.#waiting.get(told.event)?.()
  }

  #keep(line: string): void {
    this.#errorLines.push(line)
    if (this.#errorLines.length > errorLinesMax) this.#errorLines.shift()
  }
}
