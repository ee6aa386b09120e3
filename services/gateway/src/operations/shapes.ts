import {
  type Letter as FoundLetter,
  type GroupLag,
  type Reconciliation,
  reconciliationStages,
  type TopicReconciliation,
} from '@millrace/operations'
import { Type } from 'typebox'

const count = Type.Integer({ minimum: 0 })
const countOrNull = Type.Unsafe<number | null>({ type: ['integer', 'null'] })
const timeMs = Type.Integer({ description: 'UNIX milliseconds.' })

/** How far everybody is behind, for the document. */
export const Lags = Type.Object(
  {
    measured_at: timeMs,
    groups: Type.Array(
      Type.Object({
        group: Type.String(),
        topic: Type.String(),
        records: Type.Integer({ description: 'Offsets that it has not come to.' }),
        seconds: Type.Number({ description: 'The age of the oldest record that it has not come to.' }),
        partitions: Type.Array(Type.Object({ partition: count, position: countOrNull, end: count, records: count })),
      }),
    ),
  },
  {
    title: 'Lags',
    description: 'Every group that reads a topic of the service.',
    examples: [
      {
        measured_at: 1_764_000_000_000,
        groups: [
          {
            group: 'sink-clickhouse-events',
            topic: 'events',
            records: 12,
            seconds: 0.8,
            partitions: [{ partition: 0, position: 88, end: 100, records: 12 }],
          },
        ],
      },
    ],
  },
)

const letterMembers = {
  offset: Type.Integer({ description: 'In the dead-letter topic: names the letter.' }),
  topic: Type.String({ description: 'Where the record is from.' }),
  partition: count,
  original_offset: count,
  reason: Type.String(),
  message: Type.String(),
  bytes: Type.Integer({ description: 'Of the value.' }),
  timestamp: countOrNull,
  is_omitted: Type.Boolean({ description: 'The value was too large to be kept.' }),
}

const exampleLetter = {
  offset: 17,
  topic: 'events',
  partition: 2,
  original_offset: 4_711,
  reason: 'UNKNOWN_SCHEMA',
  message: 'the schema registry has no schema with id 9',
  bytes: 212,
  timestamp: 1_764_000_000_000,
  is_omitted: false,
}

/** Letters of a topic, for the document. */
export const LetterList = Type.Object(
  {
    waiting: Type.Integer({ description: 'Letters that wait, all of them.' }),
    replayed: Type.Integer({ description: 'Records that were put back.' }),
    letters: Type.Array(Type.Object({ ...letterMembers, state: Type.Enum(['waiting', 'done']) })),
    truncated: Type.Boolean({ description: 'There are more letters than `limit`.' }),
  },
  {
    title: 'DeadLetters',
    description: 'The newest first, without what the records hold.',
    examples: [
      { waiting: 1, replayed: 0, letters: [{ ...exampleLetter, state: 'waiting' as const }], truncated: false },
    ],
  },
)

const content = Type.Unsafe<{ bytes: number; base64: string } | null>({
  type: ['object', 'null'],
  properties: { bytes: { type: 'integer' }, base64: { type: 'string' } },
  required: ['bytes', 'base64'],
})

/** A letter with what it holds, for the document. */
export const Letter = Type.Object(
  {
    ...letterMembers,
    is_withheld: Type.Boolean({ description: 'The record is about a person: it is shown to nobody.' }),
    key: content,
    value: content,
  },
  {
    title: 'DeadLetter',
    description: 'The first 4 KiB of key and value.',
    examples: [
      {
        ...exampleLetter,
        is_withheld: false,
        key: { bytes: 3, base64: 'dS0x' },
        value: { bytes: 6, base64: 'AAAAAAkC' },
      },
    ],
  },
)

/** What a replay did, for the document. */
export const Replayed = Type.Object(
  {
    replayed: Type.Integer({ description: 'Records that went back to where they came from.' }),
    omitted: Type.Array(Type.Integer(), { description: 'Letters whose values are not there any more.' }),
  },
  {
    title: 'Replay',
    description: 'Records that were put back before are not put back again.',
    examples: [{ replayed: 12, omitted: [] }],
  },
)

