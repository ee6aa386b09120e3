import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { startServersAlone } from '@millrace/local/servers'
import { topics } from '@millrace/schemas'
import type { Broker } from '@millrace/streams'
import { connectKafka } from '@millrace/streams/kafka'
import { freePorts } from '../../../deploy/local/src/ports.ts'
import { type OwnKafka, prepareOwnKafka } from '../../../services/gateway/test/own-kafka.ts'
import type { CheckResult } from '../engine/checks.ts'
import type { FaultSuite, SuiteContext, Verdict } from '../suite.ts'
import { checkAnswers, checkKnown, checkLatency, checkLost, checkMemory, checkOrder, checkTwice } from './checks.ts'
import { ClientLoad } from './client-load.ts'
import { planOutages } from './fault-plan.ts'
import { readFound } from './found-records.ts'
import { GatewayUnderTest } from './gateway-under-test.ts'
import { growthBytesMax, partitions, spillAfterMs } from './limits.ts'
import { OutageRunner } from './outage-runner.ts'
import { bodyOf, topicOf } from './requests.ts'
import { reportRun } from './run-report.ts'
import { sabotaged } from './sabotage.ts'

/**
 * Each breaks one thing that the run must notice: the log of a gateway that is killed does not stay, there is no log at all, a record is not there, there
 * twice, or not in its place; and without faults the run must say that it shows nothing.
 */
const sabotages = ['lose-log', 'no-log', 'drop-record', 'repeat-record', 'swap-records', 'no-faults'] as const

/**
 * What the gateway has acknowledged, while Kafka is away: the broker is killed and stands still, under single events, arrays, NDJSON and leads; meanwhile the
 * gateway is killed, restarted, and killed again while it replays. In the end everything that was answered with 2xx is in Kafka once, in order.
 */
export const gatewaySuite: FaultSuite = {
  title: 'what the gateway acknowledges while Kafka dies or stands still, and the gateway is killed',
  sabotages,
  async run(context) {
    const { scratch, environment, report, signal } = context
    const servers = await startServersAlone({ folder: join(scratch, 'servers'), environment, report, signal })
    const kafka = await prepareOwnKafka()
    try {
      await kafka.start()
      report(`Kafka of its own at ${kafka.address}`)
      return await new GatewayRun(context, kafka, servers.variables).run()
    } finally {
      await kafka.close()
      await servers.stop()
    }
  },
}

/** One run, from an empty broker to a verdict. */
class GatewayRun {
  readonly #context: SuiteContext
  readonly #kafka: OwnKafka
  readonly #variables: Readonly<Record<string, string>>
  readonly #broker: Broker

  constructor(context: SuiteContext, kafka: OwnKafka, variables: Readonly<Record<string, string>>) {
    this.#context = context
    this.#kafka = kafka
    this.#variables = variables
    this.#broker = connectKafka({ brokers: [kafka.address], clientId: 'faults-checker' })
  }

  async run(): Promise<Verdict> {
    const { command, scratch, report, signal } = this.#context
    await this.#createTopics()
    const spillDirectory = join(scratch, 'spill')
    mkdirSync(spillDirectory)
    const [port = 0] = await freePorts(1)
    const gateway = new GatewayUnderTest(port, {
      ...this.#variables,
      MILLRACE_KAFKA_BROKERS: this.#kafka.address,
      MILLRACE_SPILL_AFTER_MS: String(spillAfterMs),
      // Its log says when a replay begins and ends.
      MILLRACE_LOG_LEVEL: 'info',
      // One token for the whole run.
      MILLRACE_TOKEN_TTL_S: '3600',
      ...(command.sabotage === 'no-log' ? {} : { MILLRACE_SPILL_DIR: spillDirectory }),
    })
    try {
      gateway.launch()
      await gateway.ready()
      const token = await login(gateway.url)
      const load = new ClientLoad({ url: gateway.url, token: () => token })
      const losesLog = command.sabotage === 'lose-log'
      const runner = new OutageRunner({ kafka: this.#kafka, gateway, load, spillDirectory, losesLog, report, signal })
      load.start()
      try {
        await runner.run(command.sabotage === 'no-faults' ? [] : planOutages(command.seed, command.quick))
      } finally {
        await load.stop()
      }
      await runner.emptied()
      if (command.sabotage === 'repeat-record') await repeatFirst(gateway.url, token)
      return await this.#conclude(gateway, load, runner)
    } finally {
      await gateway.close()
    }
  }

  async #createTopics(): Promise<void> {
    const admin = await this.#broker.openAdmin()
    try {
      const wanted = topics.map(({ name, config }) => ({ name, partitions, replicationFactor: 1, config }))
      await admin.createTopics(wanted)
    } finally {
      await admin.close()
    }
  }

  async #conclude(gateway: GatewayUnderTest, { sent }: ClientLoad, runner: OutageRunner): Promise<Verdict> {
    const { command, report } = this.#context
    const found = sabotaged(
      await readFound(this.#broker, this.#variables.MILLRACE_REGISTRY_URL ?? ''),
      command.sabotage,
    )
    const ofTopic = (topic: 'events' | 'leads') => sent.filter(({ kind }) => topicOf(kind) === topic)
    const checks: CheckResult[] = [
      ...(['events', 'leads'] as const).flatMap((topic) => [
        checkLost(`no acknowledged record of ${topic} is lost`, ofTopic(topic), found[topic]),
        checkTwice(`nothing is twice in ${topic}`, found[topic]),
        checkKnown(`nothing is in ${topic} that was not sent`, ofTopic(topic), found[topic]),
      ]),
      checkOrder('the events of a user keep their order', ofTopic('events'), found.events),
      ...checkAnswers(sent, gateway.downTimes),
      checkLatency(sent, runner.calms),
      checkMemory(runner.baseBytes, gateway.peakBytes, growthBytesMax),
      runner.endCheck(),
    ]
    return reportRun({ name: 'gateway', seed: command.seed, evidence: runner.evidence(), checks, sent, report })
  }
}

/** Sends the first event of a client once more: another record of the same event. */
async function repeatFirst(url: string, token: string): Promise<void> {
  const { path, type, body } = bodyOf('single', 'single-0', 0)
  await fetch(url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': type },
    body,
  })
}

async function login(url: string): Promise<string> {
  const answer = await fetch(`${url}/api/v1/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'admin', password: 'password' }),
  })
  return JSON.parse(await answer.text()).token
}
