import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startServersAlone } from '@millrace/local/servers'
import { openClickHouse } from '@millrace/storage/clickhouse'
import type { Broker } from '@millrace/streams'
import { connectKafka } from '@millrace/streams/kafka'
import { freePorts } from '../../../deploy/local/src/ports.ts'
import type { CheckResult } from '../engine/checks.ts'
import type { Evidence } from '../engine/evidence.ts'
import { judgement, verdictOf, verdictText } from '../engine/run-report.ts'
import { endsOf } from '../engine/topic-log.ts'
import { FaultError } from '../fault-error.ts'
import { GatewayUnderTest } from '../gateway/gateway-under-test.ts'
import { checkOffsets } from '../sinks/checks.ts'
import { type SinkKind, sinkKinds } from '../sinks/fault-plan.ts'
import { Relay, type RelayMode } from '../sinks/relay.ts'
import { SinkSlot } from '../sinks/sink-slot.ts'
import { Stored } from '../sinks/stored.ts'
import { plainWire } from '../sinks/wire-protocol.ts'
import type { FaultSuite, SuiteContext, Verdict } from '../suite.ts'
import { checkAccepted, checkMemory, checkSame, quantileMs } from './checks.ts'
import { awayMs, calmMs, lagDeadlineMs, phases, pollMs, readyDeadlineMs, storedDeadlineMs } from './limits.ts'
import { OutageLoad, requestKinds } from './outage-load.ts'
import { SinkPage } from './service-page.ts'
import { WatchedProcess } from './watched-process.ts'

/** Each breaks one thing that the run must notice; without faults the run must say that it shows nothing. */
const sabotages = ['lose-event', 'lose-lead', 'no-faults'] as const

/**
 * ClickHouse and MySQL are away together for ten minutes, while events and leads come in at the real gateway: connections are refused, and for a while swallowed
 * without an answer. Meanwhile everything is answered with 2xx, and the lag shows; afterwards everything is stored, once.
 */
export const outageSuite: FaultSuite = {
  title: 'ClickHouse and MySQL away together for ten minutes, under events and leads at the gateway',
  sabotages,
  async run(context) {
    const { scratch, environment, report, signal } = context
    const servers = await startServersAlone({ folder: join(scratch, 'servers'), environment, report, signal })
    try {
      return await new OutageRun(context, servers.variables).run()
    } finally {
      await servers.stop()
    }
  },
}

/** A span of time, with what it was. */
interface Span {
  readonly name: string
  readonly fromMs: number
  readonly toMs: number
}

/** What was seen while the databases were away. */
interface Sighting {
  readonly lag: Readonly<Record<SinkKind, number>>
  readonly readiness: Readonly<Record<SinkKind, number>>
  readonly health: string
}

/** One run, from empty databases to a verdict. */
class OutageRun {
  readonly #context: SuiteContext
  readonly #variables: Readonly<Record<string, string>>
  readonly #broker: Broker
  readonly #spans: Span[] = []
  readonly #startedMs = Date.now()

  constructor(context: SuiteContext, variables: Readonly<Record<string, string>>) {
    this.#context = context
    this.#variables = variables
    this.#broker = connectKafka({ brokers: [variables.MILLRACE_KAFKA_BROKERS ?? ''], clientId: 'faults-checker' })
  }

