import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Admin as SubscriberAdmin } from 'kafkajs'
import { FaultError } from '../fault-error.ts'
import type { Random } from '../random.ts'
import { describeTransaction, type TransactionDescription } from '../transaction-state.ts'
import type { Fault, PlannedFault } from './fault-plan.ts'
import type { FailpointName, InstanceReport } from './instance-settings.ts'
import type { Instances, Slot } from './instances.ts'
import { brokerDeadlineMs, failpointDeadlineMs, sessionTimeoutMs } from './limits.ts'
import { applicationId } from './topology.ts'

/** What was done to whom, and what the broker said of its transaction right then. */
export interface FaultRecord {
  readonly atMs: number
  readonly what: string
  readonly instance: string
  /** Of a process that was killed or stopped; undefined for other faults. */
  readonly transaction: TransactionDescription | undefined
  readonly isKill: boolean
  readonly note: string
}

/** What faults are done to. */
export interface FaultTargets {
  readonly instances: Instances
  /** Of the only broker. */
  readonly address: string
  readonly brokerFolder: string
  /** An independent client, for what the broker says about the group. */
  readonly admin: SubscriberAdmin
  readonly random: Random
  readonly signal: AbortSignal
  readonly onFault: (record: FaultRecord) => void
}

const pollMs = 250
/** Longer than the session: the group has noticed and given the tasks to others. */
const takeoverDeadlineMs = sessionTimeoutMs + 14_000
/** The transaction's timeout, the broker's interval between two looks, and some. */
const abortDeadlineMs = 45_000
const refusalDeadlineMs = 20_000
const comebackDelayMs = 1_500
const anywhereMs = 400

/** Does the faults, one after the other. */
export class FaultRunner {
  readonly records: FaultRecord[] = []
  readonly #targets: FaultTargets
  readonly #startedMs = Date.now()

  constructor(targets: FaultTargets) {
    this.#targets = targets
  }

  async run(plan: readonly PlannedFault[]): Promise<void> {
    for (const { fault, calm, pauseMs } of plan) {
      if (calm) await this.#targets.instances.allRunning()
      await delay(pauseMs)
      this.#targets.signal.throwIfAborted()
      await this.#do(fault)
    }
  }

