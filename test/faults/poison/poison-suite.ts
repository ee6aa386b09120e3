import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startServersAlone } from '@millrace/local/servers'
import type { Broker, Producer } from '@millrace/streams'
import { connectKafka } from '@millrace/streams/kafka'
import { freePorts } from '../../../deploy/local/src/ports.ts'
import type { CheckResult } from '../engine/checks.ts'
import type { Evidence } from '../engine/evidence.ts'
import { judgement, verdictOf, verdictText } from '../engine/run-report.ts'
import { FaultError } from '../fault-error.ts'
import { GatewayUnderTest } from '../gateway/gateway-under-test.ts'
import { SinkPage } from '../outage/service-page.ts'
import { type SinkKind, sinkKinds } from '../sinks/fault-plan.ts'
import { poisonSabotages, preloadOf } from '../sinks/sabotage.ts'
import { SinkSlot } from '../sinks/sink-slot.ts'
import type { FaultSuite, SuiteContext, Verdict } from '../suite.ts'
import { LetterReader, placeOf } from './letters.ts'
import {
  cpuMsMax,
  growthBytesMax,
  letterMsMax,
  pollMs,
  quickKinds,
  readyDeadlineMs,
  waitMsMax,
  warmRecords,
} from './limits.ts'
import {
  fateOf,
  type PoisonedTopic,
  type PoisonKind,
  poisonedTopicNames,
  poisonKinds,
  poisonOf,
  registerPoison,
} from './poison-records.ts'
import { processFigures } from './process-figures.ts'
import { type SoundRecords, soundRecords } from './sound-records.ts'

/** Letters are not written, or nothing is poisoned. */
const sabotages = [...Object.keys(poisonSabotages), 'no-faults'] as const

const partition = 0
const sinkOf: Readonly<Record<PoisonedTopic, SinkKind>> = {
  events: 'clickhouse',
  stats: 'clickhouse',
  leads: 'mysql',
  'api-logs': 'mysql',
}

/**
 * Poison of every kind in every topic that a sink reads, one record after the other, with a sound one behind each: how soon it is a dead letter, whether the sound one is
 * stored, and what it costs.
 */
export const poisonSuite: FaultSuite = {
  title: 'records that nobody can read, in every topic of the sinks: dead letters, and nothing is held up',
  sabotages,
  async run(context) {
    const { scratch, environment, report, signal } = context
    const servers = await startServersAlone({ folder: join(scratch, 'servers'), environment, report, signal })
    try {
      return await new PoisonRun(context, servers.variables).run()
    } finally {
      await servers.stop()
    }
  },
}

/** What one poisoned record did. */
interface Dose {
  readonly topic: PoisonedTopic
  readonly kind: PoisonKind
  /** From its acknowledgement to its letter; undefined when there was none. */
  readonly letterMs: number | undefined
  readonly reason: string
  readonly isSame: boolean
  /** From the acknowledgement of the sound record behind it until all of the topic was stored; undefined when that did not come. */
  readonly behindMs: number | undefined
  /** Of the sink's process, until the letter. */
  readonly cpuMs: number
}

/** What the run works with. */
interface Ward {
  readonly producer: Producer
  readonly readers: ReadonlyMap<PoisonedTopic, LetterReader>
  readonly sound: SoundRecords
  readonly slots: ReadonlyMap<SinkKind, SinkSlot>
  readonly pages: ReadonlyMap<SinkKind, SinkPage>
}

class PoisonRun {
  readonly #context: SuiteContext
  readonly #variables: Readonly<Record<string, string>>
  readonly #broker: Broker

  constructor(context: SuiteContext, variables: Readonly<Record<string, string>>) {
    this.#context = context
    this.#variables = variables
    this.#broker = connectKafka({ brokers: [variables.MILLRACE_KAFKA_BROKERS ?? ''], clientId: 'faults-checker' })
  }