  async run(): Promise<Verdict> {
    const clickHouse = openClickHouse({
      url: this.#variables.MILLRACE_CLICKHOUSE_URL ?? '',
      user: this.#variables.MILLRACE_CLICKHOUSE_USER ?? '',
      password: this.#variables.MILLRACE_CLICKHOUSE_PASSWORD ?? '',
      database: this.#variables.MILLRACE_CLICKHOUSE_DATABASE ?? '',
    })
    const stored = new Stored(clickHouse, this.#variables)
    const relays = await openRelays(this.#variables)
    const [port = 0, ...healthPorts] = await freePorts(1 + sinkKinds.length)
    const gateway = new GatewayUnderTest(port, {
      ...this.#variables,
      ...relays.variables,
      MILLRACE_LOG_LEVEL: 'warn',
      // One token for the whole run.
      MILLRACE_TOKEN_TTL_S: '3600',
    })
    const { promise: ended, reject } = Promise.withResolvers<never>()
    ended.catch(() => undefined)
    this.#context.signal.addEventListener('abort', () => reject(this.#context.signal.reason), { once: true })
    const slots: SinkSlot[] = []
    try {
      await stored.keepDuplicates()
      for (const [index, kind] of sinkKinds.entries()) {
        slots.push(await this.#openSink(kind, healthPorts[index] ?? 0, reject))
      }
      const pages = new Map(sinkKinds.map((kind, index) => [kind, new SinkPage(healthPorts[index] ?? 0)]))
      return await Promise.race([this.#breakAndJudge({ gateway, slots, relays, stored, pages }), ended])
    } finally {
      for (const { process } of slots) process?.kill()
      await gateway.close()
      await Promise.all([...relays.all, ...slots.map(({ relay }) => relay)].map((relay) => relay.close()))
      await clickHouse.close()
    }
  }

  /** A sink as it is deployed: with batches of a second. */
  async #openSink(kind: SinkKind, healthPort: number, onFailed: (error: FaultError) => void): Promise<SinkSlot> {
    const folder = join(this.#context.scratch, 'sinks')
    mkdirSync(folder, { recursive: true })
    const change = { MILLRACE_HEALTH_PORT: String(healthPort) }
    const options = { kind, variables: this.#variables, folder, ignoresTokens: false, preload: [], change, onFailed }
    const slot = await SinkSlot.open('a', options)
    slot.start()
    await slot.present.running()
    return slot
  }

  async #breakAndJudge(subjects: Subjects): Promise<Verdict> {
    const { command, report } = this.#context
    const { gateway, slots, stored, pages } = subjects
    const isBroken = command.sabotage !== 'no-faults'
    const calm = command.quick ? calmMs.quick : calmMs.full
    gateway.launch()
    await gateway.ready()
    const load = new OutageLoad({ url: gateway.url, token: await login(gateway.url) })
    const memories = slots.map(({ name, present }) => new WatchedProcess(`${name} sink`, present.pid))
    load.start()
    await this.#span('before', () => delay(calm))
    for (const memory of memories) memory.noteBase()
    const gatewayBase = gateway.peakBytes
    const sighting = isBroken ? await this.#away(subjects) : undefined
    const backMs = Date.now()
    const backlog = load.accepted
    report(
      `${this.#seconds()} the databases are back; ${backlog.events} events and ${backlog.leadIds.size} leads were accepted so far`,
    )
    await this.#span('after', () => delay(calm))
    await load.stop()
    const { accepted } = load
    const isStored = await this.#until(
      async () => (await stored.eventRows()) >= accepted.events && (await stored.leadRows()) >= accepted.leadIds.size,
      storedDeadlineMs,
    )
    const storedMs = Date.now() - backMs
    const isWell = await this.#until(
      async () => (await this.#isWell(pages)) && (await gateway.health()) === 'ok',
      readyDeadlineMs,
    )
    const gatewayMemory = { baseBytes: gatewayBase, peakBytes: gateway.peakBytes }
    for (const memory of memories) memory.stop()
    const exits = await Promise.all(slots.map(async ({ present }) => `${present.name}: ${await present.stop()}`))
    if (command.sabotage === 'lose-event') await stored.loseEvent()
    if (command.sabotage === 'lose-lead') await stored.loseLead()
    const checks: CheckResult[] = [
      checkAccepted(load.sent, ({ startedMs }) => this.#awaySpans.some((span) => isIn(startedMs, span))),
      {
        title: 'everything is stored when the databases are back',
        looked: `${(storedMs / 1_000).toFixed(1)} s after they came back, the calm of ${calm / 1_000} s included`,
        broken: isStored ? [] : [`rows were missing after ${storedDeadlineMs / 1_000} s`],
      },
      {
        title: 'sinks and gateway are well again, without lag',
        looked: `${pages.size} sinks`,
        broken: isWell ? [] : [`not within ${readyDeadlineMs / 1_000} s`],
      },
      {
        title: 'every sink closes when asked',
        looked: `${exits.length} sinks`,
        broken: exits.filter((exit) => !exit.endsWith(': 0')),
      },
      ...(await this.#checkStored(stored, load)),
      checkMemory('gateway', gatewayMemory),
      ...memories.map((memory) => checkMemory(memory.name, memory)),
    ]
    const evidence = this.#evidence(sighting, load)
    report(['', ...this.#latencies(load), '', ...judgement({ evidence, checks }, 'outage')].join('\n'))
    const verdict = verdictOf({ checks, evidence })
    report(`seed ${command.seed}, ${this.#seconds()}\nfaults: outage: ${verdictText(verdict)}`)
    return verdict
  }

  /** Takes the databases away from everybody, looks around shortly before they come back, and brings them back. */
  async #away(subjects: Subjects): Promise<Sighting> {
    const { relays, slots, gateway, pages } = subjects
    const { command, report } = this.#context
    const all = [...relays.all, ...slots.map(({ relay }) => relay)]
    const total = command.quick ? awayMs.quick : awayMs.full
    for (const { mode, share } of phases) {
      setMode(all, mode)
      report(`${this.#seconds()} ClickHouse and MySQL are ${mode}`)
      await this.#span(mode, () => delay(total * share))
    }
    const lagOf = (kind: SinkKind) => pages.get(kind)?.lagRecords(kind === 'clickhouse' ? 'events' : 'leads') ?? 0
    await this.#until(async () => (await lagOf('clickhouse')) > 0 && (await lagOf('mysql')) > 0, lagDeadlineMs)
    const readinessOf = async (kind: SinkKind) => (await pages.get(kind)?.readiness()) ?? 0
    const sighting = {
      lag: { clickhouse: await lagOf('clickhouse'), mysql: await lagOf('mysql') },
      readiness: { clickhouse: await readinessOf('clickhouse'), mysql: await readinessOf('mysql') },
      health: await gateway.health(),
    }
    setMode(all, 'open')
    return sighting
  }

  async #checkStored(stored: Stored, { accepted }: OutageLoad): Promise<readonly CheckResult[]> {
    const [events, leads] = [await stored.events(), await stored.leads()]
    const total = new Map([
      ['rows', accepted.events],
      ['different event ids', accepted.events],
    ])
    const found = new Map([
      ['rows', events.rows],
      ['different event ids', events.ids],
    ])
    const ids = (of: Iterable<string>) => new Map([...of].map((id) => [id, 1]))
    return [
      checkSame('count() = uniqExact(event_id) = events accepted, without FINAL', total, found),
      checkSame('of each user as many events as were accepted', accepted.eventsByUser, await stored.eventsByUser()),
      checkOffsets(
        'each partition of events is stored from its first offset to its end',
        events.partitions,
        await endsOf(this.#broker, 'events'),
      ),
      checkSame(
        'every lead that was accepted is stored, and no other',
        ids(accepted.leadIds),
        ids(leads.duplicates.keys()),
      ),
      checkOffsets(
        'each partition of leads is stored from its first offset to its end',
        leads.partitions,
        await endsOf(this.#broker, 'leads'),
      ),
    ]
  }

  #evidence(sighting: Sighting | undefined, load: OutageLoad): readonly Evidence[] {
    const away = this.#awaySpans
    const meanwhile = load.sent.filter(
      ({ startedMs, status }) => status >= 200 && status < 300 && away.some((span) => isIn(startedMs, span)),
    )
    const found = (is: boolean | undefined) => (is === true ? 1 : 0)
    return [
      { title: 'requests answered with 2xx while both were away', found: meanwhile.length, needed: 100 },
      ...requestKinds.map((kind) => ({
        title: `  of these, ${kind}`,
        found: meanwhile.filter((request) => request.kind === kind).length,
        needed: 10,
      })),
      { title: 'events that waited, by the metrics of the sink', found: sighting?.lag.clickhouse ?? 0, needed: 1_000 },
      { title: 'leads that waited, by the metrics of the sink', found: sighting?.lag.mysql ?? 0, needed: 100 },
      {
        title: 'sinks that said that they were not ready',
        found: sinkKinds.filter((kind) => sighting?.readiness[kind] === 503).length,
        needed: sinkKinds.length,
      },
      { title: 'the gateway said that it was degraded', found: found(sighting?.health === 'degraded'), needed: 1 },
    ]
  }

  get #awaySpans(): readonly Span[] {
    return this.#spans.filter(({ name }) => name !== 'before' && name !== 'after')
  }

  #latencies({ sent }: OutageLoad): readonly string[] {
    const ms = (value: number) => `${value.toFixed(1)} ms`.padStart(10)
    return [
      'Answers of the gateway',
      ...this.#spans.map((span) => {
        const requests = sent.filter(({ startedMs }) => isIn(startedMs, span))
        const seconds = (span.toMs - span.fromMs) / 1_000
        const overloaded = requests.filter(({ code }) => code === 'OVERLOADED').length
        const [p50, p99] = [quantileMs(sent, 0.5, span), quantileMs(sent, 0.99, span)]
        return `  ${span.name.padEnd(9)} ${seconds.toFixed(0).padStart(4)} s ${String(requests.length).padStart(7)} requests, p50 ${ms(p50)}, p99 ${ms(p99)}, OVERLOADED ${overloaded}`
      }),
    ]
  }

  async #isWell(pages: Subjects['pages']): Promise<boolean> {
    for (const [kind, page] of pages) {
      const topic = kind === 'clickhouse' ? 'events' : 'leads'
      if ((await page.readiness()) !== 200 || (await page.lagRecords(topic)) > 0) return false
    }
    return true
  }

  async #span(name: string, during: () => Promise<unknown>): Promise<void> {
    const fromMs = Date.now()
    await during()
    this.#context.signal.throwIfAborted()
    this.#spans.push({ name, fromMs, toMs: Date.now() })
  }

  /** Whether it came to be in time. */
  async #until(is: () => Promise<boolean>, withinMs: number): Promise<boolean> {
    const endMs = Date.now() + withinMs
    while (!(await is())) {
      if (Date.now() > endMs) return false
      await delay(pollMs)
      this.#context.signal.throwIfAborted()
    }
    return true
  }

