import { AsyncLocalStorage } from 'node:async_hooks'
import { readFileSync } from 'node:fs'
import {
  type Check,
  createLogger,
  createMetrics,
  installShutdown,
  type Logger,
  type Registry as MetricsRegistry,
  runMain,
  type Shutdown,
  sleep,
} from '@millrace/kit'
import { openReconciler } from '@millrace/operations'
import { type ApiLog, type Lead, openRegistry, type Registry, type TopicName } from '@millrace/schemas'
import {
  type ClickHouse,
  createEventRepository,
  createStatsRepository,
  openClickHouse,
} from '@millrace/storage/clickhouse'
import {
  createApiKeyRepository,
  createAuditRepository,
  createLeadFieldRepository,
  createLeadPrivacyRepository,
  createLeadRepository,
  createLeadTreeStore,
  createLoginAttemptRepository,
  createSessionRepository,
  createSinkOffsetRepository,
  createUserRepository,
  type Mysql,
  openMysql,
} from '@millrace/storage/mysql'
import { readLeadKey } from '@millrace/storage/sealing'
import type { Broker } from '@millrace/streams'
import { defaultPartition } from '@millrace/streams/kafka'
import { buildApp } from './app.ts'
import { countBuffersWithHeap } from './buffer-memory.ts'
import { readGatewayConfig } from './config.ts'
import { createGatewayMetrics, type GatewayMetrics, registerGauges } from './http/metrics.ts'
import { SharedCounts } from './http/shared-counts.ts'
import { createApiLogWriter } from './kafka/api-log-writer.ts'
import { budgetedSender } from './kafka/budgeted-sender.ts'
import { createByteBudget } from './kafka/byte-budget.ts'
import { directSender } from './kafka/direct-sender.ts'
import { gatheringSender } from './kafka/gathering-sender.ts'
import { type Codecs, openCodecs } from './kafka/open-codecs.ts'
import { type GatewayKafka, openKafka } from './kafka/open-kafka.ts'
import type { RecordSender, TopicWriter } from './kafka/ports.ts'
import { followTopic } from './kafka/topic-follower.ts'
import { createTopicWriter, type RecordPlan } from './kafka/topic-writer.ts'
import { LeadOutcomes } from './leads/lead-outcomes.ts'
import { LeadSealer } from './leads/lead-sealer.ts'
import { LiveLeadFields } from './leads/live-fields.ts'
import {
  apiLogCloseMs,
  eventLoopDelayMsMax,
  leadFieldsBeginMs,
  leadKeysRetryMs,
  unacknowledgedBytesMax,
} from './limits.ts'
import { createOperationsDesk } from './operations/desk.ts'
import { ReconciliationWatch } from './operations/reconciliation-watch.ts'
import { readKnownCluster, writeKnownCluster } from './spill/known-cluster.ts'
import { openSpill, type Spill } from './spill/open-spill.ts'
import { createStatsFeed } from './stats/stats-feed.ts'
import { StatsHub } from './stats/stats-hub.ts'
import { createStatsReader } from './stats/stats-reader.ts'
import { createStatsStore } from './stats/stats-store.ts'
import { StatsView } from './stats/stats-view.ts'
import type { TraceScope } from './tracing/ports.ts'
import type { TracingDeps } from './tracing/request-tracing.ts'
import { tracedSender } from './tracing/traced-sender.ts'

type GatewayConfig = ReturnType<typeof readGatewayConfig>

runMain(async () => {
  countBuffersWithHeap()
  const config = readGatewayConfig(process.env)
  const logger = createLogger({ service: 'gateway', level: config.logLevel, fields: ['route', 'method', 'request_id'] })
  const shutdown = installShutdown({ logger })
  await start(config, logger, shutdown).catch(shutdown.fatal)
})

