import {
  backoffMs,
  createSinkMetrics,
  exposeSinkLag,
  type Logger,
  type Registry as Metrics,
  type SinkMetrics,
  sleep,
} from '@millrace/kit'
import type { Registry, TopicName } from '@millrace/schemas'
import {
  createApiLogRepository,
  createLeadIntake,
  createSinkOffsetRepository,
  type Mysql,
  type SinkOffsetRepository,
} from '@millrace/storage/mysql'
import type { LeadKey } from '@millrace/storage/sealing'
import {
  type BatchLimits,
  type BatchSink,
  type Broker,
  type Clock,
  createSinkRunner,
  type OffsetStore,
  type Producer,
  type SinkRunner,
  StreamsError,
  storedOffsets,
} from '@millrace/streams/sink'
import { createApiLogSink } from './api-log-sink.ts'
import { createBatchDecoder } from './decode-batch.ts'
import { createLeadSink } from './lead-sink.ts'
import {
  apiLogBatchBytesMax,
  apiLogBatchRowsMax,
  bufferBytesMax,
  leadBatchAgeMaxMs,
  leadBatchBytesMax,
  leadBatchRowsMax,
  retryBaseMs,
  retryMaxMs,
  writesMax,
} from './limits.ts'

/** Leads on their way into MySQL, and what became of them on its way back. */
export interface LeadRoute {
  readonly kind: 'leads'
  readonly topic: string
  readonly deadLetterTopic: string
  readonly outcomeTopic: string
}

/** API logs on their way into MySQL. */
export interface ApiLogRoute {
  readonly kind: 'api-logs'
  readonly topic: string
  readonly deadLetterTopic: string
}

/** One topic on its way into MySQL. */
export type SinkRoute = LeadRoute | ApiLogRoute

/** Every route of this service. Each is a consumer group of its own: logs do not hold up leads. */
export const routes: readonly SinkRoute[] = [
  {
    kind: 'leads',
    topic: 'leads' satisfies TopicName,
    deadLetterTopic: 'leads.dlq' satisfies TopicName,
    outcomeTopic: 'lead-outcomes' satisfies TopicName,
  },
  {
    kind: 'api-logs',
    topic: 'api-logs' satisfies TopicName,
    deadLetterTopic: 'api-logs.dlq' satisfies TopicName,
  },
]

/** What the sinks share. */
export interface SinkParts {
  readonly broker: Broker
  readonly producer: Producer
  readonly schemas: Registry
  readonly mysql: Mysql
  /** Opens what leads are found by. */
  readonly leadKey: LeadKey
  readonly metrics: Metrics
  readonly logger: Logger
  readonly clock: Clock
  /** By topic; filled as sinks start. */
  readonly runners: Map<string, SinkRunner>
  readonly groupPrefix: string
  /** Static membership in every route's group. */
  readonly groupInstanceId?: string | undefined
  readonly leadDuplicateWindowMs: number
  readonly apiLogBatchAgeMaxMs: number
}

