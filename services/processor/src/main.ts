import {
  type Check,
  createLogger,
  createMetrics,
  installShutdown,
  type Logger,
  runMain,
  startHealthServer,
  waitFor,
} from '@millrace/kit'
import { type EventStats, openRegistry, type RecordCodec, SchemaError } from '@millrace/schemas'
import { hasCode, type Serde, storeNames } from '@millrace/streams'
import { connectKafka } from '@millrace/streams/kafka'
import { openRocksDbStores } from '@millrace/streams/rocksdb'
import manifest from '../package.json' with { type: 'json' }
import { advertisedEndpoint, type ProcessorConfig, processorConfig } from './config.ts'
import { countedEvents } from './counted-event.ts'
import { Engine } from './engine.ts'
import { exposeEngine } from './engine-gauges.ts'
import { engineMetrics, processorLogFields } from './engine-metrics.ts'
import { queryPages } from './query-pages.ts'
import { buildTopology } from './topology.ts'

const mebibyte = 1024 * 1024

/** A process that is stopping holds the state directory for at most its closing deadline. */
const lockWaitMs = 15_000

runMain(async () => {
  const config = processorConfig(process.env)
  const logger = createLogger({ service: 'processor', level: config.logLevel, fields: processorLogFields })
  const shutdown = installShutdown({ logger })
  const metrics = createMetrics({ service: 'processor' })
  let engine: Engine | undefined
  const snapshot = () =>
    engine?.snapshot() ?? { state: 'starting' as const, tasks: [], restore: undefined, standbys: [] }

  exposeEngine(metrics, () => engine)

  const engineCheck: Check = {
    name: 'engine',
    run() {
      const { state, restore } = snapshot()
      if (state === 'running') return
      throw new Error(
        restore === undefined ? `the engine is ${state}` : `restoring, ${restore.remaining} offsets to go`,
      )
    },
  }
  const { healthHost: host, healthPort: port } = config
  const health = await startHealthServer({
    host,
    port,
    version: manifest.version,
    checks: [engineCheck],
    registry: metrics,
    pages: queryPages(() => engine),
  })
  shutdown.onClose('health server', () => health.close())

  const registry = openRegistry(config.registryUrl)
  const codecs = await waitFor(
    'The schema registry',
    async () => ({
      events: await registry.codecFor('events', 'event'),
      stats: await registry.codecFor('stats', 'event-stats'),
    }),
    { logger, signal: shutdown.signal, isRetryable: (error) => error instanceof SchemaError && isPassing(error) },
  )
  const { graceMs, retentionMs, statsTopic } = config
  const topology = buildTopology({
    events: countedEvents(codecs.events),
    stats: statsSerde(codecs.stats),
    graceMs,
    retentionMs,
    statsTopic,
  })
  const stores = await openStores(config, { names: storeNames(topology), logger, signal: shutdown.signal })
  shutdown.onClose('state', () => stores.close())

  const endpoint = advertisedEndpoint(config, health.url)
  engine = new Engine({
    topology,
    broker: connectKafka({ brokers: [...config.brokers], clientId: config.applicationId }),
    stores,
    events: codecs.events,
    registry,
    logger,
    probes: engineMetrics(metrics, logger),
    signal: shutdown.signal,
    settings: {
      ...settingsOf(config),
      stateBytesMax: config.stateMemoryMib * mebibyte,
      numStandbys: config.standbys,
      ...(endpoint === undefined ? {} : { queryEndpoint: endpoint }),
    },
  })
  const running = engine
  shutdown.onClose('engine', () => running.close({ leave: !config.restartGrace }))
  void running.failed.then((error) => shutdown.fatal(error))
  logger.info(
    {
      application_id: config.applicationId,
      guarantee: config.guarantee,
      directory: config.stateDirectory,
      url: health.url,
    },
    'processor starting',
  )
  await running.start()
})

/** What is not registered yet is registered by whoever provisions the topics. */
function isPassing(error: SchemaError): boolean {
  return error.retryable || error.code === 'NOT_REGISTERED'
}

function openStores(
  config: ProcessorConfig,
  options: { readonly names: readonly string[]; readonly logger: Logger; readonly signal: AbortSignal },
) {
  const { names, logger, signal } = options
  return waitFor(
    'The state directory',
    () => openRocksDbStores({ directory: config.stateDirectory, stores: names, logger }),
    { logger, signal, deadlineMs: lockWaitMs, isRetryable: (error) => hasCode(error, 'STORE_LOCKED') },
  )
}

function settingsOf(config: ProcessorConfig) {
  const { applicationId, guarantee, commitIntervalMs, idleMs, sessionTimeoutMs, replicationFactor } = config
  const { stateCleanupDelayMs } = config
  return {
    applicationId,
    guarantee,
    commitIntervalMs,
    idleMs,
    sessionTimeoutMs,
    replicationFactor,
    stateCleanupDelayMs,
  }
}

function statsSerde(codec: RecordCodec<EventStats>): Serde<EventStats> {
  return {
    read: (bytes, start, end) => codec.decode(bytes.subarray(start, end)),
    write: (stats) => codec.encode(stats),
  }
}