async function start(config: GatewayConfig, logger: Logger, shutdown: Shutdown): Promise<void> {
  const nowMs = Date.now
  const version = packageVersion()
  const metrics = createGatewayMetrics(createMetrics({ service: 'gateway' }))

  // Closed after everything that has spans.
  const tracing = await openTracing(config, { version, logger, shutdown })

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

  const leadFieldStore = createLeadFieldRepository(mysql)
  const leadFields = new LiveLeadFields({ store: leadFieldStore, logger, nowMs })
  shutdown.onClose('the definitions of lead fields', () => leadFields.close())

  const leadKey = readLeadKey(config.leadKey)
  const leadSealer = new LeadSealer({
    trees: createLeadTreeStore(mysql, leadKey),
    leadKey,
    logger,
    pause: (signal) => sleep(leadKeysRetryMs, signal),
  })
  shutdown.onClose('the keys of leads', () => leadSealer.close())

  const { spillDirectory } = config
  const known = spillDirectory === undefined ? undefined : await readKnownCluster(spillDirectory)
  const kafka = await openKafka({
    brokers: config.kafkaBrokers,
    ackTimeoutMs: config.kafkaAckTimeoutMs,
    isSpilling: spillDirectory !== undefined,
    known,
    logger,
    shutdown,
  })
  const registry = openRegistry(config.registryUrl)
  const codecs = openCodecs({ registry, known, logger, signal: shutdown.signal, onOtherId: shutdown.fatal })
  const spill = await openSpillOf(config, kafka, { registry: metrics.registry, logger, shutdown })
  const writers = await openWriters(kafka, codecs, { spill, tracing })

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
    codec: await codecs.open('stats', 'event-stats'),
    ...createStatsFeed({ view: statsView, hub: statsHub, nowMs }),
    onUndecodable: onUndecodable('stats'),
  })
  shutdown.onClose('the follower of stats', () => stats.close())
  const outcomes = followTopic({
    ...common,
    topic: 'lead-outcomes',
    from: 'latest',
    codec: await codecs.open('lead-outcomes', 'lead-outcome'),
    onRecord: (outcome) => leadOutcomes.settle(outcome),
    onUndecodable: onUndecodable('lead-outcomes'),
  })
  shutdown.onClose('the follower of lead-outcomes', () => outcomes.close())

  if (spillDirectory !== undefined && !kafka.isAway()) {
    await writeKnownCluster(spillDirectory, { partitions: kafka.partitions, schemas: codecs.opened })
  }

  const apiLog = createApiLogWriter({
    writer: writers.apiLogs,
    counts: {
      written: (entries) => metrics.apiLog('written', entries),
      dropped: (entries) => metrics.apiLog('dropped', entries),
    },
    logger,
  })
  shutdown.onClose('the API log', () => Promise.race([apiLog.close(), sleep(apiLogCloseMs)]))

  const operations = openOperations(config, { broker: kafka.broker, registry, clickHouse, mysql, metrics, logger })
  shutdown.onClose('reconciliation', () => operations.watch.close())

  const sharedCounts = await openRateLimits(config, { metrics, logger, shutdown })
  registerGauges(metrics.registry, {
    rateLimitsAreShared: sharedCounts && (() => sharedCounts.isShared),
    unacknowledgedBytes: () => writers.budget.taken,
    statsStreams: () => statsHub.size,
    statsWindows: () => statsView.sizes(),
    leadsWaiting: () => leadOutcomes.size,
  })

  const kafkaChecks = checksOfKafka(kafka, spill)
  const app = await buildApp({
    logger,
    version,
    nowMs,
    token: {
      secret: config.jwtSecret,
      ttlSeconds: config.tokenTtlSeconds,
      sessionTtlSeconds: config.sessionTtlSeconds,
    },
    trustedProxies: config.trustedProxies ?? [],
    corsOrigins: config.corsOrigins ?? [],
    rateLimitPerMinute: config.rateLimitPerMinute,
    rateLimitCounter: sharedCounts,
    tracing,
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
    leadsNow: writers.leadsNow,
    leadSealer,
    leadStore: createLeadRepository(mysql, leadKey),
    leadPrivacy: createLeadPrivacyRepository(mysql, leadKey),
    leadFieldStore,
    leadFields,
    leadOutcomes,
    leadOutcomesAreFollowed: () => outcomes.failure() === undefined,
    leadOutcomeTimeoutMs: config.leadOutcomeTimeoutMs,
    eventLoopDelayMsMax,
    stats: createStatsReader(statsView, createStatsStore(createStatsRepository(clickHouse))),
    statsHub,
    statsAreFollowed: () => statsView.caughtUp,
    operations: operations.desk,
    checks: [
      ...kafkaChecks,
      { name: 'schema-registry', required: false, run: (signal) => checkRegistry(config.registryUrl, signal) },
      { name: 'clickhouse', required: false, run: () => clickHouse.ping() },
      { name: 'mysql', required: false, run: () => mysql.ping() },
      { name: 'stats-view', required: false, run: () => requireNone(stats.failure()) },
      { name: 'lead-fields', required: false, run: () => leadFields.requireFresh() },
      { name: 'lead-keys', required: false, run: () => leadSealer.requireReserve() },
    ],
    readiness: [
      ...kafkaChecks,
      // Nobody can have them while Kafka is away; records are taken all the same.
      { name: 'stats-view', run: () => (kafka.isAway() ? undefined : requireCaughtUp(statsView)) },
      { name: 'lead-outcomes', required: spill === undefined, run: () => requireNone(outcomes.failure()) },
    ],
  })
  shutdown.onClose('HTTP', () => app.close())
  await Promise.all([leadFields.begin(leadFieldsBeginMs), leadSealer.begin(leadFieldsBeginMs)])
  const url = await app.listen({ host: config.httpHost, port: config.httpPort })
  logger.info({ url, version }, 'the gateway listens')
  operations.watch.begin()
}

