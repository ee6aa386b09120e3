import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** A child process that runs `counting-app.ts`. */
export class AppProcess {
  readonly lines: string[] = []
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #waiting = new Set<() => void>()

  constructor(settings: Readonly<Record<string, unknown>>) {
    this.#child = spawn(process.execPath, [join(import.meta.dirname, 'counting-app.ts'), JSON.stringify(settings)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    // Not `exit`, which may come before the last lines.
    this.#exited = once(this.#child, 'close')
    if (this.#child.stdout !== null) {
      createInterface({ input: this.#child.stdout }).on('line', (line) => {
        this.lines.push(line)
        for (const check of this.#waiting) check()
      })
    }
  }

  /** Resolves when a line was printed that contains `text`. */
  async printed(text: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const check = () => {
      if (this.lines.some((line) => line.includes(text))) resolve()
    }
    this.#waiting.add(check)
    check()
    await Promise.race([
      promise,
      this.#exited.then(() => {
        throw new Error(`the process ended before it printed "${text}"; it printed:\n${this.lines.join('\n')}`)
      }),
    ])
    this.#waiting.delete(check)
  }

  /** Ends the process without a word; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  /** Stands still, or goes on, at any instruction. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal)
  }

  /** Resolves with the signal that ended the process. */
  async ended(): Promise<NodeJS.Signals | null> {
    await this.#exited
    return this.#child.signalCode
  }

  /** Asks the process to end; resolves with its exit code. Does nothing when it has ended. */
  async stop(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGTERM')
    await this.#exited
    return this.#child.exitCode
  }
}
