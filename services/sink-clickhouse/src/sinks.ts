import {
  backoffMs,
  createSinkMetrics,
  exposeSinkLag,
  type Logger,
  type Registry as Metrics,
  type SinkMetrics,
  sleep,
} from '@millrace/kit'
import type { Registry, SchemaName, TopicName } from '@millrace/schemas'
import type { ClickHouse } from '@millrace/storage/clickhouse'
import {
  type BatchSink,
  type Broker,
  type Clock,
  createSinkRunner,
  intentOffsets,
  type Producer,
  type SinkRunner,
} from '@millrace/streams/sink'
import { createClickHouseSink } from './clickhouse-sink.ts'
import { createDeadLetterSink } from './dead-letter-sink.ts'
import { SinkError } from './errors.ts'
import { batchBytesMax, bufferBytesMax, retryBaseMs, retryMaxMs, spareBuffersMax, writesMax } from './limits.ts'
import { SpareBuffers } from './spare-buffers.ts'
import { createWriterSchemas } from './writer-schemas.ts'

/** A topic of Avro records on its way into one table. */
export interface RecordRoute {
  readonly kind: 'records'
  readonly topic: string
  /** The topic of the catalogue under which the records' schema is registered. */
  readonly subject: TopicName
  readonly schema: SchemaName
  readonly table: string
  readonly deadLetterTopic: string
  readonly skipTombstones: boolean
}

/** A dead-letter topic on its way into the table of all of them. */
export interface DeadLetterRoute {
  readonly kind: 'dead-letters'
  readonly topic: string
  readonly table: string
  /** See `DeadLetterSinkOptions`. */
  readonly keepsContent: boolean
}

/** One topic on its way into one table. */
export type SinkRoute = RecordRoute | DeadLetterRoute

/** Every route of this service. Each is a consumer group of its own: one that is slow does not hold up the other. */
export const routes: readonly SinkRoute[] = [
  {
    kind: 'records',
    topic: 'events',
    subject: 'events',
    schema: 'event',
    table: 'events',
    deadLetterTopic: 'events.dlq',
    skipTombstones: false,
  },
  {
    kind: 'records',
    topic: 'stats',
    subject: 'stats',
    schema: 'event-stats',
    table: 'stats',
    deadLetterTopic: 'stats.dlq',
    skipTombstones: true,
  },
  { kind: 'dead-letters', topic: 'events.dlq' satisfies TopicName, table: 'dead_letters', keepsContent: true },
  { kind: 'dead-letters', topic: 'stats.dlq' satisfies TopicName, table: 'dead_letters', keepsContent: true },
  // People's data: erasing a lead must not miss a copy here.
  { kind: 'dead-letters', topic: 'leads.dlq' satisfies TopicName, table: 'dead_letters', keepsContent: false },
  { kind: 'dead-letters', topic: 'api-logs.dlq' satisfies TopicName, table: 'dead_letters', keepsContent: true },
]

/** What the routes share. */
export interface SinkParts {
  readonly broker: Broker
  readonly producer: Producer
  readonly schemas: Registry
  readonly clickHouse: Pick<ClickHouse, 'insertAvro' | 'columns'>
  readonly metrics: Metrics
  readonly logger: Logger
  readonly clock: Clock
  /** By topic; filled as routes start. */
  readonly runners: Map<string, SinkRunner>
  /** By topic: why a table cannot take what its topic holds; kept up while routes run. */
  readonly blocked: Map<string, SinkError>
  readonly groupPrefix: string
  /** Static membership in every route's group. */
  readonly groupInstanceId: string | undefined
  readonly batchRowsMax: number
  readonly batchAgeMaxMs: number
}

/** Starts routes, with their metrics. A route whose start failed may be started again. */
export function createSinks(parts: SinkParts): (route: SinkRoute) => Promise<SinkRunner> {
  const { runners } = parts
  const metricsOf = createSinkMetrics(parts.metrics)
  const spares = new SpareBuffers(spareBuffersMax)
  exposeSinkLag({
    registry: parts.metrics,
    partitions: () => [...runners.values()].flatMap((runner) => runner.lags()),
    refresh: () => refreshEnds([...runners.values()], parts.logger),
    nowMs: () => parts.clock.nowMs(),
  })

  return async (route) => {
    const runner = await makeRunner(route, { ...parts, metricsOf, spares })
    try {
      await runner.start()
    } catch (error) {
      await runner.close(0)
      throw error
    }
    runners.set(route.topic, runner)
    return runner
  }
}

/** With what the routes of one process share. */
interface SharedParts extends SinkParts {
  readonly metricsOf: ReturnType<typeof createSinkMetrics>
  readonly spares: SpareBuffers
}

async function makeSink(route: SinkRoute, parts: SharedParts, metrics: SinkMetrics): Promise<BatchSink> {
  const { clickHouse, producer, clock, logger, spares } = parts
  if (route.kind === 'dead-letters') {
    return createDeadLetterSink({ table: route.table, clickHouse, keepsContent: route.keepsContent, spares })
  }
  const { topic, table, deadLetterTopic, skipTombstones } = route
  const codec = await parts.schemas.codecFor(route.subject, route.schema)
  return createClickHouseSink({
    table,
    clickHouse,
    schemas: createWriterSchemas({ registry: parts.schemas, topic: route.subject, codec, nowMs: () => clock.nowMs() }),
    producer,
    deadLetterTopic,
    nowMs: () => clock.nowMs(),
    skipTombstones,
    spares,
    onDeadLetters: (reason, count) => {
      metrics.onDeadLetters(reason, count)
      logger.warn({ topic, reason, count }, 'records went to the dead-letter topic')
    },
  })
}

async function makeRunner(route: SinkRoute, parts: SharedParts): Promise<SinkRunner> {
  const { logger, clock } = parts
  const { topic } = route
  const metrics = parts.metricsOf(topic)
  const sink = await makeSink(route, parts, metrics)
  return createSinkRunner({
    broker: parts.broker,
    clientId: `${parts.groupPrefix}-${topic}`,
    groupId: `${parts.groupPrefix}-${topic}`,
    groupInstanceId: parts.groupInstanceId,
    topic,
    sink,
    offsets: (member) => intentOffsets(member, clock),
    limits: { rowsMax: parts.batchRowsMax, bytesMax: batchBytesMax, ageMaxMs: parts.batchAgeMaxMs },
    bufferBytesMax,
    writesMax,
    clock,
    logger,
    pause: (attempt, signal) => sleep(backoffMs(attempt, { baseMs: retryBaseMs, maxMs: retryMaxMs }), signal),
    probe: {
      onWritten({ partition, rows, bytes, firstOffset, nextOffset, durationMs }) {
        parts.blocked.delete(topic)
        metrics.onWritten({ rows, bytes, durationMs })
        const place = { topic, partition, first_offset: firstOffset, last_offset: nextOffset - 1 }
        logger.debug({ ...place, rows, bytes, duration_ms: durationMs }, 'batch stored')
      },
      onRetry({ partition, attempt, error }) {
        metrics.onRetry()
        if (error instanceof SinkError) parts.blocked.set(topic, error)
        logger.warn({ err: error, topic, partition, attempt }, 'batch not stored: trying again')
      },
      onGap: (gap) => metrics.onGap(gap),
    },
  })
}

async function refreshEnds(runners: readonly SinkRunner[], logger: Logger): Promise<void> {
  try {
    await Promise.all(runners.map((runner) => runner.refreshEnds()))
  } catch (error) {
    logger.debug({ err: error }, 'the ends of the logs are not to be had: lag is shown as it was')
  }
}
