import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type KafkaAlone, startKafkaAlone } from '@millrace/local/kafka'
import type { Broker } from '@millrace/streams'
import { connectKafka } from '@millrace/streams/kafka'
import { Kafka, logLevel, type Admin as SubscriberAdmin } from 'kafkajs'
import { Random } from '../random.ts'
import type { FaultSuite, SuiteContext, Verdict } from '../suite.ts'
import { type CheckResult, compareTables, lastResults } from './checks.ts'
import { EventFeed } from './event-feed.ts'
import { EventSource } from './event-source.ts'
import { abortedTransactions, collectEvidence } from './evidence.ts'
import { killsOf, type PlannedFault, planFaults } from './fault-plan.ts'
import { type FaultRecord, FaultRunner, faultText } from './fault-runner.ts'
import { Instances } from './instances.ts'
import { judge, readResults } from './judgement.ts'
import { drainDeadlineMs, instancesCount, openKillsNeeded, partitions, windowSizeMs } from './limits.ts'
import { LiveReader } from './live-reader.ts'
import { reportText, verdictOf, verdictText } from './run-report.ts'
import { abortMarkers, type ReadRecord } from './topic-log.ts'
import { inputTopic, resultsTopic, ways, writtenTopics } from './topology.ts'

const calmAtEndMs = 3_000
const pollMs = 500

/**
 * Each breaks one thing that the run must notice: the engine's guarantee, a result on its way to the check, the subscriber's isolation; and
 * without faults the run must say that it shows nothing.
 */
const sabotages = ['at-least-once', 'drop-result', 'reader-uncommitted', 'no-faults'] as const

/**
 * Exactly-once of the stream engine: instances are killed at every step of their commits, stand still, leave, lose their state, and the broker is
 * killed, while events flow; in the end every window's totals are those of SQL over the input, and nobody ever read anything else.
 */
export const engineSuite: FaultSuite = {
  title: 'exactly-once of the stream engine, under SIGKILL, zombies, lost state and a broker that dies',
  sabotages,
  async run(context) {
    const folder = join(context.scratch, 'kafka')
    const { environment, report, signal } = context
    const kafka = await startKafkaAlone({ folder, environment, report, signal })
    try {
      return await new EngineRun(context, kafka, folder).run()
    } finally {
      await kafka.stop()
    }
  },
}

/** One run, from an empty broker to a verdict. */
class EngineRun {
  readonly #context: SuiteContext
  readonly #kafka: KafkaAlone
  readonly #kafkaFolder: string
  readonly #broker: Broker
  readonly #admin: SubscriberAdmin
  readonly #source: EventSource
  readonly #instances: Instances
  readonly #over = new AbortController()
  readonly #startedMs = Date.now()

  constructor(context: SuiteContext, kafka: KafkaAlone, kafkaFolder: string) {
    const { seed, sabotage } = context.command
    const brokers = [kafka.address]
    this.#context = context
    this.#kafka = kafka
    this.#kafkaFolder = kafkaFolder
    this.#broker = connectKafka({ brokers, clientId: 'faults-checker' })
    const retry = { retries: 20, initialRetryTime: 100, maxRetryTime: 2_000 }
    this.#admin = new Kafka({ clientId: 'faults-admin', brokers, logLevel: logLevel.NOTHING, retry }).admin()
    // From now on: a broker that is started again has forgotten producers whose last records carry times older than a day
    // (producer.id.expiration.ms), and appends what they repeat a second time.
    this.#source = new EventSource(seed, this.#startedMs - (this.#startedMs % windowSizeMs))
    const guarantee = sabotage === 'at-least-once' ? 'at_least_once' : 'exactly_once'
    // Every other seed: with copies at others, takeovers go on from these, and numbers move only when a copy has caught up.
    const numStandbys = seed % 2
    context.report(`instances keep ${numStandbys === 0 ? 'no copies' : 'copies'} of each other's state`)
    this.#instances = new Instances({ brokers, guarantee, numStandbys }, join(context.scratch, 'instances'))
  }

