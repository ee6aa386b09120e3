import { and, asc, count, desc, eq, gte, lt, type SQL, sql } from 'drizzle-orm'
import { StorageError } from '../errors.ts'
import { emailHash, hashText, type LeadKey, phoneHash } from '../sealing/index.ts'
import { type LeadCondition, whereAttributes } from './lead-conditions.ts'
import { decodeCursor, encodeCursor } from './lead-cursor.ts'
import { type LeadHistoryEntry, readHistory } from './lead-history.ts'
import {
  dateTimeMaxMs,
  listingInOrderMsMax,
  listingMsMax,
  pageDepthRowsMax,
  pageRowsMax,
  totalRowsMax,
  totalWithConditionsMax,
} from './limits.ts'
import type { Database, Mysql } from './mysql.ts'
import { leads } from './schema.ts'
import { openRows, type StoredLead } from './stored-lead.ts'

/** States of a stored lead. */
export const leadStatuses = ['stored', 'duplicate', 'erased'] as const
export type LeadStatus = (typeof leadStatuses)[number]

/** Orders of a listing; `-` means newest first. */
export const leadSorts = ['-received_at', 'received_at'] as const
export type LeadSort = (typeof leadSorts)[number]

/** Which leads to list. Either `page` (from 1) or `cursor`, not both. */
export interface LeadQuery {
  readonly limit: number
  readonly page?: number | undefined
  /** A `nextCursor` of a listing with the same filters and order. */
  readonly cursor?: string | undefined
  readonly status?: string | undefined
  /** The whole address, without regard to case. */
  readonly email?: string | undefined
  /** The whole number, by its digits. */
  readonly phone?: string | undefined
  /** Compared without regard to case. */
  readonly source?: string | undefined
  /** All of them must hold. */
  readonly attributes?: readonly LeadCondition[] | undefined
  /** Received at or after. */
  readonly fromMs?: number | undefined
  /** Received before. */
  readonly toMs?: number | undefined
  /** Default `-received_at`. */
  readonly sort?: LeadSort | undefined
}

/** One page of leads. */
export interface LeadPage {
  readonly leads: readonly StoredLead[]
  /** Leads that match, counted up to `totalRowsMax`, with conditions on attributes up to `totalWithConditionsMax`. */
  readonly total: number
  readonly totalIsExact: boolean
  /** Where the next page begins; null on the last one. */
  readonly nextCursor: string | null
}

/** Leads as they are read back. */
export interface LeadRepository {
  byId(leadId: string): Promise<StoredLead | undefined>
  /** What became of a lead, in order; also of one that was rejected. Empty when nothing is known. */
  historyOf(leadId: string): Promise<readonly LeadHistoryEntry[]>
  /** Throws `INVALID_QUERY` for a limit, page, cursor or condition that is out of bounds, `QUERY_TOO_EXPENSIVE` after `listingMsMax`. */
  list(query: LeadQuery): Promise<LeadPage>
}

/** The repository of `leads`. What is sealed is opened with keys that are read with each answer. */
export function createLeadRepository(mysql: Mysql, leadKey: LeadKey): LeadRepository {
  return {
    async byId(leadId) {
      const [lead] = await mysql.run('reading a lead', async (database) => {
        const rows = await database.select().from(leads).where(eq(leads.leadId, leadId)).limit(1)
        return openRows(database, leadKey, rows)
      })
      return lead
    },

    async historyOf(leadId) {
      const found = await mysql.run('reading the history of a lead', (database) => readHistory(database, [leadId]))
      return found.get(leadId) ?? []
    },

    async list(query) {
      const page = planPage(query, leadKey)
      const listed = (plan: PagePlan, selectMsMax: number) => listLeads(mysql, { leadKey, plan, selectMsMax })
      if (!page.hasConditions) return listed(page, listingMsMax)
      try {
        return await listed(page, listingInOrderMsMax)
      } catch (error) {
        if (!(error instanceof StorageError) || error.code !== 'QUERY_TOO_EXPENSIVE') throw error
        // Few leads match: reading all of them as they lie, and sorting what is found, takes a fraction of reading each by the index.
        return listed({ ...page, ...page.bySorting }, listingMsMax)
      }
    },
  }
}

function listLeads(
  mysql: Mysql,
  { leadKey, plan: page, selectMsMax }: { leadKey: LeadKey; plan: PagePlan; selectMsMax: number },
): Promise<LeadPage> {
  return mysql.run(
    'listing leads',
    async (database) => {
      const rows = await database
        .select()
        .from(leads)
        .where(and(...page.filters, page.after))
        .orderBy(...page.order)
        .limit(page.limit + 1)
        .offset(page.offset)
      const last = rows.length > page.limit ? rows[page.limit - 1] : undefined
      // The end of the listing tells how many there are, unless it was reached by a cursor, or passed.
      const isEnd = last === undefined && page.after === undefined && (rows.length > 0 || page.offset === 0)
      const total = isEnd ? page.offset + rows.length : await countLeads(database, page)
      return {
        leads: await openRows(database, leadKey, rows.slice(0, page.limit)),
        total: Math.min(total, page.totalMax),
        totalIsExact: total <= page.totalMax,
        nextCursor: last === undefined ? null : encodeCursor({ sort: page.sort, ...last }),
      }
    },
    { selectMsMax },
  )
}

