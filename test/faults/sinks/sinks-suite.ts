import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type ServersAlone, startServersAlone } from '@millrace/local/servers'
import { openRegistry } from '@millrace/schemas'
import { type ClickHouse, openClickHouse } from '@millrace/storage/clickhouse'
import { type Broker, partitionKey } from '@millrace/streams'
import { connectKafka } from '@millrace/streams/kafka'
import type { FaultCommand } from '../command-line.ts'
import type { CheckResult } from '../engine/checks.ts'
import { judgement, verdictOf, verdictText } from '../engine/run-report.ts'
import { endsOf, partitionsOf, readPlain } from '../engine/topic-log.ts'
import { FaultError } from '../fault-error.ts'
import { Random } from '../random.ts'
import type { FaultSuite, SuiteContext, Verdict } from '../suite.ts'
import {
  checkCommits,
  checkDuplicates,
  checkEvents,
  checkHistory,
  checkLeads,
  checkNoDeadLetters,
  checkOffsets,
  checkOutcomes,
  type ToldOutcome,
} from './checks.ts'
import { collectEvidence } from './evidence.ts'
import { countFaults, type PlannedFault, planFaults, sinkKinds } from './fault-plan.ts'
import { type FaultRecord, FaultRunner, faultText } from './fault-runner.ts'
import { InsertLog } from './insert-log.ts'
import { brokenDrainDeadlineMs, drainDeadlineMs, slotsPerKind, stormJoins } from './limits.ts'
import { RecordFeed } from './record-feed.ts'
import { codeSabotages, preloadOf } from './sabotage.ts'
import { openSealing } from './sealing.ts'
import { SinkSlot } from './sink-slot.ts'
import { Stored } from './stored.ts'

/**
 * Each breaks one thing that the run must notice: ClickHouse sees another token each time, a row is taken away, or the sinks' own code is changed as they load
 * it (sabotage-hooks.ts). Without faults the run must say that it shows nothing.
 */
const sabotages = ['ignore-tokens', 'lose-event', 'lose-lead', 'no-faults', ...Object.keys(codeSabotages)] as const

const pollMs = 250

/**
 * Exactly once into ClickHouse and MySQL: the sinks as they are deployed are killed before, during and after their writes, the databases are killed, slow and
 * away, and members come and go, while events and leads flow; in the end each is stored once.
 */
export const sinksSuite: FaultSuite = {
  title: 'every record once in ClickHouse and MySQL, under SIGKILL of sinks and databases',
  sabotages,
  async run(context) {
    const { environment, report, signal } = context
    const folder = join(context.scratch, 'servers')
    const servers = await startServersAlone({ folder, environment, report, signal })
    try {
      return await runOnServers(context, { ...servers, folder })
    } finally {
      await servers.stop()
    }
  },
}

/** Servers with empty topics and tables, and the folder with their process ids. */
export interface RunServers extends Pick<ServersAlone, 'variables' | 'failed'> {
  readonly folder: string
}

/** The suite on servers that run already. */
export async function runOnServers(context: SuiteContext, servers: RunServers): Promise<Verdict> {
  const clickHouse = openClickHouse({
    url: variableOf(servers, 'MILLRACE_CLICKHOUSE_URL'),
    user: variableOf(servers, 'MILLRACE_CLICKHOUSE_USER'),
    password: variableOf(servers, 'MILLRACE_CLICKHOUSE_PASSWORD'),
    database: variableOf(servers, 'MILLRACE_CLICKHOUSE_DATABASE'),
  })
  try {
    return await new SinksRun(context, servers, clickHouse).run()
  } finally {
    await clickHouse.close()
  }
}

function variableOf({ variables }: RunServers, name: string): string {
  const value = variables[name]
  if (value === undefined) throw new FaultError(`the servers do not name ${name}`)
  return value
}

/** One run, from empty databases to a verdict. */
class SinksRun {
  readonly #context: SuiteContext
  readonly #servers: RunServers
  readonly #broker: Broker
  readonly #stored: Stored
  readonly #random: Random
  readonly #startedMs = Date.now()
  readonly #inserts = new InsertLog()

