import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { launchGateway, type RunningGateway } from '../../../services/gateway/test/running-gateway.ts'
import { FaultError } from '../fault-error.ts'
import { memoryPollMs, pollMs, readyDeadlineMs } from './limits.ts'

/** A time in which nobody listened. */
export interface DownTime {
  readonly fromMs: number
  readonly toMs: number
}

const replayBegins = 'the spill log is being replayed'
const replayEnds = 'the spill log is empty'

/** The gateway at one address, through all its processes. */
export class GatewayUnderTest {
  readonly url: string
  /** The largest resident set of any process so far, in bytes. */
  peakBytes = 0
  readonly downTimes: DownTime[] = []
  readonly #change: Readonly<Record<string, string>>
  #process: Omit<RunningGateway, 'url'> | undefined
  #downFromMs: number | undefined
  #sampler: NodeJS.Timeout | undefined

  constructor(port: number, change: Readonly<Record<string, string>>) {
    this.url = `http://127.0.0.1:${port}`
    this.#change = { ...change, MILLRACE_HTTP_PORT: String(port) }
  }

  /** Starts a process; does not wait for it. */
  launch(): void {
    this.#process = launchGateway(this.#change)
    this.#sampler ??= setInterval(() => {
      this.peakBytes = Math.max(this.peakBytes, this.residentBytes())
    }, memoryPollMs)
  }

  /** Waits until it takes requests. */
  async ready(): Promise<void> {
    const deadline = Date.now() + readyDeadlineMs
    while (!(await this.#isReady())) {
      if (this.#process?.process.exitCode !== null)
        throw new FaultError(`the gateway ended:\n${this.log().slice(-2_000)}`)
      if (Date.now() > deadline) throw new FaultError(`the gateway was not ready in time:\n${this.log().slice(-2_000)}`)
      await delay(pollMs)
    }
    if (this.#downFromMs !== undefined) this.downTimes.push({ fromMs: this.#downFromMs, toMs: Date.now() })
    this.#downFromMs = undefined
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    this.#downFromMs ??= Date.now()
    const child = this.#process?.process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await exited
  }

  /** SIGTERM; answers the exit code. */
  async stop(): Promise<number | null> {
    this.#downFromMs ??= Date.now()
    return (await this.#process?.stop()) ?? null
  }

  /** Kills it at the end of the run. */
  async close(): Promise<void> {
    clearInterval(this.#sampler)
    await this.kill()
  }

  /** What the process that runs has said. */
  log(): string {
    return this.#process?.log() ?? ''
  }

  /** Whether the replay has begun, and not ended yet. */
  get isReplaying(): boolean {
    return this.log().lastIndexOf(replayBegins) > this.log().lastIndexOf(replayEnds)
  }

  async health(): Promise<string> {
    try {
      const answer = await fetch(`${this.url}/api/v1/health`, { signal: AbortSignal.timeout(readyDeadlineMs) })
      return JSON.parse(await answer.text()).status
    } catch {
      return 'away'
    }
  }

  /** Metrics of the spill log by their names, with the labels that tell them apart; empty while nobody listens. */
  async spillMetrics(): Promise<ReadonlyMap<string, number>> {
    const found = new Map<string, number>()
    const text = await fetch(`${this.url}/metrics`).then(
      (answer) => answer.text(),
      () => '',
    )
    for (const [, name = '', labels = '', value] of text.matchAll(
      /^millrace_gateway_spill_(\w+)\{([^}]*)\} (\S+)$/gm,
    )) {
      const result = /result="(\w+)"/.exec(labels)?.[1]
      found.set(result ?? name, Number(value))
    }
    return found
  }

  /** Of the process that runs; 0 when there is none. */
  residentBytes(): number {
    try {
      const status = readFileSync(`/proc/${this.#process?.process.pid}/status`, 'utf8')
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1_024
    } catch {
      return 0
    }
  }

  async #isReady(): Promise<boolean> {
    return fetch(`${this.url}/readyz`).then(
      (answer) => answer.ok,
      () => false,
    )
  }
}

/** Deletes what the spill log of a directory holds, as a disk that does not stay does. */
export function loseLog(directory: string): void {
  const folder = join(directory, 'log')
  for (const name of readdirSync(folder)) if (name.endsWith('.spill')) rmSync(join(folder, name))
}