  #seconds(): string {
    return `${((Date.now() - this.#startedMs) / 1_000).toFixed(0)} s:`
  }
}

interface Subjects {
  readonly gateway: GatewayUnderTest
  readonly slots: readonly SinkSlot[]
  readonly relays: GatewayRelays
  readonly stored: Stored
  readonly pages: ReadonlyMap<SinkKind, SinkPage>
}

/** Between the gateway and its databases; each sink has one of its own. */
interface GatewayRelays {
  readonly all: readonly Relay[]
  readonly variables: Readonly<Record<string, string>>
}

async function openRelays(variables: Readonly<Record<string, string>>): Promise<GatewayRelays> {
  const clickHouse = await Relay.open(Number(new URL(variables.MILLRACE_CLICKHOUSE_URL ?? '').port), plainWire)
  const mysql = await Relay.open(Number(variables.MILLRACE_MYSQL_PORT), plainWire)
  return {
    all: [clickHouse, mysql],
    variables: {
      MILLRACE_CLICKHOUSE_URL: `http://127.0.0.1:${clickHouse.port}`,
      MILLRACE_MYSQL_HOST: '127.0.0.1',
      MILLRACE_MYSQL_PORT: String(mysql.port),
    },
  }
}

/** Connections end when a network begins to refuse, and when it comes back from its silence: what they held is gone. */
function setMode(relays: readonly Relay[], mode: RelayMode): void {
  for (const relay of relays) {
    relay.mode = mode
    if (mode !== 'silent') relay.cut()
  }
}

function isIn(atMs: number, { fromMs, toMs }: Span): boolean {
  return atMs >= fromMs && atMs < toMs
}

async function login(url: string): Promise<string> {
  const answer = await fetch(`${url}/api/v1/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'admin', password: 'password' }),
  })
  if (!answer.ok) throw new FaultError(`the login was answered with ${answer.status}`)
  return JSON.parse(await answer.text()).token
}
