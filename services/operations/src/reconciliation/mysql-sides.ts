import type { ReconciliationRepository as ClickHouseRepository } from '@millrace/storage/clickhouse'
import type { ReconciliationRepository } from '@millrace/storage/mysql'
import type { RecordCursor } from '@millrace/streams'
import { missingPerRangeMax, outOfOrderMs } from '../limits.ts'
import type { ReconciledTopic } from './reconciliation.ts'
import { boundsByPartition, gapsOf, placeKey, type StoreSide } from './store-side.ts'

/** What the sides in MySQL need. Letters of their topics are in ClickHouse, what the database refused is also in MySQL. */
export interface MysqlSideParts {
  readonly mysql: ReconciliationRepository
  readonly deadLetters: Pick<ClickHouseRepository, 'deadLetterOffsets'>
  readonly committed: StoreSide['committed']
}

/** Leads, of which MySQL keeps partition and offset. A record's key is the lead's id: that of a lead that was sent again leads to its row. */
export function createLeadsSide(parts: MysqlSideParts): StoreSide {
  const { mysql } = parts
  return {
    topic: 'leads',
    store: 'mysql',
    foundAs: 'resent',
    routes: ['/api/v1/lead/process', '/api/v1/lead/process-async', '/api/v1/leads/process-bulk'],
    committed: parts.committed,
    keyOf: textKeyOf,
    known: (keys) => mysql.knownLeads(keys),
    deadLettered: (range, signal) => deadLettered('leads', parts, { ...range, signal }),

    async count({ ranges, fromMs }) {
      const byPlace = new Map<string, number>()
      const byReception = new Map<number, number>()
      for (const count of await mysql.leadCounts(boundsByPartition(ranges), fromMs - outOfOrderMs)) {
        const place = placeKey(count.partition, count.firstOffset)
        byPlace.set(place, (byPlace.get(place) ?? 0) + count.records)
        byReception.set(count.minuteMs, (byReception.get(count.minuteMs) ?? 0) + count.records)
      }
      const records = ({ partition, firstOffset, nextOffset }: (typeof ranges)[number]) =>
        nextOffset > firstOffset
          ? Math.min(byPlace.get(placeKey(partition, firstOffset)) ?? 0, nextOffset - firstOffset)
          : 0
      return { ranges: ranges.map((range) => ({ records: records(range), doubled: 0 })), byReception }
    },

    async missing({ partition, firstOffset, nextOffset }, { fromMs }) {
      const receivedFromMs = fromMs - outOfOrderMs
      // So many rows, and no more, are told apart; a minute that has more is read as a whole.
      const limit = 10 * missingPerRangeMax
      const offsets = await mysql.leadOffsets({ partition, firstOffset, nextOffset, receivedFromMs }, limit)
      if (offsets.length === limit) return { gaps: [{ partition, firstOffset, nextOffset }] }
      const stored = new Set(offsets)
      const missing: number[] = []
      for (let offset = firstOffset; offset < nextOffset && missing.length <= missingPerRangeMax; offset++) {
        if (!stored.has(offset)) missing.push(offset)
      }
      const gaps = gapsOf(partition, missing.slice(0, missingPerRangeMax))
      const rest = missing[missingPerRangeMax]
      return { gaps: rest === undefined ? gaps : [...gaps, { partition, firstOffset: rest, nextOffset }] }
    },
  }
}

/**
 * The API's log, of which MySQL keeps the ids of the requests and no offsets: a minute that has as many rows as Kafka has records is taken for whole. Otherwise each of its records is looked for, so that
 * what is called missing is.
 */
export function createApiLogsSide(parts: MysqlSideParts): StoreSide {
  const { mysql } = parts
  return {
    topic: 'api-logs',
    store: 'mysql',
    foundAs: 'stored',
    routes: [],
    committed: parts.committed,
    keyOf: textKeyOf,
    // A request of a stream is written when the stream ends, and was received long before.
    known: (keys, { fromMs, toMs }) =>
      mysql.knownRequests(keys, { fromMs: fromMs - 24 * outOfOrderMs, toMs: toMs + outOfOrderMs }),
    deadLettered: (range, signal) => deadLettered('api-logs', parts, { ...range, signal }),

    async count({ ranges, fromMs, toMs }) {
      const counts = await mysql.apiLogCounts(fromMs, toMs)
      const byReception = new Map(counts.map(({ minuteMs, items }) => [minuteMs, items]))
      const inKafka = new Map<number, number>()
      for (const { minuteMs, firstOffset, nextOffset } of ranges) {
        inKafka.set(minuteMs, (inKafka.get(minuteMs) ?? 0) + nextOffset - firstOffset)
      }
      const isWhole = (minuteMs: number) => (byReception.get(minuteMs) ?? 0) >= (inKafka.get(minuteMs) ?? 0)
      return {
        ranges: ranges.map(({ minuteMs, firstOffset, nextOffset }) => {
          return { records: isWhole(minuteMs) ? nextOffset - firstOffset : 0, doubled: 0 }
        }),
        byReception,
      }
    },

    async missing({ partition, firstOffset, nextOffset }) {
      return { gaps: [{ partition, firstOffset, nextOffset }] }
    },
  }
}

async function textKeyOf({ bytes, keyStart, keyEnd }: RecordCursor): Promise<string | undefined> {
  return keyStart < 0 ? undefined : bytes.toString('utf8', keyStart, keyEnd)
}

async function deadLettered(
  topic: ReconciledTopic,
  { mysql, deadLetters }: MysqlSideParts,
  range: {
    readonly partition: number
    readonly firstOffset: number
    readonly nextOffset: number
    readonly signal: AbortSignal
  },
): Promise<ReadonlySet<number>> {
  const [letters, rejected] = await Promise.all([
    deadLetters.deadLetterOffsets({ topic, ...range }),
    mysql.rejectedOffsets({ topic, ...range }),
  ])
  return new Set([...letters, ...rejected])
}
