import { readFileSync } from 'node:fs'
import {
  type Check,
  createLogger,
  createMetrics,
  installShutdown,
  type Logger,
  runMain,
  type Shutdown,
  waitFor,
} from '@millrace/kit'
import {
  type ApiLog,
  type Event,
  type Lead,
  openRegistry,
  type RecordCodec,
  type RecordTypes,
  type Registry,
  type SchemaName,
  type TopicName,
} from '@millrace/schemas'
import { createEventRepository, createStatsRepository, openClickHouse } from '@millrace/storage/clickhouse'
import {
  createApiKeyRepository,
  createAuditRepository,
  createLeadRepository,
  createLoginAttemptRepository,
  createSessionRepository,
  createUserRepository,
  openMysql,
} from '@millrace/storage/mysql'
import type { Broker, Producer } from '@millrace/streams'
import { connectKafka, defaultPartition } from '@millrace/streams/kafka'
import { buildApp } from './app.ts'
import { readGatewayConfig } from './config.ts'
import { createGatewayMetrics, registerGauges } from './http/metrics.ts'
import { createApiLogWriter } from './kafka/api-log-writer.ts'
import { createByteBudget } from './kafka/byte-budget.ts'
import type { TopicWriter } from './kafka/ports.ts'
import { followTopic } from './kafka/topic-follower.ts'
import { createTopicWriter, type RecordPlan } from './kafka/topic-writer.ts'
import { LeadOutcomes } from './leads/lead-outcomes.ts'
import { unacknowledgedBytesMax } from './limits.ts'
import { createStatsFeed } from './stats/stats-feed.ts'
import { StatsHub } from './stats/stats-hub.ts'
import { createStatsReader } from './stats/stats-reader.ts'
import { createStatsStore } from './stats/stats-store.ts'
import { StatsView } from './stats/stats-view.ts'

type GatewayConfig = ReturnType<typeof readGatewayConfig>

/** The topics that the gateway cannot do without. */
const topicsNeeded = ['events', 'leads', 'lead-outcomes', 'stats', 'api-logs'] as const satisfies readonly TopicName[]

runMain(async () => {
  const config = readGatewayConfig(process.env)
  const logger = createLogger({ service: 'gateway', level: config.logLevel, fields: ['route', 'method', 'request_id'] })
  const shutdown = installShutdown({ logger })
  await start(config, logger, shutdown).catch(shutdown.fatal)
})