/** What operators ask, and what compares by itself what was acknowledged and what is stored. */
function openOperations(
  config: GatewayConfig,
  parts: {
    readonly broker: Broker
    readonly registry: Registry
    readonly clickHouse: ClickHouse
    readonly mysql: Mysql
    readonly metrics: GatewayMetrics
    readonly logger: Logger
  },
) {
  const nowMs = Date.now
  const { broker, registry, clickHouse, mysql, metrics, logger } = parts
  const names = {
    processor: config.processorGroup,
    sinkClickHouse: config.sinkClickHouseGroup,
    sinkMysql: config.sinkMysqlGroup,
  }
  const watch = new ReconciliationWatch({
    open: () => openReconciler({ broker, registry, clickHouse, mysql, names, nowMs }),
    registry: metrics.registry,
    logger,
    nowMs,
    everyMs: config.reconciliationSeconds * 1_000,
  })
  const sinkOffsets = createSinkOffsetRepository(mysql)
  return { watch, desk: createOperationsDesk({ broker, sinkOffsets, names, watch, nowMs }) }
}

/** The scope of requests' traces, and what keeps spans when a receiver is named for them. */
async function openTracing(
  config: GatewayConfig,
  { version, logger, shutdown }: { version: string; logger: Logger; shutdown: Shutdown },
): Promise<TracingDeps> {
  const scope: TraceScope = new AsyncLocalStorage()
  const { otlpEndpoint: endpoint, otelService: service, otelRatio: ratio } = config
  if (endpoint === undefined) return { scope }
  // Loaded only here: without a receiver none of it is of any use.
  const { openTracer } = await import('./tracing/open-telemetry.ts')
  const onArrival = (error: Error | undefined) => {
    if (error === undefined) logger.info({ url: endpoint }, 'spans arrive again')
    else logger.warn({ err: error, url: endpoint }, 'spans do not arrive, and are lost')
  }
  const tracer = openTracer({ endpoint, service, version, ratio: Number(ratio), onArrival })
  shutdown.onClose('the spans', () => tracer.close())
  return { scope, tracer }
}