/** One more than `totalMax` says that there are more. */
async function countLeads(database: Database, { filters, totalMax }: PagePlan): Promise<number> {
  const counted = database
    .select({ one: sql`1` })
    .from(leads)
    .where(and(...filters))
    .limit(totalMax + 1)
    .as('counted')
  const [totals] = await database.select({ rows: count() }).from(counted)
  return totals?.rows ?? 0
}

/** True for milliseconds that a DATETIME column can hold and that are not before 1970. */
export function isDateTimeMs(ms: number): boolean {
  return Number.isInteger(ms) && ms >= 0 && ms <= dateTimeMaxMs
}

interface PageOrder {
  readonly after: SQL | undefined
  readonly order: readonly SQL[]
}

interface PagePlan extends PageOrder {
  readonly limit: number
  readonly sort: LeadSort
  /** Whether attributes are asked for, which no index has. */
  readonly hasConditions: boolean
  readonly filters: readonly SQL[]
  /** The same order, of a value that no index has. */
  readonly bySorting: PageOrder
  readonly offset: number
  readonly totalMax: number
}

function planPage(query: LeadQuery, leadKey: LeadKey): PagePlan {
  const { limit, page = 1, cursor, sort = '-received_at' } = query
  if (!Number.isInteger(limit) || limit < 1 || limit > pageRowsMax) {
    throw new StorageError('INVALID_QUERY', `limit must be from 1 to ${pageRowsMax}; got ${limit}`)
  }
  const offset = (page - 1) * limit
  if (!Number.isInteger(page) || page < 1 || offset > pageDepthRowsMax) {
    throw new StorageError(
      'INVALID_QUERY',
      `page must be from 1 to ${Math.floor(pageDepthRowsMax / limit) + 1} with limit ${limit}; further on use cursor`,
    )
  }
  if (cursor !== undefined && query.page !== undefined) {
    throw new StorageError('INVALID_QUERY', 'page and cursor exclude each other: send one of them')
  }
  const filters: SQL[] = []
  if (query.status !== undefined) filters.push(eq(leads.status, query.status))
  if (query.email !== undefined) filters.push(eq(leads.emailHash, hashText(emailHash(leadKey, query.email))))
  if (query.phone !== undefined) {
    const hash = phoneHash(leadKey, query.phone)
    if (hash === undefined) throw new StorageError('INVALID_QUERY', 'phone must have digits')
    filters.push(eq(leads.phoneHash, hashText(hash)))
  }
  if (query.source !== undefined) filters.push(eq(leads.source, query.source))
  if (query.fromMs !== undefined) filters.push(gte(leads.receivedAt, toDate(query.fromMs, 'from')))
  if (query.toMs !== undefined) filters.push(lt(leads.receivedAt, toDate(query.toMs, 'to')))
  const conditions = whereAttributes(query.attributes ?? [])
  filters.push(...conditions)
  return {
    limit,
    sort,
    hasConditions: conditions.length > 0,
    filters,
    ...orderBy(sql`${leads.receivedAt}`, sort, cursor),
    bySorting: orderBy(sql`(${leads.receivedAt} + INTERVAL 0 SECOND)`, sort, cursor),
    offset,
    totalMax: conditions.length > 0 ? totalWithConditionsMax : totalRowsMax,
  }
}

/** The cursor is compared without a row comparison, which neither server can use an index for in every version. */
function orderBy(receivedAt: SQL, sort: LeadSort, cursor: string | undefined): PageOrder {
  const [direction, before, until] = sort === '-received_at' ? [desc, sql`<`, sql`<=`] : [asc, sql`>`, sql`>=`]
  const order = [direction(receivedAt), direction(leads.leadId)]
  if (cursor === undefined) return { after: undefined, order }
  const at = decodeCursor(cursor, sort)
  const time = sql.param(at.receivedAt, leads.receivedAt)
  const after = sql`${receivedAt} ${until} ${time} AND (${receivedAt} ${before} ${time} OR ${leads.leadId} ${before} ${at.leadId})`
  return { after, order }
}

function toDate(ms: number, name: string): Date {
  if (!isDateTimeMs(ms)) throw new StorageError('INVALID_QUERY', `${name} must be a time from 1970 to 9999`)
  return new Date(ms)
}
