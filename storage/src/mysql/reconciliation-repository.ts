import { and, eq, gte, inArray, lt, type SQL, sql } from 'drizzle-orm'
import { lookupKeysMax, reconciliationMsMax } from './limits.ts'
import type { Mysql } from './mysql.ts'
import { apiRequestLogs, apiResponseLogs, leads, sinkRejections } from './schema.ts'

/** A partition of `leads`, and where its minutes begin: rising offsets, the last one being the end of the last minute. */
export interface LeadBounds {
  readonly partition: number
  readonly bounds: readonly number[]
}

/** Leads of one range of offsets, by the minute in which they were received. */
export interface LeadCount {
  readonly partition: number
  /** The bound that the range begins with. */
  readonly firstOffset: number
  readonly minuteMs: number
  readonly records: number
}

/** A range of offsets of a partition. */
export interface LeadOffsets {
  readonly partition: number
  readonly firstOffset: number
  /** The offset after the last one. */
  readonly nextOffset: number
  /** Leads received before are not looked at. */
  readonly receivedFromMs: number
}

/** Items of a minute. */
export interface MinuteCount {
  readonly minuteMs: number
  readonly items: number
}

/** What MySQL has of Kafka's offsets, and what the gateway said. Every query ends on the server after ten seconds, with `QUERY_TOO_EXPENSIVE`. */
export interface ReconciliationRepository {
  /** Counts leads from the first bound of each partition on, received at or after `receivedFromMs`. */
  leadCounts(partitions: readonly LeadBounds[], receivedFromMs: number): Promise<readonly LeadCount[]>
  /** Offsets of the range that have a lead, at most `limit`. */
  leadOffsets(range: LeadOffsets, limit: number): Promise<readonly number[]>
  /** Which of the ids have a lead, whatever its offset: resends, conflicts and what was erased since. */
  knownLeads(leadIds: readonly string[]): Promise<ReadonlySet<string>>
  /** Offsets of the range whose records were refused. */
  rejectedOffsets(of: {
    readonly topic: string
    readonly partition: number
    readonly firstOffset: number
    readonly nextOffset: number
  }): Promise<readonly number[]>
  /** Requests in the API's log by the minute in which they were received. */
  apiLogCounts(fromMs: number, toMs: number): Promise<readonly MinuteCount[]>
  /** Which of the requests are in the API's log; they were received in the given time. */
  knownRequests(
    requestIds: readonly string[],
    range: { readonly fromMs: number; readonly toMs: number },
  ): Promise<ReadonlySet<string>>
  /** What the gateway has acknowledged on the routes, by the minute in which it was received: as many items as an answer says, else one for each. */
  acknowledged(
    routes: readonly string[],
    range: { readonly fromMs: number; readonly toMs: number },
  ): Promise<readonly MinuteCount[]>
}

const minuteMs = 60_000
/** A request is answered within this; generous, for clocks that are set. */
const responseSpreadMs = 3_600_000

