import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type KafkaAlone, startKafkaAlone } from '@millrace/local/kafka'
import { type Broker, partitionKey } from '@millrace/streams'
import { connectKafka } from '@millrace/streams/kafka'
import { Kafka, logLevel, type Admin as SubscriberAdmin } from 'kafkajs'
import { FaultError } from '../fault-error.ts'
import { Random } from '../random.ts'
import type { FaultSuite, SuiteContext, Verdict } from '../suite.ts'
import {
  type CheckResult,
  checkFinals,
  checkGrowth,
  checkLiveReader,
  checkText,
  compareTables,
  lastResults,
} from './checks.ts'
import { EventFeed } from './event-feed.ts'
import { EventSource } from './event-source.ts'
import { collectEvidence, type Evidence } from './evidence.ts'
import { killsOf, type PlannedFault, planFaults } from './fault-plan.ts'
import { type FaultRecord, FaultRunner } from './fault-runner.ts'
import { Instances } from './instances.ts'
import { drainDeadlineMs, instancesCount, numStandbys, partitions } from './limits.ts'
import { LiveReader, type ReadRecord } from './live-reader.ts'
import { sqlTotals } from './sql-totals.ts'
import { checkStores } from './store-rows.ts'
import { abortMarkers, partitionsOf, readCommitted } from './topic-log.ts'
import { internalTopics, ways } from './topology.ts'