async function start(config: GatewayConfig, logger: Logger, shutdown: Shutdown): Promise<void> {
  const nowMs = Date.now
  const version = packageVersion()
  const metrics = createGatewayMetrics(createMetrics({ service: 'gateway' }))

  // Opened first, closed last: the databases, which nothing waits for at the start.
  const mysql = openMysql({
    host: config.mysqlHost,
    port: config.mysqlPort,
    user: config.mysqlUser,
    password: config.mysqlPassword,
    database: config.mysqlDatabase,
  })
  shutdown.onClose('MySQL', () => mysql.close())
  const clickHouse = openClickHouse({
    url: config.clickhouseUrl,
    user: config.clickhouseUser,
    password: config.clickhousePassword,
    database: config.clickhouseDatabase,
  })
  shutdown.onClose('ClickHouse', () => clickHouse.close())

  const kafka = await openKafka(config, logger, shutdown)
  const registry = openRegistry(config.registryUrl)
  const codec = codecs(registry, logger, shutdown)
  const writers = await openWriters(kafka, codec)

  const statsView = new StatsView()
  const statsHub = new StatsHub()
  const leadOutcomes = new LeadOutcomes()
  const common = {
    broker: kafka.broker,
    clientId: 'millrace-gateway',
    schemaById: (id: number) => registry.schemaById(id),
    logger,
  }
  const onUndecodable = (topic: TopicName) => (error: unknown, at: { partition: number; offset: number }) => {
    metrics.undecodable(topic)
    logger.warn({ err: error, topic, ...at }, 'a record cannot be decoded and is passed over')
  }
  const stats = followTopic({
    ...common,
    topic: 'stats',
    from: 'earliest',
    codec: await codec('stats', 'event-stats'),
    ...createStatsFeed({ view: statsView, hub: statsHub, nowMs }),
    onUndecodable: onUndecodable('stats'),
  })
  shutdown.onClose('the follower of stats', () => stats.close())
  const outcomes = followTopic({
    ...common,
    topic: 'lead-outcomes',
    from: 'latest',
    codec: await codec('lead-outcomes', 'lead-outcome'),
    onRecord: (outcome) => leadOutcomes.settle(outcome),
    onUndecodable: onUndecodable('lead-outcomes'),
  })
  shutdown.onClose('the follower of lead-outcomes', () => outcomes.close())

  const apiLog = createApiLogWriter({
    writer: writers.apiLogs,
    counts: {
      written: (entries) => metrics.apiLog('written', entries),
      dropped: (entries) => metrics.apiLog('dropped', entries),
    },
    logger,
  })
  shutdown.onClose('the API log', () => apiLog.close())

  registerGauges(metrics.registry, {
    unacknowledgedBytes: () => writers.budget.taken,
    statsStreams: () => statsHub.size,
    statsWindows: () => statsView.sizes(),
    leadsWaiting: () => leadOutcomes.size,
  })

  const kafkaCheck: Check = { name: 'kafka', run: () => kafka.check() }
  const app = await buildApp({
    logger,
    version,
    nowMs,
    token: {
      secret: config.jwtSecret,
      ttlSeconds: config.tokenTtlSeconds,
      sessionTtlSeconds: config.sessionTtlSeconds,
    },
    corsOrigins: config.corsOrigins ?? [],
    rateLimitPerMinute: config.rateLimitPerMinute,
    consoleDirectory: config.consoleDirectory,
    metrics,
    apiLog,
    accounts: {
      users: createUserRepository(mysql),
      sessions: createSessionRepository(mysql),
      apiKeys: createApiKeyRepository(mysql),
      attempts: createLoginAttemptRepository(mysql),
      audit: createAuditRepository(mysql),
    },
    events: writers.events,
    eventStore: createEventRepository(clickHouse),
    leads: writers.leads,
    leadStore: createLeadRepository(mysql),
    leadOutcomes,
    leadOutcomesAreFollowed: () => outcomes.failure() === undefined,
    leadOutcomeTimeoutMs: config.leadOutcomeTimeoutMs,
    stats: createStatsReader(statsView, createStatsStore(createStatsRepository(clickHouse))),
    statsHub,
    statsAreFollowed: () => statsView.caughtUp,
    checks: [
      kafkaCheck,
      { name: 'schema-registry', required: false, run: (signal) => checkRegistry(config.registryUrl, signal) },
      { name: 'clickhouse', required: false, run: () => clickHouse.ping() },
      { name: 'mysql', required: false, run: () => mysql.ping() },
      { name: 'stats-view', required: false, run: () => requireNone(stats.failure()) },
    ],
    readiness: [
      kafkaCheck,
      { name: 'stats-view', run: () => requireCaughtUp(statsView) },
      { name: 'lead-outcomes', run: () => requireNone(outcomes.failure()) },
    ],
  })
  shutdown.onClose('HTTP', () => app.close())
  const url = await app.listen({ host: config.httpHost, port: config.httpPort })
  logger.info({ url, version }, 'the gateway listens')
}

