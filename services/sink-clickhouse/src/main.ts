import { setFlagsFromString } from 'node:v8'
import { createLogger, createMetrics, installShutdown, runMain, startHealthServer, waitFor } from '@millrace/kit'
import { openRegistry, SchemaError } from '@millrace/schemas'
import { openClickHouse, StorageError } from '@millrace/storage/clickhouse'
import { connectKafka } from '@millrace/streams/kafka'
import { hasCode, type SinkRunner, StreamsError, systemClock } from '@millrace/streams/sink'
import packageJson from '../package.json' with { type: 'json' }
import { readConfig } from './config.ts'
import type { SinkError } from './errors.ts'
import { closeFlushMs } from './limits.ts'
import { createSinks, routes } from './sinks.ts'

// What is fetched lies outside of V8's heap, and its amount makes V8 mark the whole heap again and again, though little of it changes: 39 times for 1,000,000 rows, at half of the
// CPU of the process. Without marking in steps it is 14 times, each a pause of some 30 ms that nobody waits for.
setFlagsFromString('--no-incremental-marking')

// Lands the topics `events` and `stats`, and every dead-letter topic, in ClickHouse.
runMain(async () => {
  const config = readConfig(process.env)
  const logger = createLogger({ service: 'sink-clickhouse', level: config.logLevel })
  const shutdown = installShutdown({ logger })
  const metrics = createMetrics({ service: 'sink-clickhouse' })

  const clickHouse = openClickHouse({
    url: config.clickHouseUrl,
    user: config.clickHouseUser,
    password: config.clickHousePassword,
    database: config.clickHouseDatabase,
  })
  shutdown.onClose('ClickHouse', clickHouse.close)

  const runners = new Map<string, SinkRunner>()
  const blocked = new Map<string, SinkError>()
  const health = await startHealthServer({
    host: config.healthHost,
    port: config.healthPort,
    version: packageJson.version,
    registry: metrics,
    isLive: () => [...runners.values()].every((runner) => runner.isLive()),
    checks: [
      { name: 'clickhouse', run: () => clickHouse.ping() },
      ...routes.map(({ topic }) => ({
        name: `kafka:${topic}`,
        run() {
          if (runners.get(topic)?.isReady() !== true) throw new Error('not consuming')
        },
      })),
      ...routes.map(({ topic }) => ({
        name: `table of ${topic}`,
        run() {
          const error = blocked.get(topic)
          if (error !== undefined) throw error
        },
      })),
    ],
  })
  shutdown.onClose('health server', health.close)
  logger.info({ url: health.url }, 'health server listens')

  const wait = { logger, signal: shutdown.signal, deadlineMs: config.startDeadlineMs, isRetryable: isWorthWaiting }
  const broker = connectKafka({ brokers: config.brokers, clientId: 'sink-clickhouse' })
  const producer = await waitFor('Kafka', () => broker.openProducer({ clientId: 'sink-clickhouse' }), wait)
  shutdown.onClose('producer', () => producer.close())
  const startRoute = createSinks({
    broker,
    producer,
    schemas: openRegistry(config.registryUrl),
    clickHouse,
    metrics,
    logger,
    clock: systemClock,
    runners,
    blocked,
    groupInstanceId: config.groupInstanceId,
    groupPrefix: config.groupPrefix,
    batchRowsMax: config.batchRowsMax,
    batchAgeMaxMs: config.batchAgeMaxMs,
  })
  // All at once: each waits for its group, which takes a broker seconds when it is new.
  await Promise.all(
    routes.map(async (route) => {
      const table = { sql: `SELECT 1 FROM ${route.table} LIMIT 0` }
      await waitFor(`ClickHouse table ${route.table}`, () => clickHouse.query('looking for the table', table), wait)
      const runner = await waitFor(`topic ${route.topic} and its schema`, () => startRoute(route), wait)
      shutdown.onClose(`sink of ${route.topic}`, () => runner.close(closeFlushMs))
      runner.failed.then(shutdown.fatal, shutdown.fatal)
    }),
  )
  logger.info({ topics: routes.map(({ topic }) => topic), version: packageJson.version }, 'storing')
})

/** Servers come up in any order, and are migrated and provisioned while we wait; what a person has to mend is told at once. */
function isWorthWaiting(error: unknown): boolean {
  if (error instanceof StorageError) return error.retryable || error.code === 'SCHEMA_MISMATCH'
  if (error instanceof SchemaError) return error.retryable || error.code === 'NOT_REGISTERED'
  return error instanceof StreamsError && (error.retryable || hasCode(error, 'TOPIC_MISSING'))
}
