import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { FaultError } from '../fault-error.ts'
import type { Random } from '../random.ts'
import { type CutMoment, type KillMoment, type PlannedFault, type SinkKind, sinkKinds } from './fault-plan.ts'
import { databaseDeadlineMs, momentDeadlineMs, rebalancedDeadlineMs, stormBeatMs, troubleMs } from './limits.ts'
import type { Relay, RelayMode } from './relay.ts'
import type { SinkSlot } from './sink-slot.ts'

/** What was done to whom. */
export interface FaultRecord {
  readonly atMs: number
  readonly what: 'killed' | 'database-killed' | 'answer-lost' | 'slow' | 'refusing' | 'storm'
  readonly on: string
  /** The moment at which it really was killed or cut. */
  readonly moment: KillMoment | undefined
  readonly note: string
  /** Rebalances that gave partitions to another member. */
  readonly rebalances?: number
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
  readonly stormJoins: number
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
      if (fault.kind === 'kill') await this.#kill(this.#pick(fault.sink), fault.at)
      else if (fault.kind === 'database-kill') await this.#killDatabase(fault.sink, fault.at)
      else if (fault.kind === 'answer-lost') await this.#loseAnswer(fault.sink)
      else if (fault.kind === 'database-slow') await this.#trouble(fault.sink, 'slow')
      else if (fault.kind === 'database-refuses') await this.#trouble(fault.sink, 'refusing')
      else await this.#storm()
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
      const kill = () => present.kill()
      if (await this.#atMoment([relay], at, kill, () => present.exit !== undefined)) moment = at
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

  /** Sets a trap on relays; answers whether one sprang, in time. The others are taken away. */
  async #atMoment(
    relays: readonly Relay[],
    at: Exclude<KillMoment, 'anywhere'>,
    spring: () => void,
    isOver: () => boolean = () => false,
  ): Promise<boolean> {
    let isSprung = false
    const first = () => {
      if (isSprung) return
      isSprung = true
      spring()
    }
    for (const relay of relays) relay.arm({ at, spring: first })
    const endMs = Date.now() + momentDeadlineMs
    while (!isSprung && !isOver() && Date.now() < endMs) await delay(20)
    for (const relay of relays) relay.disarm()
    return isSprung
  }

  #relays(kind: SinkKind): readonly Relay[] {
    return [...this.#targets.slots, this.#targets.guests[kind]]
      .filter((slot) => slot.kind === kind)
      .map(({ relay }) => relay)
  }

  async #killDatabase(kind: SinkKind, at: CutMoment): Promise<void> {
    const pidFile = join(this.#targets.serversFolder, 'run', `${serverNames[kind]}.pid`)
    // The guard notes the server's process id and its own.
    const pid = Number(readFileSync(pidFile, 'utf8').split(' ')[0])
    if (!Number.isInteger(pid) || pid <= 1) throw new FaultError(`${pidFile} holds no process id`)
    const kill = () => process.kill(pid, 'SIGKILL')
    const isHit = await this.#atMoment(this.#relays(kind), at, kill)
    if (!isHit) kill()
    const killedMs = Date.now()
    await delay(pollMs)
    while (!(await this.#targets.databaseAnswers(kind))) {
      if (Date.now() - killedMs > databaseDeadlineMs) {
        throw new FaultError(`${serverNames[kind]} did not answer again within ${databaseDeadlineMs / 1_000} s`)
      }
      await delay(pollMs)
    }
    const note = `answered again after ${((Date.now() - killedMs) / 1_000).toFixed(1)} s`
    this.#note({ what: 'database-killed', on: serverNames[kind], moment: isHit ? at : 'anywhere', note })
  }

  async #loseAnswer(kind: SinkKind): Promise<void> {
    const at = 'before-answer'
    const isHit = await this.#atMoment(this.#relays(kind), at, () => undefined)
    const note = isHit ? '' : `did not come to ${at}`
    this.#note({ what: 'answer-lost', on: `${kind}-sink`, moment: isHit ? at : undefined, note })
  }

  async #trouble(kind: SinkKind, mode: Extract<RelayMode, 'slow' | 'refusing'>): Promise<void> {
    const relays = this.#relays(kind)
    for (const relay of relays) {
      relay.mode = mode
      if (mode === 'refusing') relay.cut()
    }
    await delay(troubleMs)
    for (const relay of relays) relay.mode = 'open'
    this.#note({ what: mode, on: serverNames[kind], moment: undefined, note: `for ${troubleMs / 1_000} s` })
  }

  /** Every second time those who stay have a slow database, so that partitions are taken from sinks that are writing. */
  async #storm(): Promise<void> {
    const { guests, slots, stormJoins, signal } = this.#targets
    const startedMs = Date.now()
    let rebalances = 0
    for (let join = 0; join < stormJoins; join++) {
      signal.throwIfAborted()
      for (const kind of sinkKinds)
        for (const relay of this.#relays(kind)) relay.mode = join % 2 === 0 ? 'open' : 'slow'
      const beat = delay(stormBeatMs)
      for (const kind of sinkKinds) guests[kind].start()
      for (const kind of sinkKinds) rebalances += await this.#moved(() => guests[kind].assignments > 0)
      await beat
      rebalances += await this.#leave()
    }
    for (const { relay } of slots) relay.mode = 'open'
    const everyMs = (Date.now() - startedMs) / (2 * stormJoins)
    const note = `${stormJoins} joins and leaves of each sink, one every ${(everyMs / 1_000).toFixed(1)} s`
    this.#note({ what: 'storm', on: 'both sinks', moment: undefined, note, rebalances })
  }

  /** Both guests leave; answers in how many groups others got what they had. */
  async #leave(): Promise<number> {
    const { guests, slots } = this.#targets
    const beat = delay(stormBeatMs)
    const given = (kind: SinkKind) =>
      slots.filter((slot) => slot.kind === kind).reduce((sum, { assignments }) => sum + assignments, 0)
    const before = new Map(sinkKinds.map((kind) => [kind, given(kind)]))
    for (const kind of sinkKinds) {
      const { name, present } = guests[kind]
      const exit = await present.stop()
      if (exit !== '0') throw new FaultError(`${name} ended with ${exit} when it was asked to leave`)
    }
    let rebalances = 0
    for (const kind of sinkKinds) rebalances += await this.#moved(() => given(kind) > (before.get(kind) ?? 0))
    await beat
    return rebalances
  }

  /** One when partitions have moved in time. */
  async #moved(have: () => boolean): Promise<number> {
    const endMs = Date.now() + rebalancedDeadlineMs
    while (!have() && Date.now() < endMs) await delay(20)
    return have() ? 1 : 0
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