const applicationId = 'faults'
const input = 'fault-events'
const output = 'fault-results'
const openKillsNeeded = { full: 5, quick: 2 }
const calmAtEndMs = 3_000
const pollMs = 500

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
  readonly #reader: LiveReader
  readonly #instances: Instances
  readonly #startedMs = Date.now()

  constructor(context: SuiteContext, kafka: KafkaAlone, kafkaFolder: string) {
    const { command, scratch } = context
    const brokers = [kafka.address]
    this.#context = context
    this.#kafka = kafka
    this.#kafkaFolder = kafkaFolder
    this.#broker = connectKafka({ brokers, clientId: 'faults-checker' })
    const retry = { retries: 20, initialRetryTime: 100, maxRetryTime: 2_000 }
    this.#admin = new Kafka({ clientId: 'faults-admin', brokers, logLevel: logLevel.NOTHING, retry }).admin()
    this.#source = new EventSource(command.seed)
    this.#reader = new LiveReader({
      brokers,
      topic: output,
      partitions,
      groupId: 'fault-subscriber',
      readUncommitted: command.sabotage === 'reader-uncommitted',
    })
    const guarantee = command.sabotage === 'at-least-once' ? 'at_least_once' : 'exactly_once'
    this.#instances = new Instances(
      { brokers, applicationId, input, output, guarantee, numStandbys },
      join(scratch, 'instances'),
    )
  }

  async run(): Promise<Verdict> {
    const { command } = this.#context
    const plan = command.sabotage === 'no-faults' ? [] : planFaults(command.seed, command.quick)
    await this.#createTopics()
    await this.#admin.connect()
    const feed = await EventFeed.open(this.#broker, this.#source, input)
    const broken = Promise.race([
      this.#instances.failed,
      feed.failed.then((error) => Promise.reject(error)),
      this.#kafka.failed.then((error) => Promise.reject(error)),
    ])
    try {
      const work = this.#breakThings(plan, feed)
      const faults = await Promise.race([work, broken])
      return await this.#judge(plan, faults)
    } finally {
      this.#instances.kill()
      await Promise.allSettled([feed.stop(), this.#reader.stop(), this.#admin.disconnect()])
    }
  }

  /** Returns when everything that was sent is counted and nobody is running any more. */
  async #breakThings(plan: readonly PlannedFault[], feed: EventFeed): Promise<readonly FaultRecord[]> {
    const { report, signal, command } = this.#context
    await this.#reader.start()
    this.#instances.open(instancesCount)
    feed.start()
    await this.#instances.allRunning()
    report(
      `${instancesCount} instances run; ${plan.length} faults with ${killsOf(plan.map(({ fault }) => fault))} kills follow`,
    )
    const runner = new FaultRunner({
      instances: this.#instances,
      applicationId,
      address: this.#kafka.address,
      brokerFolder: this.#kafkaFolder,
      admin: this.#admin,
      random: new Random(command.seed + 1),
      signal,
      onFault: (record) => report(faultText(record)),
    })
    await runner.run(plan)
    await delay(calmAtEndMs)
    await feed.stop()
    report(`${this.#seconds()} the faults are over; ${this.#source.given} events were sent`)
    await this.#instances.allRunning()
    return runner.records
  }

  async #judge(plan: readonly PlannedFault[], faults: readonly FaultRecord[]): Promise<Verdict> {
    const { command, report } = this.#context
    const checks: CheckResult[] = []
    const drained = await this.#drained()
    const badExits = await this.#instances.stop()
    checks.push({ title: 'every instance closes when asked', looked: `${instancesCount} instances`, broken: badExits })
    report(`${this.#seconds()} ${drained ? 'everything is counted' : 'not everything was counted in time'}; checking`)

    const openTransactions = await this.#openTransactions()
    checks.push({
      title: 'no transaction is left open',
      looked: `${openTransactions.looked} partitions`,
      broken: openTransactions.open,
    })
    const results = await this.#results()
    await this.#readerAtEnd(results)
    if (command.sabotage === 'drop-result') dropLast(results)
    const { totals, events } = await sqlTotals(this.#broker, input)
    const sent = { name: 'the generator', table: this.#source.totals }
    const sql = { name: 'SQL', table: totals }
    checks.push(compareTables(`the input is what was sent (${events} events)`, sent, sql))
    for (const way of ways) {
      const results_ = { name: 'the result', table: lastResults(results, way) }
      checks.push(compareTables(`results from ${way} are those of SQL over the input`, results_, sql))
    }
    checks.push(checkGrowth('no total goes down in the log', results))
    checks.push(checkGrowth('no total went down for the subscriber', this.#reader.seen))
    checks.push(checkLiveReader(this.#reader, results))
    const slots = this.#instances.slots.map(({ process }) => process)
    checks.push(await checkStores(slots, totals, this.#source.streamTimeMs))
    checks.push(checkFinals(results, this.#source.streamTimeMs))
    const late = this.#instances.reports('dropped')
    checks.push({
      title: 'no record is dropped',
      looked: `${this.#instances.all.length} processes`,
      broken: late.map(({ reason, records }) => `${records} records: ${reason}`),
    })

    const markers = (
      await Promise.all([output, ...internalTopics(applicationId)].map((topic) => abortMarkers(this.#broker, topic)))
    ).flat()
    const evidence = collectEvidence(
      { faults, instances: this.#instances, markers },
      {
        kills: plan.length === 0 ? 1 : killsOf(plan.map(({ fault }) => fault)),
        openKills: command.quick ? openKillsNeeded.quick : openKillsNeeded.full,
      },
    )
    return this.#report(faults, evidence, checks)
  }

  #report(faults: readonly FaultRecord[], evidence: readonly Evidence[], checks: readonly CheckResult[]): Verdict {
    const { report, command } = this.#context
    const isBroken = checks.some(({ broken }) => broken.length > 0)
    const missing = evidence.filter(({ found, needed }) => found < needed)
    report(`\nFaults\n${faults.map(faultText).join('\n')}`)
    report(`\nWhat the engine did\n${this.#deeds()}`)
    report(`\nDid the faults hit?`)
    for (const { title, found, needed } of evidence) {
      report(`  ${found < needed ? 'NO    ' : 'yes   '}  ${title}: ${found} (at least ${needed})`)
    }
    report(`\nDoes it hold?\n${checks.map(checkText).join('\n')}`)
    const verdict = isBroken ? 'failed' : missing.length > 0 ? 'invalid' : 'passed'
    const said = verdict === 'invalid' ? 'INVALID: the faults did not hit, so that this run shows nothing' : verdict
    report(`\nseed ${command.seed}, ${this.#seconds()}\nfaults: engine: ${said}`)
    return verdict
  }

  #deeds(): string {
    const commits = this.#instances.reports('committed')
    const total = (of: (report: (typeof commits)[number]) => number) =>
      commits.reduce((sum, report) => sum + of(report), 0)
    const restored = this.#instances.reports('restored').filter(({ records }) => records > 0)
    const codes = new Map<string, number>()
    for (const { code } of this.#instances.reports('restarted')) codes.set(code, (codes.get(code) ?? 0) + 1)
    return [
      `  ${this.#instances.all.length} processes, ${total(({ commits: number }) => number)} commits, ${total(({ records }) => records)} records sent, ${total(({ changelogRecords }) => changelogRecords)} changelog records`,
      `  ${restored.length} restores of ${restored.reduce((sum, { records }) => sum + records, 0)} records`,
      `  began anew: ${[...codes].map(([code, times]) => `${code} ${times}×`).join(', ') || 'never'}`,
    ].join('\n')
  }

  async #createTopics(): Promise<void> {
    const admin = await this.#broker.openAdmin()
    await admin.createTopics(
      [input, output].map((name) => ({ name, partitions, replicationFactor: 1, config: { 'retention.ms': '-1' } })),
    )
    await admin.close()
  }

  /** Waits until the results are as they should be, and each number has its instance; whether they are is checked afterwards, over everything. */
  async #drained(): Promise<boolean> {
    const sent = { name: 'sent', table: this.#source.totals }
    const isCounted = (way: (typeof ways)[number]) =>
      compareTables('', { name: way, table: lastResults(this.#reader.seen, way) }, sent).broken.length === 0
    const endMs = Date.now() + drainDeadlineMs
    while (!this.#instances.isShared || !ways.every(isCounted)) {
      if (Date.now() > endMs) return false
      await delay(pollMs)
      this.#context.signal.throwIfAborted()
    }
    return true
  }

  /** Partitions where readers of committed records do not come to the end. */
  async #openTransactions(): Promise<{ readonly looked: number; readonly open: readonly string[] }> {
    const admin = await this.#broker.openAdmin()
    const topics = [output, ...internalTopics(applicationId)]
    const all = (await Promise.all(topics.map((topic) => partitionsOf(this.#broker, topic)))).flat()
    try {
      const [committed, latest] = [
        await admin.listOffsets(all, 'latestCommitted'),
        await admin.listOffsets(all, 'latest'),
      ]
      const open = all
        .map(partitionKey)
        .filter((key) => committed.get(key) !== latest.get(key))
        .map((key) => `${key} is readable up to ${committed.get(key)} of ${latest.get(key)}`)
      return { looked: all.length, open }
    } finally {
      await admin.close()
    }
  }

  async #results(): Promise<ReadRecord[][]> {
    const results: ReadRecord[][] = Array.from({ length: partitions }, () => [])
    await readCommitted(
      this.#broker,
      output,
      ({ bytes, offset, keyStart, keyEnd, valueStart, valueEnd }, partition) => {
        const key = bytes.toString('utf8', keyStart, keyEnd)
        results[partition]?.push({ offset, key, value: bytes.toString('utf8', valueStart, valueEnd) })
      },
    )
    return results
  }

  async #readerAtEnd(results: readonly (readonly ReadRecord[])[]): Promise<void> {
    const endMs = Date.now() + drainDeadlineMs
    const isThere = () =>
      results.every(
        (records, partition) => (this.#reader.seen[partition]?.at(-1)?.offset ?? -1) >= (records.at(-1)?.offset ?? -1),
      )
    while (!isThere()) {
      if (Date.now() > endMs)
        throw new FaultError(
          `the subscriber did not come to the end of the results within ${drainDeadlineMs / 1_000} s`,
        )
      await delay(pollMs)
    }
  }

  #seconds(): string {
    return `${((Date.now() - this.#startedMs) / 1_000).toFixed(0)} s:`
  }
}

/** Takes away the last result of one window, as if it had never come. */
function dropLast(results: ReadRecord[][]): void {
  results.find((records) => records.length > 0)?.pop()
}

function faultText({ atMs, what, instance, transaction, note }: FaultRecord): string {
  const state = transaction === undefined ? '' : `transaction ${transaction.state}`
  return `  ${(atMs / 1_000).toFixed(1).padStart(6)} s  ${instance.padEnd(7)} ${what.padEnd(34)} ${state.padEnd(28)} ${note}`.trimEnd()
}
