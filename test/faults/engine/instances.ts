import { mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { FaultError } from '../fault-error.ts'
import type { Random } from '../random.ts'
import type { Comeback } from './fault-plan.ts'
import { InstanceProcess } from './instance-process.ts'
import type { InstanceOrder, InstanceReport, InstanceSettings } from './instance-settings.ts'
import { partitions, runningDeadlineMs } from './limits.ts'

/** What all instances have in common. */
export type CommonSettings = Omit<InstanceSettings, 'stateDirectory' | 'order'>

/** A place where an instance runs, one after the other, and the state directories that belong to it. */
export class Slot {
  readonly name: string
  /** Which of its two directories is used; the other one keeps what it had. */
  directory = 0
  process: InstanceProcess

  constructor(name: string, process: InstanceProcess) {
    this.name = name
    this.process = process
  }
}

/** The instances of the application, coming and going. */
export class Instances {
  readonly slots: Slot[] = []
  /** Every process that there was, for what it told. */
  readonly all: InstanceProcess[] = []
  /** Rejects when one ends that was not to end. */
  readonly failed: Promise<never>
  readonly #settings: CommonSettings
  readonly #folder: string
  readonly #fail: (error: FaultError) => void

  constructor(settings: CommonSettings, folder: string) {
    this.#settings = settings
    this.#folder = folder
    mkdirSync(folder, { recursive: true })
    const { promise, reject } = Promise.withResolvers<never>()
    promise.catch(() => undefined)
    this.failed = promise
    this.#fail = reject
  }

  open(count: number): void {
    for (let index = 0; index < count; index++) {
      const name = String.fromCharCode('a'.charCodeAt(0) + index)
      this.slots.push(new Slot(name, this.#start(name, 0)))
    }
  }

  /** A slot whose instance runs; any when none does. */
  pick(random: Random): Slot {
    const running = this.slots.filter(({ process }) => process.exit === undefined && process.state === 'running')
    return random.pick(running.length > 0 ? running : this.slots)
  }

  /** Starts a slot's next instance; the former one is gone. */
  async comeBack(slot: Slot, comeback: Comeback, order?: InstanceOrder): Promise<void> {
    if (comeback === 'elsewhere') slot.directory = 1 - slot.directory
    if (comeback === 'wiped') await rm(this.#directory(slot.name, slot.directory), { recursive: true, force: true })
    slot.process = this.#start(slot.name, slot.directory, order)
  }

  /** Throws a `FaultError` when an instance does not run within its deadline. */
  async allRunning(): Promise<void> {
    const deadlineMs = Date.now() + runningDeadlineMs
    for (const slot of this.slots) {
      while (slot.process.state !== 'running') {
        if (Date.now() > deadlineMs) {
          throw new FaultError(
            `instance ${slot.name} was "${slot.process.state}" ${runningDeadlineMs / 1_000} s after it was started`,
          )
        }
        await Promise.race([slot.process.until(({ state }) => state === 'running', 500), delay(500), this.failed])
      }
    }
  }

  /** True when each partition number is processed by one of them, as far as they have told. */
  get isShared(): boolean {
    const numbers = this.slots.flatMap(({ process }) => process.numbers)
    return numbers.length === partitions && new Set(numbers).size === partitions
  }

  /** Asks all to commit and to end; says which did not end well. */
  async stop(): Promise<readonly string[]> {
    const exits = await Promise.all(this.slots.map(async (slot) => ({ slot, exit: await slot.process.stop(true) })))
    return exits
      .filter(({ exit }) => exit.code !== 0)
      .map(
        ({ slot, exit }) => `instance ${slot.name} ended with ${exit.signal ?? exit.code} when it was asked to close`,
      )
  }

  kill(): void {
    for (const process of this.all) if (process.exit === undefined) process.signal('SIGKILL')
  }

  /** Everything of one kind that any instance told. */
  reports<E extends InstanceReport['event']>(event: E): readonly Extract<InstanceReport, { event: E }>[] {
    return this.all.flatMap(({ reports }) =>
      reports.filter((report): report is Extract<InstanceReport, { event: E }> => report.event === event),
    )
  }

  #start(name: string, directory: number, order?: InstanceOrder): InstanceProcess {
    const settings = { ...this.#settings, stateDirectory: this.#directory(name, directory), order }
    const process = new InstanceProcess({ name, settings, logFile: join(this.#folder, 'instances.log') })
    this.all.push(process)
    void process.exited.then(({ code, signal }) => {
      if (process.endExpected) return
      const warned = process.reports.findLast((report) => report.event === 'warned')
      this.#fail(
        new FaultError(`instance ${name} ended by itself with ${signal ?? code}: ${warned?.reason ?? 'see its log'}`),
      )
    })
    return process
  }

  #directory(name: string, directory: number): string {
    return join(this.#folder, `${name}-${directory}`)
  }
}