  constructor(context: SuiteContext, servers: RunServers, clickHouse: ClickHouse) {
    this.#context = context
    this.#servers = servers
    this.#broker = connectKafka({
      brokers: [variableOf(servers, 'MILLRACE_KAFKA_BROKERS')],
      clientId: 'faults-checker',
    })
    this.#stored = new Stored(clickHouse, servers.variables)
    this.#random = new Random(context.command.seed + 1)
  }

  async run(): Promise<Verdict> {
    await this.#stored.keepDuplicates()
    const { promise: ended, reject: onFailed } = Promise.withResolvers<never>()
    ended.catch(() => undefined)
    const [slots, guests] = await this.#openSlots(onFailed)
    const all = [...slots, ...Object.values(guests)]
    const registry = openRegistry(variableOf(this.#servers, 'MILLRACE_REGISTRY_URL'))
    const codecs = {
      event: await registry.codecFor('events', 'event'),
      lead: await registry.codecFor('leads', 'lead'),
      seal: await openSealing(this.#servers.variables),
    }
    const feed = await RecordFeed.open(this.#broker, codecs, new Random(this.#context.command.seed))
    const failures = Promise.race([
      ended,
      aborted(this.#context.signal),
      feed.failed.then((error) => Promise.reject(error)),
      this.#servers.failed.then((error) => Promise.reject(error)),
    ])
    try {
      return await Promise.race([this.#breakAndJudge({ slots, guests, feed }), failures])
    } finally {
      for (const { process } of all) process?.kill()
      await Promise.allSettled([feed.stop(), ...all.map(({ relay }) => relay.close())])
    }
  }

  async #openSlots(onFailed: (error: FaultError) => void): Promise<[readonly SinkSlot[], Guests]> {
    const folder = join(this.#context.scratch, 'sinks')
    mkdirSync(folder, { recursive: true })
    const { sabotage } = this.#context.command
    const ignoresTokens = sabotage === 'ignore-tokens'
    const preload = preloadOf(sabotage, folder)
    const open = async (kind: (typeof sinkKinds)[number], letter: string) => {
      const { variables } = this.#servers
      const slot = await SinkSlot.open(letter, { kind, variables, folder, ignoresTokens, preload, onFailed })
      if (kind === 'clickhouse') {
        slot.relay.onAsked = (token) => this.#inserts.asked(token, `${slot.name} ${slot.starts}`)
        slot.relay.onAnswered = (token) => this.#inserts.answered(token)
      }
      return slot
    }
    const letters = Array.from({ length: slotsPerKind }, (_, index) => String.fromCharCode(97 + index))
    const slots = await Promise.all(sinkKinds.flatMap((kind) => letters.map((letter) => open(kind, letter))))
    return [slots, { clickhouse: await open('clickhouse', 'guest'), mysql: await open('mysql', 'guest') }]
  }

  async #breakAndJudge(of: Subjects): Promise<Verdict> {
    const { command, report } = this.#context
    const plan = planOf(command)
    const faults = await this.#breakThings(plan, of)
    const isDrained = await this.#drained(of.feed)
    report(`${this.#seconds()} ${isDrained ? 'everything is' : 'NOT everything was'} stored; checking`)
    const exits = await Promise.all(of.slots.map(async ({ present }) => `${present.name}: ${await present.stop()}`))
    if (command.sabotage === 'lose-lead') await this.#stored.loseLead()
    if (command.sabotage === 'lose-event') await this.#stored.loseEvent()
    const told = await this.#outcomes()
    const checks = [
      {
        title: 'everything is stored in time',
        looked: `${of.feed.sent.events} events, ${of.feed.sent.leads} leads`,
        broken: isDrained ? [] : ['rows were missing'],
      },
      {
        title: 'every sink closes when asked',
        looked: `${exits.length} sinks`,
        broken: exits.filter((exit) => !exit.endsWith(': 0')),
      },
      ...(await this.#judge(of.feed, told)),
    ]
    const { inserts, answeredAgain, takenOver } = this.#inserts
    const toldAgain = [...told.values()].filter((outcomes) => outcomes.reduce((sum, { times }) => sum + times, 0) > 1)
    const evidence = collectEvidence({
      plan,
      faults,
      answeredAgain,
      takenOver,
      toldAgain: toldAgain.length,
      isQuick: command.quick,
    })
    const summary = `${inserts} inserts into ClickHouse, ${answeredAgain} of them more than once`
    report(['', summary, '', ...judgement({ evidence, checks })].join('\n'))
    const verdict = verdictOf({ checks, evidence })
    report(`seed ${command.seed}, ${this.#seconds()}\nfaults: sinks: ${verdictText(verdict)}`)
    return verdict
  }

  async #breakThings(
    plan: readonly PlannedFault[],
    { slots, guests, feed }: Subjects,
  ): Promise<readonly FaultRecord[]> {
    const { report, signal } = this.#context
    // One after the other: on a busy machine four that compile at once are slower than four in turns.
    for (const slot of slots) {
      slot.start()
      await slot.present.running()
    }
    feed.start()
    report(
      `${this.#seconds()} ${slots.length} sinks run; ${plan.length} faults with ${countFaults(plan, {})} kills follow`,
    )
    const runner = new FaultRunner({
      slots,
      guests,
      serversFolder: this.#servers.folder,
      databaseAnswers: (kind) => this.#stored.answers(kind),
      random: this.#random,
      stormJoins: this.#context.command.quick ? stormJoins.quick : stormJoins.full,
      signal,
      onFault: (record) => report(faultText(record)),
    })
    await runner.run(plan)
    await feed.stop()
    const { events, leads } = feed.sent
    report(`${this.#seconds()} the faults are over; ${events} events and ${leads} leads were sent`)
    await Promise.all(slots.map(({ present }) => present.running()))
    return runner.records
  }

  /** Waits until as many rows are there as were sent, or more. */
  async #drained(feed: RecordFeed): Promise<boolean> {
    const { quick, sabotage } = this.#context.command
    // What was lost on purpose does not come.
    const endMs = Date.now() + (quick && sabotage !== undefined ? brokenDrainDeadlineMs : drainDeadlineMs)
    while (Date.now() < endMs) {
      if ((await this.#stored.eventRows()) >= feed.sent.events && (await this.#stored.leadRows()) >= feed.sent.leads)
        return true
      await delay(pollMs)
      this.#context.signal.throwIfAborted()
    }
    return false
  }

  async #judge(feed: RecordFeed, told: ToldOutcomes): Promise<readonly CheckResult[]> {
    const [events, leads] = [await this.#stored.events(), await this.#stored.leads()]
    const [eventEnds, leadEnds] = [await endsOf(this.#broker, 'events'), await endsOf(this.#broker, 'leads')]
    const letters = new Map<string, number>()
    for (const topic of ['events.dlq', 'leads.dlq']) letters.set(topic, (await endsOf(this.#broker, topic))[0] ?? 0)
    return [
      checkEvents(events, feed.sent),
      checkOffsets('each partition of events is stored from its first offset to its end', events.partitions, eventEnds),
      checkLeads(leads, feed.sent, leadEnds),
      checkOffsets('each partition of leads is stored from its first offset to its end', leads.partitions, leadEnds),
      checkDuplicates(leads, feed.sent),
      checkHistory(leads, feed.sent),
      checkOutcomes(told, feed.sent),
      checkCommits(await this.#commits(), eventEnds),
      checkNoDeadLetters(letters),
    ]
  }

  /** What `lead-outcomes` says, by lead. */
  async #outcomes(): Promise<ToldOutcomes> {
    const registry = openRegistry(variableOf(this.#servers, 'MILLRACE_REGISTRY_URL'))
    const codec = await registry.codecFor('lead-outcomes', 'lead-outcome')
    const told = new Map<string, ToldOutcome[]>()
    await readPlain(this.#broker, 'lead-outcomes', ({ bytes, valueStart, valueEnd }) => {
      const { lead_id, outcome, duplicate_of: duplicateOf } = codec.decode(bytes.subarray(valueStart, valueEnd))
      const known = told.get(lead_id) ?? []
      const same = known.findIndex((other) => other.outcome === outcome && other.duplicateOf === duplicateOf)
      const times = (known[same]?.times ?? 0) + 1
      known[same < 0 ? known.length : same] = { outcome, duplicateOf, times }
      told.set(lead_id, known)
    })
    return told
  }

  /** Where the group of the sinks of `events` stands. */
  async #commits() {
    const group = await this.#broker.openGroupMember({ clientId: 'faults-checker', groupId: 'sink-clickhouse-events' })
    try {
      const all = await partitionsOf(this.#broker, 'events')
      const committed = await group.committed(all)
      return new Map(
        all.map((of) => [of.partition, committed.get(partitionKey(of)) ?? { offset: 0, metadata: '' }] as const),
      )
    } finally {
      await group.close()
    }
  }

  #seconds(): string {
    return `${((Date.now() - this.#startedMs) / 1_000).toFixed(0)} s:`
  }
}

/**
 * A guarantee that is broken on purpose shows when sinks are killed, and a row that is taken away shows without: of a quick run of that kind the rest would only take
 * time.
 */
function planOf({ seed, quick, sabotage }: FaultCommand): readonly PlannedFault[] {
  if (sabotage === 'no-faults') return []
  const plan = planFaults(seed, quick)
  if (!quick || sabotage === undefined) return plan
  const kills = plan.filter(({ fault }) => fault.kind === 'kill')
  return sabotage.startsWith('lose-') ? kills.slice(0, 1) : kills
}

type ToldOutcomes = ReadonlyMap<string, readonly ToldOutcome[]>

type Guests = Readonly<Record<(typeof sinkKinds)[number], SinkSlot>>

interface Subjects {
  readonly slots: readonly SinkSlot[]
  readonly guests: Guests
  readonly feed: RecordFeed
}

/** Rejects when the person wants it to end. */
function aborted(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  promise.catch(() => undefined)
  return promise
}
