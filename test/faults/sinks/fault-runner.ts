import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { FaultError } from '../fault-error.ts'
import type { Random } from '../random.ts'
import type { KillMoment, PlannedFault, SinkKind } from './fault-plan.ts'
import { churnMs, databaseDeadlineMs, momentDeadlineMs, troubleMs } from './limits.ts'
import type { RelayMode } from './relay.ts'
import type { SinkSlot } from './sink-slot.ts'

/** What was done to whom. */
export interface FaultRecord {
  readonly atMs: number
  readonly what: 'killed' | 'database-killed' | 'slow' | 'refusing' | 'joined-and-left'
  readonly on: string
  /** The moment at which it really was killed. */
  readonly moment: KillMoment | undefined
  readonly note: string
}

/** What faults are done to. */
export interface FaultTargets {
  readonly slots: readonly SinkSlot[]
  /** One more of each kind, which comes and goes. */
  readonly guests: Readonly<Record<SinkKind, SinkSlot>>
  /** Of the servers, with their process ids. */
  readonly serversFolder: string
  readonly databaseAnswers: (kind: SinkKind) => Promise<boolean>
  readonly random: Random
  readonly signal: AbortSignal
  readonly onFault: (record: FaultRecord) => void
}

const pollMs = 100
/** The processes of the databases, as their launcher names them. */
const serverNames = { clickhouse: 'clickhouse', mysql: 'mariadb' } as const

/** Does the faults, one after the other. */
export class FaultRunner {
  readonly records: FaultRecord[] = []
  readonly #targets: FaultTargets
  readonly #startedMs = Date.now()

  constructor(targets: FaultTargets) {
    this.#targets = targets
  }

  async run(plan: readonly PlannedFault[]): Promise<void> {
    for (const { fault, pauseMs } of plan) {
      await delay(pauseMs)
      this.#targets.signal.throwIfAborted()
      const { sink } = fault
      if (fault.kind === 'kill') await this.#kill(this.#pick(sink), fault.at)
      else if (fault.kind === 'database-kill') await this.#killDatabase(sink)
      else if (fault.kind === 'database-slow') await this.#trouble(sink, 'slow')
      else if (fault.kind === 'database-refuses') await this.#trouble(sink, 'refusing')
      else await this.#churn(sink)
    }
  }

  #pick(kind: SinkKind): SinkSlot {
    const slots = this.#targets.slots.filter((slot) => slot.kind === kind)
    const running = slots.filter(({ process }) => process?.isRunning === true)
    return this.#targets.random.pick(running.length > 0 ? running : slots)
  }

  async #kill(slot: SinkSlot, at: KillMoment): Promise<void> {
    const { present, relay } = slot
    let moment: KillMoment = 'anywhere'
    if (at === 'anywhere') await delay(this.#targets.random.int(0, 500))
    else {
      relay.arm({
        at,
        spring: () => {
          moment = at
          present.kill()
        },
      })
      const endMs = Date.now() + momentDeadlineMs
      while (present.exit === undefined && Date.now() < endMs) await delay(20)
      relay.disarm()
    }
    present.kill()
    await present.ended()
    relay.cut()
    const note = moment === at ? '' : `did not come to ${at}`
    this.#note({ what: 'killed', on: slot.name, moment, note })
    slot.start()
    // The next fault is to hit a sink that works: of the others of its kind there is always one.
    if (this.#targets.random.next() < 0.5) await slot.present.running()
  }

  async #killDatabase(kind: SinkKind): Promise<void> {
    const pidFile = join(this.#targets.serversFolder, 'run', `${serverNames[kind]}.pid`)
    // The guard notes the server's process id and its own.
    const pid = Number(readFileSync(pidFile, 'utf8').split(' ')[0])
    if (!Number.isInteger(pid) || pid <= 1) throw new FaultError(`${pidFile} holds no process id`)
    process.kill(pid, 'SIGKILL')
    const killedMs = Date.now()
    await delay(pollMs)
    while (!(await this.#targets.databaseAnswers(kind))) {
      if (Date.now() - killedMs > databaseDeadlineMs) {
        throw new FaultError(`${serverNames[kind]} did not answer again within ${databaseDeadlineMs / 1_000} s`)
      }
      await delay(pollMs)
    }
    const note = `answered again after ${((Date.now() - killedMs) / 1_000).toFixed(1)} s`
    this.#note({ what: 'database-killed', on: serverNames[kind], moment: undefined, note })
  }

  async #trouble(kind: SinkKind, mode: Exclude<RelayMode, 'open'>): Promise<void> {
    const relays = [...this.#targets.slots, this.#targets.guests[kind]]
      .filter((slot) => slot.kind === kind)
      .map(({ relay }) => relay)
    for (const relay of relays) {
      relay.mode = mode
      if (mode === 'refusing') relay.cut()
    }
    await delay(troubleMs)
    for (const relay of relays) relay.mode = 'open'
    this.#note({ what: mode, on: serverNames[kind], moment: undefined, note: `for ${troubleMs / 1_000} s` })
  }

  async #churn(kind: SinkKind): Promise<void> {
    const guest = this.#targets.guests[kind]
    guest.start()
    await guest.present.running()
    await delay(churnMs)
    const exit = await guest.present.stop()
    if (exit !== '0') throw new FaultError(`${guest.name} ended with ${exit} when it was asked to leave`)
    this.#note({ what: 'joined-and-left', on: guest.name, moment: undefined, note: '' })
  }

  #note(record: Omit<FaultRecord, 'atMs'>): void {
    const noted = { ...record, atMs: Date.now() - this.#startedMs }
    this.records.push(noted)
    this.#targets.onFault(noted)
  }
}

/** One line of the report. */
export function faultText({ atMs, what, on, moment, note }: FaultRecord): string {
  const words = moment === undefined ? what : `${what} ${moment}`
  return `  ${(atMs / 1_000).toFixed(1).padStart(6)} s  ${on.padEnd(14)} ${words.padEnd(24)} ${note}`.trimEnd()
}