  async #do(fault: Fault): Promise<void> {
    const { instances, random } = this.#targets
    switch (fault.kind) {
      case 'kill': {
        const slot = instances.pick(random)
        await this.#killAt(slot, fault.at, fault.comeback)
        await delay(random.int(0, comebackDelayMs))
        await instances.comeBack(slot, fault.comeback)
        return
      }
      case 'kill-in-recovery': {
        const slot = instances.pick(random)
        await this.#killAt(slot, 'anywhere', fault.comeback)
        await instances.comeBack(slot, fault.comeback, { failpoint: 'recovery:restored', pass: 1, signal: 'SIGKILL' })
        await this.#died(slot, 'recovery:restored', 'same', takeoverDeadlineMs + abortDeadlineMs)
        await instances.comeBack(slot, 'same')
        return
      }
      case 'zombie':
        await this.#zombie(instances.pick(random), fault.wake)
        return
      case 'broker-kill':
        await this.#killBroker()
        return
      case 'close': {
        const slot = instances.pick(random)
        const { code, signal } = await slot.process.stop(fault.leaves)
        const what = fault.leaves ? 'asked to leave' : 'asked to close for a restart'
        this.#note({ what, instance: slot.name, note: `ended with ${signal ?? code}` })
        await delay(2 * comebackDelayMs)
        await instances.comeBack(slot, 'same')
        return
      }
    }
  }

  async #killAt(slot: Slot, at: FailpointName | 'anywhere', comeback: string): Promise<void> {
    const { random } = this.#targets
    if (at === 'anywhere') {
      await delay(random.int(0, anywhereMs))
      slot.process.signal('SIGKILL')
      await slot.process.ended()
      await this.#killed(slot, 'killed', comeback)
      return
    }
    slot.process.order({ failpoint: at, pass: random.int(1, 8), signal: 'SIGKILL' })
    await this.#died(slot, at, comeback, failpointDeadlineMs)
  }

  /** Waits for a process that was told to kill itself at a failpoint. When it does not come there, it is killed where it is. */
  async #died(slot: Slot, at: FailpointName, comeback: string, deadlineMs: number): Promise<void> {
    const { process } = slot
    await process.until(({ exit }) => exit !== undefined, deadlineMs)
    const reached = process.reports.some((report) => report.event === 'failpoint' && report.failpoint === at)
    process.signal('SIGKILL')
    await process.ended()
    await this.#killed(slot, reached ? `killed at ${at}` : `killed, ${at} not reached`, comeback)
  }

  async #killed(slot: Slot, what: string, comeback: string): Promise<void> {
    const transaction = await this.#transactionOf(slot)
    this.#note({
      what,
      instance: slot.name,
      transaction,
      isKill: true,
      note: comeback === 'same' ? '' : `comes back ${comeback}`,
    })
  }

  async #zombie(slot: Slot, wake: 'after-takeover' | 'after-abort'): Promise<void> {
    const { process } = slot
    process.order({ failpoint: 'commit:sent', pass: 1, signal: 'SIGSTOP' })
    if (
      !(await process.until(({ reports }) => reports.some(({ event }) => event === 'failpoint'), failpointDeadlineMs))
    ) {
      throw new FaultError(`instance ${slot.name} did not come to commit:sent within ${failpointDeadlineMs / 1_000} s`)
    }
    const transaction = await this.#transactionOf(slot)
    this.#note({ what: 'stopped at commit:sent', instance: slot.name, transaction, note: '' })
    const told = process.reports.length
    const tookOver = await this.#until(() => this.#isOutOfGroup(slot), takeoverDeadlineMs)
    if (wake === 'after-abort') {
      await this.#until(async () => (await this.#transactionOf(slot))?.state !== 'Ongoing', abortDeadlineMs)
    }
    const atWake = await this.#transactionOf(slot)
    process.signal('SIGCONT')
    const isRefusal = (index: number) => index >= told && isRefusedByBroker(process.reports[index])
    await process.until(({ reports }) => reports.some((_, index) => isRefusal(index)), refusalDeadlineMs)
    const refusal = process.reports.find((_, index) => isRefusal(index))
    const words = refusal?.event === 'warned' ? `${refusal.code}: ${brokersWords(refusal.reason)}` : 'was not refused'
    this.#note({
      what: 'woken',
      instance: slot.name,
      transaction: atWake,
      note: `${tookOver ? 'others had its tasks' : 'still in the group'}; ${words}`,
    })
  }

  async #killBroker(): Promise<void> {
    const pidFile = join(this.#targets.brokerFolder, 'run', 'kafka.pid')
    // The guard notes the server's process id and its own.
    const pid = Number(readFileSync(pidFile, 'utf8').split(' ')[0])
    if (!Number.isInteger(pid) || pid <= 1) throw new FaultError(`${pidFile} holds no process id`)
    process.kill(pid, 'SIGKILL')
    const killedMs = Date.now()
    await delay(pollMs)
    if (!(await this.#until(() => this.#brokerAnswers(), brokerDeadlineMs))) {
      throw new FaultError(`the broker did not answer again within ${brokerDeadlineMs / 1_000} s`)
    }
    this.#note({
      what: 'killed',
      instance: 'broker',
      note: `answered again after ${((Date.now() - killedMs) / 1_000).toFixed(1)} s`,
    })
  }

  async #brokerAnswers(): Promise<boolean> {
    return describeTransaction(this.#targets.address, 'nobody').then(
      () => true,
      () => false,
    )
  }

  async #transactionOf(slot: Slot): Promise<TransactionDescription | undefined> {
    const id = slot.process.transactionalId
    return id === undefined ? undefined : await describeTransaction(this.#targets.address, id)
  }

  /** The group is at rest without this instance: others have what it had. */
  async #isOutOfGroup(slot: Slot): Promise<boolean> {
    const { admin } = this.#targets
    const group = (await admin.describeGroups([applicationId])).groups[0]
    return group?.state === 'Stable' && group.members.every(({ clientId }) => clientId !== slot.process.transactionalId)
  }

  async #until(holds: () => Promise<boolean>, deadlineMs: number): Promise<boolean> {
    const endMs = Date.now() + deadlineMs
    while (!(await holds())) {
      if (Date.now() > endMs) return false
      await delay(pollMs)
    }
    return true
  }

  #note(
    record: Pick<FaultRecord, 'what' | 'instance' | 'note'> & Partial<Pick<FaultRecord, 'transaction' | 'isKill'>>,
  ): void {
    const noted = { transaction: undefined, isKill: false, ...record, atMs: Date.now() - this.#startedMs }
    this.records.push(noted)
    this.#targets.onFault(noted)
  }
}

/** One line of the report. */
export function faultText({ atMs, what, instance, transaction, note }: FaultRecord): string {
  const state = transaction === undefined ? '' : `transaction ${transaction.state}`
  return `  ${(atMs / 1_000).toFixed(1).padStart(6)} s  ${instance.padEnd(7)} ${what.padEnd(34)} ${state.padEnd(28)} ${note}`.trimEnd()
}

/** The broker, and not this process by itself, said that the work belongs to somebody else. */
export function isRefusedByBroker(report: InstanceReport | undefined): boolean {
  return (
    report?.event === 'warned' &&
    (report.code === 'FENCED' || report.code === 'REBALANCED') &&
    brokersWords(report.reason) !== ''
  )
}

/** What the broker answered, out of an error's message; '' when it did not come from the broker. */
function brokersWords(reason: string): string {
  return /the broker answered \w+/.exec(reason)?.[0] ?? ''
}