/** Kafka, once it answers and has the topics. */
async function openKafka(config: GatewayConfig, logger: Logger, shutdown: Shutdown) {
  // Said before, because the client tries by itself for a while before it reports that nobody answers.
  logger.info({ dependency: 'Kafka', url: config.kafkaBrokers.join(',') }, 'connecting')
  const broker = connectKafka({ brokers: config.kafkaBrokers, clientId: 'millrace-gateway' })
  const admin = await broker.openAdmin()
  shutdown.onClose('Kafka administration', () => admin.close())
  const waiting = { logger, signal: shutdown.signal }
  const partitions = await waitFor(
    'Kafka',
    async () => {
      const found = await admin.describeTopics(topicsNeeded)
      const missing = topicsNeeded.filter((name) => !found.has(name))
      if (missing.length > 0) throw new Error(`the topics ${missing.join(', ')} do not exist yet: provision them`)
      return new Map([...found].map(([name, topic]) => [name, topic.partitions]))
    },
    waiting,
  )
  const deliveryTimeoutMs = config.kafkaAckTimeoutMs
  const openProducer = async (clientId: string) => {
    const producer = await waitFor('Kafka', () => broker.openProducer({ clientId, deliveryTimeoutMs }), waiting)
    shutdown.onClose(`the producer ${clientId}`, () => producer.close())
    return producer
  }
  return {
    broker,
    partitionsOf: (topic: TopicName) => partitions.get(topic) ?? 1,
    producer: await openProducer('millrace-gateway'),
    // A producer of its own, so that no log ever stands in the way of an event.
    logProducer: await openProducer('millrace-gateway-api-log'),
    check: async () => {
      await admin.describeTopics(['events'])
    },
  }
}

interface Kafka {
  readonly broker: Broker
  readonly producer: Producer
  readonly logProducer: Producer
  partitionsOf(topic: TopicName): number
}

type OpenCodec = <N extends SchemaName>(topic: TopicName, schema: N) => Promise<RecordCodec<RecordTypes[N]>>

/** Codecs from the registry, waiting for it, and for the schemas to be registered. */
function codecs(registry: Registry, logger: Logger, shutdown: Shutdown): OpenCodec {
  return (topic, schema) =>
    waitFor('the schema registry', () => registry.codecFor(topic, schema), { logger, signal: shutdown.signal })
}

async function openWriters(kafka: Kafka, codec: OpenCodec) {
  const budget = createByteBudget(unacknowledgedBytesMax)
  const open = <T>(
    plan: Omit<RecordPlan<T>, 'partitions'> & { topic: TopicName },
    producer: Producer,
  ): TopicWriter<T> =>
    createTopicWriter({ ...plan, partitions: kafka.partitionsOf(plan.topic) }, producer, {
      budget,
      partitionOf: defaultPartition,
    })
  return {
    budget,
    events: open<Event>(
      {
        topic: 'events',
        codec: await codec('events', 'event'),
        key: (event) => event.user_id,
        timestampMs: (event) => event.received_at,
      },
      kafka.producer,
    ),
    leads: open<Lead>(
      {
        topic: 'leads',
        codec: await codec('leads', 'lead'),
        key: (lead) => lead.lead_id,
        timestampMs: (lead) => lead.received_at,
      },
      kafka.producer,
    ),
    apiLogs: open<ApiLog>(
      {
        topic: 'api-logs',
        codec: await codec('api-logs', 'api-log'),
        key: (entry) => entry.request_id,
        timestampMs: (entry) => entry.received_at,
      },
      kafka.logProducer,
    ),
  }
}

async function checkRegistry(url: string, signal: AbortSignal): Promise<void> {
  const answer = await fetch(`${url}/subjects`, { signal })
  await answer.body?.cancel()
  if (!answer.ok) throw new Error(`the schema registry answered ${answer.status}`)
}

function requireNone(failure: unknown): void {
  if (failure !== undefined) throw failure
}

function requireCaughtUp(view: StatsView): void {
  if (!view.caughtUp) throw new Error('the statistics are still being read')
}

function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  const manifest: unknown = JSON.parse(text)
  const isManifest = typeof manifest === 'object' && manifest !== null && 'version' in manifest
  return isManifest ? String(manifest.version) : 'unknown'
}
