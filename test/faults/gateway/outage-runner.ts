import { setTimeout as delay } from 'node:timers/promises'
import type { OwnKafka } from '../../../services/gateway/test/own-kafka.ts'
import type { CheckResult } from '../engine/checks.ts'
import type { Evidence } from '../engine/evidence.ts'
import { FaultError } from '../fault-error.ts'
import type { Calm } from './checks.ts'
import type { ClientLoad } from './client-load.ts'
import type { PlannedOutage } from './fault-plan.ts'
import { type GatewayUnderTest, loseLog } from './gateway-under-test.ts'
import { calmMs, pollMs, recoveredDeadlineMs, spooledDeadlineMs } from './limits.ts'

/** What outages are done to. */
export interface OutageTargets {
  readonly kafka: OwnKafka
  readonly gateway: GatewayUnderTest
  readonly load: ClientLoad
  readonly spillDirectory: string
  /** Deletes the log of a gateway that was killed. */
  readonly losesLog: boolean
  readonly report: (line: string) => void
  readonly signal: AbortSignal
}

/** What an outage did. */
interface OutageRecord {
  readonly outage: PlannedOutage
  /** Requests that were answered from the log. */
  readonly spooled: number
  /** Records that the replay brought to Kafka, or found there; of the process that finished it. */
  readonly replayed: number
  readonly wasKilled: boolean
  readonly wasReplaying: boolean
  readonly backAfterMs: number
}

/** A replay that is to be hit is looked for this often: that of a small log takes some ten milliseconds. */
const replayPollMs = 2

/** Does the outages, one after the other, and waits after each until everything is well again. */
export class OutageRunner {
  /** The first is before all outages. */
  readonly calms: Calm[] = []
  /** What the gateway took in the first calm. */
  baseBytes = 0
  readonly #targets: OutageTargets
  readonly #records: OutageRecord[] = []
  #endMetrics: ReadonlyMap<string, number> = new Map()

  constructor(targets: OutageTargets) {
    this.#targets = targets
  }

  async run(plan: readonly PlannedOutage[]): Promise<void> {
    const { gateway, report } = this.#targets
    // The first requests are those of a program that is not warm yet.
    await this.#pause(calmMs)
    await this.#calm('nothing')
    this.baseBytes = gateway.peakBytes
    for (const outage of plan) {
      const record = await this.#outage(outage)
      this.#records.push(record)
      report(recordText(record))
      await this.#calm(outageText(outage))
    }
  }

  /** Waits until the log is empty; to be called when nothing is sent any more. */
  async emptied(): Promise<void> {
    await this.#recovered()
    this.#endMetrics = await this.#targets.gateway.spillMetrics()
  }