const exampleMinute = {
  minute: 1_764_000_000_000,
  is_settled: true,
  acknowledged: 100,
  kafka: 100,
  processed: 100,
  stored: 98,
  resent: 1,
  dead_lettered: 1,
  waiting: 0,
  missing: 0,
  doubled: 0,
}

const totals = Type.Object({ gateway: count, store: count, waiting: count, processor: count })

/** What was compared, for the document. */
export const Reconciled = Type.Object(
  {
    from: timeMs,
    to: timeMs,
    settled: Type.Integer({ description: 'UNIX milliseconds. Minutes that end later are not judged.' }),
    ran_at: timeMs,
    took_ms: count,
    topics: Type.Array(
      Type.Object({
        topic: Type.String(),
        store: Type.Enum(['clickhouse', 'mysql']),
        totals,
        is_complete: Type.Boolean({ description: 'false when a run may not look at as much as there was.' }),
        differences: Type.Array(
          Type.Object({
            stage: Type.Enum([...reconciliationStages]),
            minute: timeMs,
            records: count,
            partition: countOrNull,
            first_offset: countOrNull,
            next_offset: countOrNull,
          }),
          { description: 'The first 200.' },
        ),
        minutes: Type.Array(
          Type.Object({
            minute: timeMs,
            is_settled: Type.Boolean(),
            acknowledged: countOrNull,
            kafka: count,
            processed: countOrNull,
            stored: count,
            resent: count,
            dead_lettered: count,
            waiting: count,
            missing: count,
            doubled: count,
          }),
          { description: 'The oldest first.' },
        ),
      }),
    ),
  },
  {
    title: 'Reconciliation',
    description: 'Of a settled minute: kafka = stored + resent + dead_lettered + waiting + missing.',
    examples: [
      {
        from: 1_764_000_000_000,
        to: 1_764_003_600_000,
        settled: 1_764_003_300_000,
        ran_at: 1_764_003_600_000,
        took_ms: 412,
        topics: [
          {
            topic: 'events',
            store: 'clickhouse' as const,
            totals: { gateway: 0, store: 0, waiting: 0, processor: 0 },
            is_complete: true,
            differences: [],
            minutes: [exampleMinute],
          },
        ],
      },
    ],
  },
)

/** Lags as they are answered. */
export function toLags(groups: readonly GroupLag[], measuredAtMs: number) {
  return {
    measured_at: measuredAtMs,
    groups: groups.map((of) => ({ ...of, partitions: of.partitions.map((partition) => ({ ...partition })) })),
  }
}

/** A letter as it is answered, without what it holds. */
export function toLetter(letter: FoundLetter) {
  return {
    offset: letter.offset,
    topic: letter.topic,
    partition: letter.partition,
    original_offset: letter.originalOffset,
    reason: letter.exception,
    message: letter.message,
    bytes: letter.valueBytes,
    timestamp: letter.timestamp < 0 ? null : letter.timestamp,
    is_omitted: letter.isOmitted,
  }
}

/** A reconciliation as it is answered. */
export function toReconciled({ fromMs, toMs, settledMs, ranAtMs, tookMs, topics }: Reconciliation) {
  return {
    from: fromMs,
    to: toMs,
    settled: settledMs,
    ran_at: ranAtMs,
    took_ms: tookMs,
    topics: topics.map(toTopic),
  }
}

function toTopic({ topic, store, totals: sums, isComplete, differences, minutes }: TopicReconciliation) {
  return {
    topic,
    store,
    totals: { ...sums },
    is_complete: isComplete,
    differences: differences.map(({ stage, minuteMs, records, partition, firstOffset, nextOffset }) => {
      return { stage, minute: minuteMs, records, partition, first_offset: firstOffset, next_offset: nextOffset }
    }),
    minutes: minutes.map(({ minuteMs, isSettled, deadLettered, ...counts }) => {
      return { minute: minuteMs, is_settled: isSettled, dead_lettered: deadLettered, ...counts }
    }),
  }
}
