import { createLogger, createMetrics, installShutdown, runMain, startHealthServer, waitFor } from '@millrace/kit'
import { openRegistry, SchemaError } from '@millrace/schemas'
import { createApiLogPartitions, createSinkOffsetRepository, openMysql, StorageError } from '@millrace/storage/mysql'
import { readLeadKey } from '@millrace/storage/sealing'
import { connectKafka } from '@millrace/streams/kafka'
import { hasCode, type SinkRunner, StreamsError, systemClock } from '@millrace/streams/sink'
import packageJson from '../package.json' with { type: 'json' }
import { readConfig } from './config.ts'
import { closeFlushMs, connectionsMax } from './limits.ts'
import { startLogRetention } from './log-retention.ts'
import { createSinks, routes } from './sinks.ts'

// Lands the topics `leads` and `api-logs` in MySQL, and says on `lead-outcomes` what became of each lead.
runMain(async () => {
  const config = readConfig(process.env)
  const logger = createLogger({ service: 'sink-mysql', level: config.logLevel })
  const shutdown = installShutdown({ logger })
  const metrics = createMetrics({ service: 'sink-mysql' })

  const mysql = openMysql({
    host: config.mysqlHost,
    port: config.mysqlPort,
    user: config.mysqlUser,
    password: config.mysqlPassword,
    database: config.mysqlDatabase,
    connectionsMax,
  })
  shutdown.onClose('MySQL', mysql.close)

  const runners = new Map<string, SinkRunner>()
  const health = await startHealthServer({
    host: config.healthHost,
    port: config.healthPort,
    version: packageJson.version,
    registry: metrics,
    isLive: () => [...runners.values()].every((runner) => runner.isLive()),
    checks: [
      { name: 'mysql', run: () => mysql.ping() },
      ...routes.map(({ topic }) => ({
        name: `kafka:${topic}`,
        run() {
          if (runners.get(topic)?.isReady() !== true) throw new Error('not consuming')
        },
      })),
    ],
  })
  shutdown.onClose('health server', health.close)
  logger.info({ url: health.url }, 'health server listens')

  const wait = { logger, signal: shutdown.signal, deadlineMs: config.startDeadlineMs, isRetryable: isWorthWaiting }
  const broker = connectKafka({ brokers: config.brokers, clientId: 'sink-mysql' })
  const producer = await waitFor('Kafka', () => broker.openProducer({ clientId: 'sink-mysql' }), wait)
  shutdown.onClose('producer', () => producer.close())
  const offsets = createSinkOffsetRepository(mysql)
  await waitFor('MySQL and its tables', () => offsets.read(config.groupPrefix, 'leads'), wait)
  const startRoute = createSinks({
    broker,
    producer,
    schemas: openRegistry(config.registryUrl),
    mysql,
    leadKey: readLeadKey(config.leadKey),
    metrics,
    logger,
    clock: systemClock,
    runners,
    groupPrefix: config.groupPrefix,
    groupInstanceId: config.groupInstanceId,
    leadDuplicateWindowMs: config.leadDuplicateWindowSeconds * 1_000,
    apiLogBatchAgeMaxMs: config.apiLogBatchAgeMaxMs,
  })

  for (const route of routes) {
    const { topic } = route
    const runner = await waitFor(`topic ${topic} and its schema`, () => startRoute(route), wait)
    shutdown.onClose(`sink of ${topic}`, () => runner.close(closeFlushMs))
    runner.failed.then(shutdown.fatal, shutdown.fatal)
  }
  const retention = startLogRetention({
    partitions: createApiLogPartitions(mysql),
    retentionDays: config.apiLogRetentionDays,
    metrics,
    logger,
  })
  shutdown.onClose('retention of the API logs', retention.close)
  logger.info({ topics: routes.map(({ topic }) => topic), version: packageJson.version }, 'storing')
})

/** Servers come up in any order, and are migrated and provisioned while we wait; what a person has to mend is told at once. */
function isWorthWaiting(error: unknown): boolean {
  if (error instanceof StorageError) return error.retryable || error.code === 'SCHEMA_MISMATCH'
  if (error instanceof SchemaError) return error.retryable || error.code === 'NOT_REGISTERED'
  return error instanceof StreamsError && (error.retryable || hasCode(error, 'TOPIC_MISSING'))
}