  /** What the gateway itself says in the end. */
  endCheck(): CheckResult {
    const broken = ['bytes', 'requests', 'active', 'lost_requests']
      .filter((name) => (this.#endMetrics.get(name) ?? 0) !== 0)
      .map((name) => `millrace_gateway_spill_${name} is ${this.#endMetrics.get(name)}`)
    return { title: 'the log is empty in the end, and nothing in it was damaged', looked: 'the metrics', broken }
  }

  /** What shows that the outages hit. */
  evidence(): readonly Evidence[] {
    const records = this.#records
    const count = (is: (record: OutageRecord) => boolean) => records.filter(is).length
    const deaths = records.filter(({ outage }) => outage.gateway !== 'stays')
    const inReplay = records.filter(({ outage }) => outage.gateway === 'killed-in-replay')
    const outages = Math.max(records.length, 1)
    return [
      {
        title: 'outages in which clients were answered from the log',
        found: count(({ spooled }) => spooled > 0),
        needed: outages,
      },
      {
        title: 'outages after which the log was replayed',
        found: count(({ replayed }) => replayed > 0),
        needed: outages,
      },
      {
        title: 'gateways ended in an outage',
        found: deaths.filter(({ wasKilled }) => wasKilled).length,
        needed: Math.max(deaths.length, 1),
      },
      {
        title: 'of these, killed in the middle of a replay',
        found: inReplay.filter(({ wasReplaying }) => wasReplaying).length,
        needed: Math.max(inReplay.length, 1),
      },
    ]
  }

  async #outage(outage: PlannedOutage): Promise<OutageRecord> {
    const { kafka, gateway, load } = this.#targets
    const from = load.sent.length
    const beganMs = Date.now()
    if (outage.broker === 'killed') await kafka.kill()
    else kafka.pause()
    await this.#until(() => load.count('spooled', from) > 0, spooledDeadlineMs)
    await this.#pause(outage.fateMs)
    let wasKilled = false
    if (outage.gateway === 'killed' || outage.gateway === 'restarted') wasKilled = await this.#replace(outage.gateway)
    await this.#pause(Math.max(0, beganMs + outage.awayMs - Date.now()))
    if (outage.broker === 'killed') await kafka.start()
    else kafka.resume()
    const backMs = Date.now()
    let wasReplaying = false
    if (outage.gateway === 'killed-in-replay') {
      await this.#until(() => gateway.isReplaying, recoveredDeadlineMs, replayPollMs)
      wasReplaying = gateway.isReplaying
      wasKilled = await this.#replace('killed')
    }
    await this.#recovered()
    const metrics = await gateway.spillMetrics()
    return {
      outage,
      spooled: load.count('spooled', from),
      replayed: (metrics.get('replayed') ?? 0) + (metrics.get('landed') ?? 0),
      wasKilled,
      wasReplaying,
      backAfterMs: Date.now() - backMs,
    }
  }

  /** Ends the process, and starts another at the same address. */
  async #replace(how: 'killed' | 'restarted'): Promise<boolean> {
    const { gateway, losesLog, spillDirectory } = this.#targets
    if (how === 'killed') await gateway.kill()
    else if ((await gateway.stop()) !== 0)
      throw new FaultError(`the gateway did not end well:\n${gateway.log().slice(-2_000)}`)
    if (losesLog) loseLog(spillDirectory)
    gateway.launch()
    return true
  }

  /** Waits until the gateway is well, and nothing is in its log. */
  async #recovered(): Promise<void> {
    const { gateway } = this.#targets
    await gateway.ready()
    const isWell = async () =>
      (await gateway.health()) === 'ok' && ((await gateway.spillMetrics()).get('requests') ?? 0) === 0
    if (!(await this.#until(isWell, recoveredDeadlineMs))) {
      throw new FaultError(
        `the gateway is not well ${recoveredDeadlineMs / 1_000} s after the outage:\n${gateway.log().slice(-2_000)}`,
      )
    }
  }

  async #calm(after: string): Promise<void> {
    const fromMs = Date.now()
    await this.#pause(calmMs)
    this.calms.push({ after, fromMs, toMs: Date.now() })
  }

  /** Whether it came to be in time. */
  async #until(is: () => boolean | Promise<boolean>, withinMs: number, everyMs = pollMs): Promise<boolean> {
    const deadlineMs = Date.now() + withinMs
    while (!(await is())) {
      if (Date.now() > deadlineMs) return false
      await this.#pause(everyMs)
    }
    return true
  }

  #pause(ms: number): Promise<void> {
    return delay(ms, undefined, { signal: this.#targets.signal })
  }
}

function outageText({ broker, awayMs, gateway }: PlannedOutage): string {
  const fate = gateway === 'stays' ? '' : `, gateway ${gateway.replaceAll('-', ' ')}`
  return `broker ${broker} for ${awayMs / 1_000} s${fate}`
}

function recordText({ outage, spooled, replayed, wasReplaying, backAfterMs }: OutageRecord): string {
  const hit = wasReplaying ? ', in the middle of a replay' : ''
  return `  ${outageText(outage)}${hit}: ${spooled} requests answered from the log, ${replayed} records replayed, well ${(backAfterMs / 1_000).toFixed(1)} s after the broker`
}