  async run(): Promise<Verdict> {
    const { command } = this.#context
    const plan = command.sabotage === 'no-faults' ? [] : planFaults(command.seed, command.quick)
    await this.#createTopics()
    await this.#admin.connect()
    const feed = await EventFeed.open(this.#broker, this.#source, inputTopic)
    const isolation = command.sabotage === 'reader-uncommitted' ? 'uncommitted' : 'committed'
    const reader = await LiveReader.open(this.#broker, isolation)
    const broken = Promise.race([
      aborted(this.#context.signal),
      reader.failed.then((error) => Promise.reject(error)),
      this.#instances.failed,
      feed.failed.then((error) => Promise.reject(error)),
      this.#kafka.failed.then((error) => Promise.reject(error)),
    ])
    try {
      const faults = await Promise.race([this.#breakThings(plan, { feed, reader }), broken])
      const ends = await Promise.race([this.#end(reader), broken])
      return await this.#conclude({ plan, faults, ends, reader })
    } finally {
      this.#over.abort()
      this.#instances.kill()
      await Promise.allSettled([feed.stop(), reader.stop(), this.#admin.disconnect()])
    }
  }

  async #createTopics(): Promise<void> {
    const admin = await this.#broker.openAdmin()
    await admin.createTopics(
      [inputTopic, resultsTopic].map((name) => ({
        name,
        partitions,
        replicationFactor: 1,
        config: { 'retention.ms': '-1' },
      })),
    )
    await admin.close()
  }

  /** Returns when the faults are over, nothing more is sent, and all instances run. */
  async #breakThings(
    plan: readonly PlannedFault[],
    { feed, reader }: { readonly feed: EventFeed; readonly reader: LiveReader },
  ): Promise<readonly FaultRecord[]> {
    const { report, signal, command } = this.#context
    reader.start()
    this.#instances.open(instancesCount)
    feed.start()
    await this.#instances.allRunning()
    const kills = killsOf(plan.map(({ fault }) => fault))
    report(`${instancesCount} instances run; ${plan.length} faults with ${kills} kills follow`)
    const runner = new FaultRunner({
      instances: this.#instances,
      address: this.#kafka.address,
      brokerFolder: this.#kafkaFolder,
      admin: this.#admin,
      random: new Random(command.seed + 1),
      signal: AbortSignal.any([signal, this.#over.signal]),
      onFault: (record) => report(faultText(record)),
    })
    await runner.run(plan)
    await delay(calmAtEndMs)
    await feed.stop()
    report(`${this.#seconds()} the faults are over; ${this.#source.given} events were sent`)
    await this.#instances.allRunning()
    return runner.records
  }

  /** Waits until everything is counted, and closes the instances. */
  async #end(reader: LiveReader): Promise<readonly CheckResult[]> {
    const isCounted = await this.#counted(reader)
    this.#context.report(`${this.#seconds()} ${isCounted ? 'everything is' : 'NOT everything was'} counted; checking`)
    const late = `the subscriber did not have the right totals, or a partition number not one instance, after ${drainDeadlineMs / 1_000} s`
    return [
      {
        title: 'everything is counted in time',
        looked: `${this.#source.given} events`,
        broken: isCounted ? [] : [late],
      },
      {
        title: 'every instance closes when asked',
        looked: `${instancesCount} instances`,
        broken: await this.#instances.stop(),
      },
    ]
  }

  /** Waits until the subscriber has what is right, and each number has its instance. */
  async #counted(reader: LiveReader): Promise<boolean> {
    const sent = { name: 'sent', table: this.#source.totals }
    const isRight = (way: (typeof ways)[number]) =>
      compareTables('', { name: way, table: lastResults(reader.seen, way) }, sent).broken.length === 0
    const endMs = Date.now() + drainDeadlineMs
    while (!this.#instances.isShared || !ways.every(isRight)) {
      if (Date.now() > endMs) return false
      await delay(pollMs)
      this.#context.signal.throwIfAborted()
    }
    return true
  }

  async #conclude({ plan, faults, ends, reader }: Outcome): Promise<Verdict> {
    const { command, report } = this.#context
    const results = await readResults(this.#broker)
    if (command.sabotage === 'drop-result') dropLast(results)
    const [broker, source, instances] = [this.#broker, this.#source, this.#instances]
    const checks = [...ends, ...(await judge({ broker, source, reader, instances, results }))]
    const markers = (await Promise.all(writtenTopics.map((topic) => abortMarkers(broker, topic)))).flat()
    const evidence = collectEvidence(
      { faults, instances, markers },
      {
        kills: Math.max(killsOf(plan.map(({ fault }) => fault)), 1),
        openKills: command.quick ? openKillsNeeded.quick : openKillsNeeded.full,
      },
    )
    const aborted = abortedTransactions(markers)
    report(reportText({ faults, instances, evidence, checks, abortedTransactions: aborted }))
    const verdict = verdictOf({ checks, evidence })
    report(`seed ${command.seed}, ${this.#seconds()}\nfaults: engine: ${verdictText(verdict)}`)
    return verdict
  }

  #seconds(): string {
    return `${((Date.now() - this.#startedMs) / 1_000).toFixed(0)} s:`
  }
}

/** Rejects when the person wants it to end. */
function aborted(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  promise.catch(() => undefined)
  return promise
}

/** What is known when everything has come to rest. */
interface Outcome {
  readonly plan: readonly PlannedFault[]
  readonly faults: readonly FaultRecord[]
  /** What was checked on the way there. */
  readonly ends: readonly CheckResult[]
  readonly reader: LiveReader
}

/** Takes away the last result of one window, as if it had never come. */
function dropLast(results: ReadRecord[][]): void {
  results.find((records) => records.length > 0)?.pop()
}