  async run(): Promise<Verdict> {
    const sound = await this.#soundRecords()
    const ports = await freePorts(sinkKinds.length)
    const slots = new Map<SinkKind, SinkSlot>()
    const readers = new Map<PoisonedTopic, LetterReader>()
    const producer = await this.#broker.openProducer({ clientId: 'poison' })
    try {
      for (const [index, kind] of sinkKinds.entries()) slots.set(kind, await this.#openSink(kind, ports[index] ?? 0))
      for (const topic of poisonedTopicNames) {
        readers.set(topic, await LetterReader.follow(this.#broker, `${topic}.dlq`))
      }
      const pages = new Map(sinkKinds.map((kind, index) => [kind, new SinkPage(ports[index] ?? 0)]))
      return await this.#poisonAndJudge({ producer, readers, sound, slots, pages })
    } finally {
      for (const { process } of slots.values()) process?.kill()
      await Promise.allSettled([
        producer.close(),
        ...[...readers.values()].map((reader) => reader.stop()),
        ...[...slots.values()].map(({ relay }) => relay.close()),
      ])
    }
  }

  /** The pattern of a lead comes from the gateway, which is needed for nothing else. */
  async #soundRecords(): Promise<SoundRecords> {
    const [port = 0] = await freePorts(1)
    const gateway = new GatewayUnderTest(port, { ...this.#variables, MILLRACE_LOG_LEVEL: 'warn' })
    try {
      gateway.launch()
      await gateway.ready()
      return await soundRecords({
        broker: this.#broker,
        registryUrl: this.#variables.MILLRACE_REGISTRY_URL ?? '',
        eventType: 'sound',
        postLead: () => postLead(gateway.url),
      })
    } finally {
      await gateway.close()
    }
  }

  async #openSink(kind: SinkKind, healthPort: number): Promise<SinkSlot> {
    const { command, scratch } = this.#context
    const folder = join(scratch, 'sinks')
    mkdirSync(folder, { recursive: true })
    const slot = await SinkSlot.open('a', {
      kind,
      variables: this.#variables,
      folder,
      ignoresTokens: false,
      preload: preloadOf(command.sabotage, folder),
      // Its batches are those of a deployment.
      change: { MILLRACE_HEALTH_PORT: String(healthPort) },
      onFailed: (error) => this.#context.report(error.message),
    })
    slot.start()
    await slot.present.running()
    return slot
  }

  async #poisonAndJudge(ward: Ward): Promise<Verdict> {
    const { command, report, signal } = this.#context
    const { slots, readers } = ward
    for (const topic of poisonedTopicNames) await this.#warm(ward, topic)
    const bytesOf = (slot: SinkSlot) => processFigures(slot.present.pid).residentBytes
    const bases = new Map([...slots.values()].map((slot) => [slot, bytesOf(slot)]))
    const peaks = new Map(bases)
    const watch = setInterval(() => {
      for (const slot of slots.values()) peaks.set(slot, Math.max(peaks.get(slot) ?? 0, bytesOf(slot)))
    }, 50)
    const doses: Dose[] = []
    const kinds = command.quick ? poisonKinds.slice(0, quickKinds) : poisonKinds
    for (const topic of command.sabotage === 'no-faults' ? [] : poisonedTopicNames) {
      for (const kind of kinds) {
        signal.throwIfAborted()
        const dose = await this.#give(ward, topic, kind)
        doses.push(dose)
        report(doseText(dose))
      }
    }
    clearInterval(watch)
    const exits = await Promise.all(
      [...slots.values()].map(async ({ present }) => `${present.name}: ${await present.stop()}`),
    )
    const memory = [...bases].map(([slot, base]) => ({ name: slot.name, base, peak: peaks.get(slot) ?? 0 }))
    const letters = [...readers.values()].reduce((sum, reader) => sum + reader.letters.size, 0)
    const headless = [...readers.values()].reduce((sum, reader) => sum + reader.headless, 0)
    const checks = [...checksOf(doses, { letters, headless, exits }), ...memory.map(checkGrowth)]
    const evidence: readonly Evidence[] = [
      { title: 'poisoned records', found: doses.length, needed: kinds.length * poisonedTopicNames.length },
    ]
    report(['', ...judgement({ evidence, checks }, 'poison')].join('\n'))
    const verdict = verdictOf({ checks, evidence })
    report(`faults: poison: ${verdictText(verdict)}`)
    return verdict
  }

  /** Enough sound records that code and buffers are what they are in the long run. */
  async #warm({ producer, sound, pages }: Ward, topic: PoisonedTopic): Promise<void> {
    const timestamp = Date.now()
    const records = Array.from({ length: warmRecords }, () => ({ topic, partition, timestamp, ...sound[topic]() }))
    await producer.send(records)
    const isStored = await until(async () => (await pages.get(sinkOf[topic])?.lagRecords(topic)) === 0, readyDeadlineMs)
    if (!isStored)
      throw new FaultError(`the sound records of ${topic} were not stored within ${readyDeadlineMs / 1_000} s`)
  }

  async #give({ producer, readers, sound, slots, pages }: Ward, topic: PoisonedTopic, kind: PoisonKind): Promise<Dose> {
    const slot = slots.get(sinkOf[topic])
    const reader = readers.get(topic)
    const schemas = await registerPoison(this.#variables.MILLRACE_REGISTRY_URL ?? '', topic)
    const record = poisonOf(kind, sound[topic](), schemas)
    const before = processFigures(slot?.present.pid ?? 0).cpuMs
    const [batch] = await producer.send([{ topic, partition, timestamp: Date.now(), ...record }])
    const sentMs = Date.now()
    const place = placeOf(topic, partition, batch?.baseOffset ?? -1)
    if (fateOf(topic, kind) === 'letter') await until(async () => reader?.letters.has(place) === true, waitMsMax)
    const letter = reader?.letters.get(place)
    const cpuMs = processFigures(slot?.present.pid ?? 0).cpuMs - before
    await producer.send([{ topic, partition, timestamp: Date.now(), ...sound[topic]() }])
    const behindMs = Date.now()
    const isStored = await until(async () => (await pages.get(sinkOf[topic])?.lagRecords(topic)) === 0, waitMsMax)
    return {
      topic,
      kind,
      letterMs: letter === undefined ? undefined : letter.seenMs - sentMs,
      reason: letter?.reason ?? '',
      isSame:
        letter === undefined ||
        (letter.value === null ? record.value === null : letter.value.equals(record.value ?? Buffer.alloc(0))),
      behindMs: isStored ? Date.now() - behindMs : undefined,
      cpuMs,
    }
  }
}

/** What must hold for every record, and for all together. */
function checksOf(
  doses: readonly Dose[],
  all: { readonly letters: number; readonly headless: number; readonly exits: readonly string[] },
): readonly CheckResult[] {
  const expected = doses.filter(({ topic, kind }) => fateOf(topic, kind) === 'letter')
  const times = expected.flatMap(({ letterMs }) => letterMs ?? []).sort((a, b) => a - b)
  const slowest = times.at(-1) ?? Number.NaN
  const median = times[times.length >> 1] ?? Number.NaN
  const cpuMs = Math.max(0, ...doses.map((dose) => dose.cpuMs))
  const name = ({ topic, kind }: Dose) => `${kind} in ${topic}`
  const brokenOf = (list: readonly Dose[], isBroken: (dose: Dose) => boolean) => list.filter(isBroken).map(name)
  return [
    {
      title: `each is a dead letter within ${letterMsMax / 1_000} s, the age of a batch included`,
      looked: `${times.length} letters, the median after ${median} ms, the last after ${slowest} ms`,
      broken: brokenOf(expected, ({ letterMs }) => letterMs === undefined || letterMs > letterMsMax),
    },
    {
      title: 'letters are those, byte by byte, with their headers, and no others',
      looked: `${all.letters} letters`,
      broken: [
        ...brokenOf(doses, ({ isSame }) => !isSame),
        ...(all.letters === expected.length ? [] : [`${all.letters} letters, not ${expected.length}`]),
        ...(all.headless === 0 ? [] : [`${all.headless} letters lack headers`]),
      ],
    },
    {
      title: 'what is behind each is stored',
      looked: `${doses.length} records, the last after ${Math.max(0, ...doses.map(({ behindMs = 0 }) => behindMs))} ms`,
      broken: brokenOf(doses, ({ behindMs }) => behindMs === undefined),
    },
    {
      title: `none takes more than ${cpuMsMax} ms of CPU, of all that the sink does meanwhile`,
      looked: `${cpuMs} ms at the most`,
      broken: brokenOf(doses, (dose) => dose.cpuMs > cpuMsMax),
    },
    {
      title: 'every sink closes when asked',
      looked: `${all.exits.length} sinks`,
      broken: all.exits.filter((exit) => !exit.endsWith(': 0')),
    },
  ]
}

const mib = 1024 * 1024

function checkGrowth({
  name,
  base,
  peak,
}: {
  readonly name: string
  readonly base: number
  readonly peak: number
}): CheckResult {
  const grown = peak - base
  return {
    title: `${name} grows by at most ${growthBytesMax / mib} MiB`,
    looked: `${(base / mib).toFixed(0)} MiB before, ${(peak / mib).toFixed(0)} MiB at the most`,
    broken: grown <= growthBytesMax && base > 0 ? [] : [`it grew by ${(grown / mib).toFixed(0)} MiB`],
  }
}

/** One line of the report. */
function doseText({ topic, kind, letterMs, reason, behindMs, cpuMs }: Dose): string {
  const fate =
    letterMs === undefined ? fateOf(topic, kind).replace('letter', 'NO LETTER') : `letter after ${letterMs} ms`
  const behind = behindMs === undefined ? 'NOT stored' : `${behindMs} ms`
  return `  ${topic.padEnd(9)} ${kind.padEnd(24)} ${fate.padEnd(22)} ${reason.padEnd(15)} behind it ${behind.padEnd(10)} ${cpuMs} ms of CPU`
}

async function until(is: () => Promise<boolean>, withinMs: number): Promise<boolean> {
  const endMs = Date.now() + withinMs
  while (!(await is())) {
    if (Date.now() > endMs) return false
    await delay(pollMs)
  }
  return true
}

/** As a development account; answers the lead's id. */
async function postLead(url: string): Promise<string> {
  const post = async (path: string, body: unknown, headers: Readonly<Record<string, string>> = {}) => {
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    }
    const answer = await fetch(url + path, init)
    const text = await answer.text()
    if (!answer.ok) throw new FaultError(`${path} was answered with ${answer.status}: ${text}`)
    return JSON.parse(text)
  }
  const { token } = await post('/api/v1/login', { username: 'admin', password: 'password' })
  const lead = { first_name: 'Ada', last_name: 'Lovelace', email: 'ada@example.org' }
  return (await post('/api/v1/lead/process-async', lead, { authorization: `Bearer ${token}` })).lead_id
}