/** Starts routes, with their metrics. A route whose start failed may be started again. */
export function createSinks(parts: SinkParts): (route: SinkRoute) => Promise<SinkRunner> {
  const { runners } = parts
  const metricsOf = createSinkMetrics(parts.metrics)
  exposeSinkLag({
    registry: parts.metrics,
    partitions: () => [...runners.values()].flatMap((runner) => runner.lags()),
    refresh: () => refreshEnds([...runners.values()], parts.logger),
    nowMs: () => parts.clock.nowMs(),
  })

  return async (route) => {
    const metrics = metricsOf(route.topic)
    const context = { topic: route.topic, group: `${parts.groupPrefix}-${route.topic}`, metrics }
    const sized =
      route.kind === 'leads' ? await makeLeadSink(parts, context, route) : await makeApiLogSink(parts, context, route)
    const runner = makeRunner(parts, context, sized)
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

/** A sink with the bounds of its batches. */
interface SizedSink {
  readonly sink: BatchSink
  readonly limits: BatchLimits
}

/** What a sink is told of its place. */
interface SinkContext {
  readonly topic: string
  readonly group: string
  readonly metrics: SinkMetrics
}

async function makeLeadSink(
  parts: SinkParts,
  { topic, group, metrics }: SinkContext,
  route: LeadRoute,
): Promise<SizedSink> {
  const { schemas, mysql, leadKey, producer, clock, logger } = parts
  const nowMs = () => clock.nowMs()
  const sink = createLeadSink({
    group,
    leads: createLeadIntake(mysql, leadKey, { duplicateWindowMs: parts.leadDuplicateWindowMs }),
    decode: createBatchDecoder({
      codec: await schemas.codecFor('leads', 'lead'),
      registry: schemas,
      skipTombstones: true,
      nowMs,
    }),
    producer,
    outcomes: {
      name: route.outcomeTopic,
      partitions: await partitionsOf(parts.broker, route.outcomeTopic),
      codec: await schemas.codecFor('lead-outcomes', 'lead-outcome'),
    },
    deadLetterTopic: route.deadLetterTopic,
    nowMs,
    onDeadLetters: (reason, count) => noteDeadLetters(logger, metrics, { topic, reason, count }),
  })
  return { sink, limits: { rowsMax: leadBatchRowsMax, bytesMax: leadBatchBytesMax, ageMaxMs: leadBatchAgeMaxMs } }
}

async function makeApiLogSink(
  parts: SinkParts,
  { topic, group, metrics }: SinkContext,
  route: ApiLogRoute,
): Promise<SizedSink> {
  const { schemas, mysql, producer, clock, logger, apiLogBatchAgeMaxMs: ageMaxMs } = parts
  const codec = await schemas.codecFor('api-logs', 'api-log')
  const sink = createApiLogSink({
    group,
    logs: createApiLogRepository(mysql),
    decode: createBatchDecoder({ codec, registry: schemas, skipTombstones: false, nowMs: () => clock.nowMs() }),
    producer,
    deadLetterTopic: route.deadLetterTopic,
    nowMs: () => clock.nowMs(),
    onDeadLetters: (reason, count) => noteDeadLetters(logger, metrics, { topic, reason, count }),
  })
  return { sink, limits: { rowsMax: apiLogBatchRowsMax, bytesMax: apiLogBatchBytesMax, ageMaxMs } }
}

function noteDeadLetters(
  logger: Logger,
  metrics: SinkMetrics,
  { topic, reason, count }: { readonly topic: string; readonly reason: string; readonly count: number },
): void {
  metrics.onDeadLetters(reason, count)
  logger.warn({ topic, reason, count }, 'records went to the dead-letter topic')
}

function makeRunner(parts: SinkParts, { topic, group, metrics }: SinkContext, { sink, limits }: SizedSink): SinkRunner {
  const { logger, clock } = parts
  const store = offsetStoreOf(createSinkOffsetRepository(parts.mysql), group)
  return createSinkRunner({
    broker: parts.broker,
    clientId: group,
    groupId: group,
    groupInstanceId: parts.groupInstanceId,
    topic,
    sink,
    offsets: (member) => storedOffsets({ store, member, clock, logger }),
    limits,
    bufferBytesMax,
    writesMax,
    clock,
    logger,
    pause: (attempt, signal) => sleep(backoffMs(attempt, { baseMs: retryBaseMs, maxMs: retryMaxMs }), signal),
    probe: {
      onWritten({ partition, rows, bytes, firstOffset, nextOffset, durationMs }) {
        metrics.onWritten({ rows, bytes, durationMs })
        const place = { topic, partition, first_offset: firstOffset, last_offset: nextOffset - 1 }
        logger.debug({ ...place, rows, bytes, duration_ms: durationMs }, 'batch stored')
      },
      onRetry({ partition, attempt, error }) {
        metrics.onRetry()
        logger.warn({ err: error, topic, partition, attempt }, 'batch not stored: trying again')
      },
      onGap: (gap) => metrics.onGap(gap),
    },
  })
}

/** Reading begins at the settled offset: what is stored but not settled is recognised by the database, and its outcomes come again. */
export function offsetStoreOf(offsets: SinkOffsetRepository, group: string): OffsetStore {
  return {
    async positions(topic) {
      const stored = await offsets.read(group, topic)
      return new Map([...stored].map(([partition, { settledOffset }]) => [partition, settledOffset]))
    },
    settle: ({ topic, partition, offset }) => offsets.settle({ group, topic, partition, settledOffset: offset }),
  }
}

async function partitionsOf(broker: Broker, topic: string): Promise<number> {
  const admin = await broker.openAdmin()
  try {
    const description = (await admin.describeTopics([topic])).get(topic)
    if (description === undefined) throw new StreamsError('TOPIC_MISSING', `topic ${topic} does not exist`, { topic })
    return description.partitions
  } finally {
    await admin.close()
  }
}

async function refreshEnds(runners: readonly SinkRunner[], logger: Logger): Promise<void> {
  try {
    await Promise.all(runners.map((runner) => runner.refreshEnds()))
  } catch (error) {
    logger.debug({ err: error }, 'the ends of the logs are not to be had: lag is shown as it was')
  }
}
