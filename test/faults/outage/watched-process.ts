import { readFileSync } from 'node:fs'
import { memoryPollMs } from './limits.ts'

/** The memory of a process over time, as the system counts it. */
export class WatchedProcess {
  readonly name: string
  /** What it took when the calm was over. */
  baseBytes = 0
  peakBytes = 0
  readonly #pid: number
  readonly #timer: NodeJS.Timeout

  constructor(name: string, pid: number) {
    this.name = name
    this.#pid = pid
    this.#timer = setInterval(() => {
      this.peakBytes = Math.max(this.peakBytes, this.residentBytes())
    }, memoryPollMs)
  }

  /** What it takes now is what it takes when nothing is wrong. */
  noteBase(): void {
    this.baseBytes = Math.max(this.peakBytes, this.residentBytes())
  }

  /** 0 when it is gone. */
  residentBytes(): number {
    try {
      const status = readFileSync(`/proc/${this.#pid}/status`, 'utf8')
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1_024
    } catch {
      return 0
    }
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