/** The repository of what reconciliation asks. */
export function createReconciliationRepository(mysql: Mysql): ReconciliationRepository {
  const bounded = { timeoutMs: reconciliationMsMax + 5_000, selectMsMax: reconciliationMsMax }
  return {
    leadCounts(partitions, receivedFromMs) {
      const filled = partitions.filter(({ bounds }) => bounds.length > 0)
      if (filled.length === 0) return Promise.resolve([])
      const received = sql<number>`FLOOR(UNIX_TIMESTAMP(${leads.receivedAt}) / 60)`
      return mysql.run(
        'counting leads',
        async (database) => {
          const rows = await database
            .select({
              partition: leads.sourcePartition,
              place: placeOf(filled).as('place'),
              minute: received.as('minute'),
              records: sql<number>`COUNT(*)`,
            })
            .from(leads)
            .where(gte(leads.receivedAt, new Date(receivedFromMs)))
            .groupBy(leads.sourcePartition, sql`place`, sql`minute`)
          return rows.flatMap(({ partition, place, minute, records }) => {
            // 0: before the first bound.
            const bounds = filled.find((of) => of.partition === partition)?.bounds
            const firstOffset = bounds?.[Number(place) - 1]
            if (firstOffset === undefined) return []
            return { partition, firstOffset, minuteMs: Number(minute) * minuteMs, records: Number(records) }
          })
        },
        bounded,
      )
    },

    leadOffsets({ partition, firstOffset, nextOffset, receivedFromMs }, limit) {
      return mysql.run(
        'reading offsets of leads',
        async (database) => {
          const rows = await database
            .select({ offset: leads.sourceOffset })
            .from(leads)
            .where(
              and(
                gte(leads.receivedAt, new Date(receivedFromMs)),
                eq(leads.sourcePartition, partition),
                gte(leads.sourceOffset, firstOffset),
                lt(leads.sourceOffset, nextOffset),
              ),
            )
            .limit(limit)
          return rows.map(({ offset }) => offset)
        },
        bounded,
      )
    },

    knownLeads: (leadIds) =>
      inChunks(leadIds, (chunk) =>
        mysql.run(
          'looking for leads',
          async (database) => {
            const rows = await database.select({ id: leads.leadId }).from(leads).where(inArray(leads.leadId, chunk))
            return rows.map(({ id }) => id)
          },
          bounded,
        ),
      ),

    rejectedOffsets({ topic, partition, firstOffset, nextOffset }) {
      return mysql.run(
        'reading rejections',
        async (database) => {
          const rows = await database
            .select({ offset: sinkRejections.recordOffset })
            .from(sinkRejections)
            .where(
              and(
                eq(sinkRejections.topic, topic),
                eq(sinkRejections.partitionNumber, partition),
                gte(sinkRejections.recordOffset, firstOffset),
                lt(sinkRejections.recordOffset, nextOffset),
              ),
            )
          return rows.map(({ offset }) => offset)
        },
        bounded,
      )
    },

    apiLogCounts(fromMs, toMs) {
      const received = sql<number>`FLOOR(UNIX_TIMESTAMP(${apiRequestLogs.receivedAt}) / 60)`
      return mysql.run(
        'counting API logs',
        async (database) => {
          const rows = await database
            .select({ minute: received.as('minute'), items: sql<number>`COUNT(*)` })
            .from(apiRequestLogs)
            .where(and(gte(apiRequestLogs.receivedAt, new Date(fromMs)), lt(apiRequestLogs.receivedAt, new Date(toMs))))
            .groupBy(sql`minute`)
          return rows.map(toMinute)
        },
        bounded,
      )
    },

    knownRequests: (requestIds, { fromMs, toMs }) =>
      inChunks(requestIds, (chunk) =>
        mysql.run(
          'looking for API logs',
          async (database) => {
            const rows = await database
              .select({ id: apiRequestLogs.requestId })
              .from(apiRequestLogs)
              .where(
                and(
                  inArray(apiRequestLogs.requestId, chunk),
                  // What an index by time makes of it is a smaller part of the table.
                  gte(apiRequestLogs.receivedAt, new Date(fromMs)),
                  lt(apiRequestLogs.receivedAt, new Date(toMs)),
                ),
              )
            return rows.map(({ id }) => id)
          },
          bounded,
        ),
      ),

    acknowledged(routes, { fromMs, toMs }) {
      const received = sql<number>`FLOOR(UNIX_TIMESTAMP(${apiRequestLogs.receivedAt}) / 60)`
      return mysql.run(
        'counting acknowledged items',
        async (database) => {
          const rows = await database
            .select({
              minute: received.as('minute'),
              items: sql<number>`SUM(COALESCE(${apiResponseLogs.accepted}, 1))`,
            })
            .from(apiRequestLogs)
            .innerJoin(apiResponseLogs, eq(apiResponseLogs.requestId, apiRequestLogs.requestId))
            .where(
              and(
                inArray(apiRequestLogs.route, [...routes]),
                eq(apiRequestLogs.method, 'POST'),
                gte(apiRequestLogs.receivedAt, new Date(fromMs)),
                lt(apiRequestLogs.receivedAt, new Date(toMs)),
                // The log is kept by days: without a bound, each response would be looked for in all of them.
                gte(apiResponseLogs.respondedAt, new Date(fromMs - responseSpreadMs)),
                lt(apiResponseLogs.respondedAt, new Date(toMs + responseSpreadMs)),
                lt(apiResponseLogs.status, 300),
              ),
            )
            .groupBy(sql`minute`)
          return rows.map(toMinute)
        },
        bounded,
      )
    },
  }
}

/** The number of the first bound above the offset, by partition: both servers search it in halves. */
function placeOf(partitions: readonly LeadBounds[]): SQL<number> {
  const cases = partitions.map(
    ({ partition, bounds }) =>
      sql`WHEN ${partition} THEN INTERVAL(${leads.sourceOffset}, ${sql.raw(bounds.join(', '))})`,
  )
  return sql<number>`CASE ${leads.sourcePartition} ${sql.join(cases, sql` `)} ELSE 0 END`
}

function toMinute({ minute, items }: { readonly minute: number; readonly items: number }): MinuteCount {
  return { minuteMs: Number(minute) * minuteMs, items: Number(items) }
}

/** Those of `keys` that a column for ids has. A record that was refused may have any key: one that is not ASCII no such column holds, and MySQL fails when it is asked for one. */
async function inChunks(
  keys: readonly string[],
  find: (chunk: readonly string[]) => Promise<readonly string[]>,
): Promise<ReadonlySet<string>> {
  const ids = keys.filter((key) => /^[\x20-\x7e]*$/.test(key))
  const found = new Set<string>()
  for (let at = 0; at < ids.length; at += lookupKeysMax) {
    for (const id of await find(ids.slice(at, at + lookupKeysMax))) found.add(id)
  }
  return found
}