/** The counts that this gateway shares with others, when a store is named for them. A store that is away does not keep it from starting. */
async function openRateLimits(
  config: GatewayConfig,
  { metrics, logger, shutdown }: { metrics: GatewayMetrics; logger: Logger; shutdown: Shutdown },
): Promise<SharedCounts | undefined> {
  const { rateLimitUrl: url, rateLimitUsername: username, rateLimitPassword: password } = config
  if (url === undefined) return undefined
  // Loaded only here: most installations have one gateway, and no use for the client.
  const { openValkeyLeases } = await import('./http/valkey-leases.ts')
  const store = await openValkeyLeases({ url, username, password })
  shutdown.onClose('the store of the rate limits', () => store.close())
  return new SharedCounts({ store, nowMs: Date.now, logger, onCountedAlone: () => metrics.countedAlone() })
}

/** The spill log, when a directory is named for it. */
async function openSpillOf(
  config: GatewayConfig,
  kafka: GatewayKafka,
  { registry, logger, shutdown }: { registry: MetricsRegistry; logger: Logger; shutdown: Shutdown },
): Promise<Spill | undefined> {
  if (config.spillDirectory === undefined) return undefined
  const spill = await openSpill({
    directory: config.spillDirectory,
    bytesMax: config.spillMib * 1024 * 1024,
    afterMs: config.spillAfterMs,
    broker: kafka.broker,
    producer: kafka.producer,
    isAway: kafka.isAway(),
    topics: new Map((['events', 'leads'] as const).map((topic) => [topic, partitionsOf(kafka, topic)])),
    registry,
    logger,
    signal: shutdown.signal,
  })
  shutdown.onClose('the spill log', () => spill.close())
  return spill
}

/** With a spill log, events are taken while Kafka is away: the service is degraded then, and down when neither takes them. */
function checksOfKafka(kafka: GatewayKafka, spill: Spill | undefined): readonly Check[] {
  const check = { name: 'kafka', run: () => kafka.check() }
  if (spill === undefined) return [check]
  return [
    { ...check, required: false },
    { name: 'spill', required: false, run: () => spill.requireDirect() },
    { name: 'intake', run: () => (spill.hasRoom() ? undefined : kafka.check()) },
  ]
}

async function openWriters(
  kafka: GatewayKafka,
  codecs: Codecs,
  { spill, tracing }: { spill: Spill | undefined; tracing: TracingDeps },
) {
  const budget = createByteBudget(unacknowledgedBytesMax)
  const direct = spill?.direct ?? directSender(kafka.producer)
  const spilling = spill?.spilling ?? direct
  const leadCodec = await codecs.open('leads', 'lead')
  const leadPlan = {
    topic: 'leads',
    codec: leadCodec,
    key: (lead: Lead) => lead.lead_id,
    timestampMs: (lead: Lead) => lead.received_at,
  } as const
  const open = <T>(
    plan: Omit<RecordPlan<T>, 'partitions'> & { topic: TopicName },
    sender: RecordSender,
  ): TopicWriter<T> =>
    createTopicWriter({ ...plan, partitions: partitionsOf(kafka, plan.topic) }, sender, {
      budget,
      partitionOf: defaultPartition,
    })
  return {
    budget,
    events: {
      topic: {
        topic: 'events',
        partitions: partitionsOf(kafka, 'events'),
        schemaId: (await codecs.open('events', 'event')).schemaId,
        partitionOf: defaultPartition,
      },
      sender: tracedSender(budgetedSender(gatheringSender(spilling), budget), tracing),
    },
    leads: open<Lead>(leadPlan, tracedSender(spilling, tracing)),
    // Whoever waits for a lead's outcome has no use for one that waits on a disk.
    leadsNow: open<Lead>(leadPlan, tracedSender(direct, tracing)),
    apiLogs: open<ApiLog>(
      {
        topic: 'api-logs',
        codec: await codecs.open('api-logs', 'api-log'),
        key: (entry) => entry.request_id,
        timestampMs: (entry) => entry.received_at,
      },
      directSender(kafka.logProducer),
    ),
  }
}

function partitionsOf({ partitions }: GatewayKafka, topic: TopicName): number {
  return partitions.get(topic) ?? 1
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
