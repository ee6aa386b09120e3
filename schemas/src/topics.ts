import type { SchemaName } from './avro-schemas.ts'

/** Every topic of the product. Changelog and repartition topics belong to the stream application and are not listed here. */
export const topicNames = [
  'events',
  'events.dlq',
  'leads',
  'leads.dlq',
  'lead-outcomes',
  'stats',
  'stats.dlq',
  'api-logs',
  'api-logs.dlq',
] as const
export type TopicName = (typeof topicNames)[number]

/** One entry of the topic catalogue. */
export interface TopicSpec {
  readonly name: TopicName
  /** The schema of the values; null where values are the original bytes of another topic. */
  readonly schema: SchemaName | null
  /** What the record key is, in words; keys are UTF-8 text. */
  readonly key: string
  /** Partitions when nothing else is configured. Dead-letter topics follow no order, so one is enough. */
  readonly partitions: number
  /** Topic configuration as Kafka names it. */
  readonly config: Readonly<Record<string, string>>
}

const dayMs = 86_400_000
const partitionsDefault = 4

function deleted(days: number): Record<string, string> {
  return { 'cleanup.policy': 'delete', 'retention.ms': String(days * dayMs) }
}

function deadLetters(name: TopicName): TopicSpec {
  return { name, schema: null, key: 'as the source', partitions: 1, config: deleted(30) }
}

/** The topic catalogue: the one place that says which topics exist, what they hold and how they are kept. */
export const topics: readonly TopicSpec[] = [
  { name: 'events', schema: 'event', key: 'user_id', partitions: partitionsDefault, config: deleted(7) },
  deadLetters('events.dlq'),
  {
    name: 'leads',
    schema: 'lead',
    key: 'lead_id',
    partitions: partitionsDefault,
    config: {
      'cleanup.policy': 'compact,delete',
      'retention.ms': String(30 * dayMs),
      'min.compaction.lag.ms': String(dayMs),
    },
  },
  deadLetters('leads.dlq'),
  { name: 'lead-outcomes', schema: 'lead-outcome', key: 'lead_id', partitions: partitionsDefault, config: deleted(1) },
  {
    name: 'stats',
    schema: 'event-stats',
    key: 'event_type@interval@window_start, partitioned by event_type',
    partitions: partitionsDefault,
    config: { 'cleanup.policy': 'compact,delete', 'retention.ms': String(30 * dayMs) },
  },
  deadLetters('stats.dlq'),
  { name: 'api-logs', schema: 'api-log', key: 'request_id', partitions: partitionsDefault, config: deleted(3) },
  deadLetters('api-logs.dlq'),
]

/** The catalogue entry of `name`. */
export function topic(name: TopicName): TopicSpec {
  const found = topics.find((spec) => spec.name === name)
  if (found === undefined) throw new Error(`The topic catalogue has no "${name}"`)
  return found
}

/** The registry subject of a topic's values (TopicNameStrategy). */
export function valueSubject(name: TopicName): string {
  return `${name}-value`
}

/** The windows that statistics are kept for, by the name that `time_interval` takes. */
export const statsIntervals = { '10s': 10_000, '1m': 60_000, '5m': 300_000, '1h': 3_600_000, '1d': dayMs } as const
export type StatsInterval = keyof typeof statsIntervals
export const statsIntervalNames: readonly StatsInterval[] = ['10s', '1m', '5m', '1h', '1d']

/** The key of a `stats` record. Event types hold no `@`: the gateway refuses it. */
export function statsKey(eventType: string, interval: StatsInterval, windowStartMs: number): string {
  return `${eventType}@${interval}@${windowStartMs}`
}
