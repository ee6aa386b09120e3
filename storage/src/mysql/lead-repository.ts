import { and, asc, count, desc, eq, gte, inArray, lt, type SQL, type SQLWrapper, sql } from 'drizzle-orm'
import { StorageError } from '../errors.ts'
import { emailHash, hashText, type LeadKey, phoneHash } from '../sealing/index.ts'
import { candidatesOf, countCandidates } from './lead-attributes.ts'
import { type LeadCondition, whereAttributes } from './lead-conditions.ts'
import { decodeCursor, encodeCursor } from './lead-cursor.ts'
import { type LeadHistoryEntry, readHistory } from './lead-history.ts'
import {
  candidatesMaxDefault,
  dateTimeMaxMs,
  listingInOrderMsMax,
  listingMsMax,
  pageDepthRowsMax,
  pageRowsMax,
  totalRowsMax,
  totalWithConditionsMax,
} from './limits.ts'
import type { Database, Mysql } from './mysql.ts'
import { leadAttributes, leads } from './schema.ts'
import { type LeadRow, openRows, type StoredLead } from './stored-lead.ts'

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

/** How leads are looked for. */
export interface LeadRepositoryOptions {
  /** Leads that are looked at one by one to answer a question about attributes. Default 10,000. */
  readonly candidatesMax?: number
}

/** The repository of `leads`. What is sealed is opened with keys that are read with each answer. */
export function createLeadRepository(
  mysql: Mysql,
  leadKey: LeadKey,
  { candidatesMax = candidatesMaxDefault }: LeadRepositoryOptions = {},
): LeadRepository {
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

    list: (query) => listLeads(mysql, leadKey, { ...planPage(query, leadKey), candidatesMax }),
  }
}

/**
 * Without conditions on attributes there is an index for every question, and its order is that of the page. With them there are three ways, none of which is good for all: the leads
 * that meet the other filters, when they are few; the rows of `lead_attributes`, when these are few; and the leads in order, when many of them meet the conditions, as a page of them
 * is soon found then.
 */
async function listLeads(mysql: Mysql, leadKey: LeadKey, page: BoundedPlan): Promise<LeadPage> {
  const by = await waysTo(mysql, page)
  const rows = await by.rows()
  const last = rows.length > page.limit ? rows[page.limit - 1] : undefined
  // The end of the listing tells how many there are, unless it was reached by a cursor, or passed.
  const isEnd = last === undefined && page.after === undefined && (rows.length > 0 || page.offset === 0)
  const total = isEnd ? page.offset + rows.length : await by.count()
  const listed = rows.slice(0, page.limit)
  return {
    leads: await mysql.run('opening leads', (database) => openRows(database, leadKey, listed)),
    total: Math.min(total, page.totalMax),
    totalIsExact: total <= page.totalMax,
    nextCursor: last === undefined ? null : encodeCursor({ sort: page.sort, ...last }),
  }
}

/** How the leads of a page are found, and how they are counted. */
interface PageSource {
  /** In order, one more than the page has when there is a next one. */
  rows(): Promise<readonly LeadRow[]>
  /** One more than `totalMax` says that there are more. */
  count(): Promise<number>
}

async function waysTo(mysql: Mysql, page: BoundedPlan): Promise<PageSource> {
  const inOrder = leadsInOrder(mysql, page)
  if (page.conditions.length === 0 || (await areFew(mysql, page))) return inOrder
  const few = await fewestCandidates(mysql, page)
  const byCandidates = few === undefined ? undefined : leadsOfCandidates(mysql, page, few.rows)
  if (few !== undefined && byCandidates !== undefined && few.count <= page.candidatesMax) return byCandidates
  return {
    async rows() {
      try {
        return await leadsInOrder(mysql, page, listingInOrderMsMax).rows()
      } catch (error) {
        if (!isTooExpensive(error)) throw error
        // Many for each condition, and few for all of them together: reading all leads as they lie, and sorting what is found, takes a fraction of reading each by the index.
        return leadsInOrder(mysql, { ...page, ...page.bySorting }).rows()
      }
    },
    // Those that may meet a condition, and not all there are.
    count: (byCandidates ?? inOrder).count,
  }
}

/** The leads themselves, by whatever index fits. */
function leadsInOrder(mysql: Mysql, page: PagePlan, selectMsMax: number = listingMsMax): PageSource {
  const { filters, conditions, after, order, limit, offset } = page
  return {
    rows: () =>
      mysql.run(
        'listing leads',
        (database) =>
          database
            .select()
            .from(leads)
            .where(and(...filters, ...conditions, after))
            .orderBy(...order)
            .limit(limit + 1)
            .offset(offset),
        { selectMsMax },
      ),
    count: () =>
      mysql.run('counting leads', (database) => countLeads(database, and(...filters, ...conditions), page.totalMax), {
        selectMsMax,
      }),
  }
}

/** The leads that some rows of `lead_attributes` lead to; whether one is meant its own row says. */
function leadsOfCandidates(mysql: Mysql, page: PagePlan, rows: SQL): PageSource {
  const { filters, conditions, byCandidates, limit, offset, totalMax } = page
  const met = and(rows, ...filters, ...conditions)
  // From the rows to the leads, and not the other way round, as a server may think when it sees the order.
  const found = (database: Database) =>
    database
      .select({ leadId: sql<string>`STRAIGHT_JOIN ${leads.leadId}`.as('found_id') })
      .from(leadAttributes)
      .innerJoin(leads, eq(leads.leadId, leadAttributes.leadId))
  const bounded = { selectMsMax: listingMsMax }
  return {
    rows: () =>
      mysql.run(
        'listing leads',
        async (database) => {
          const ids = await found(database)
            .where(and(met, byCandidates.after))
            .orderBy(...byCandidates.order)
            .limit(limit + 1)
            .offset(offset)
          return readInOrder(
            database,
            ids.map(({ leadId }) => leadId),
          )
        },
        bounded,
      ),
    count: () =>
      mysql.run(
        'counting leads',
        async (database) => {
          const counted = found(database)
            .where(met)
            .limit(totalMax + 1)
            .as('counted')
          const [totals] = await database.select({ rows: count() }).from(counted)
          return totals?.rows ?? 0
        },
        bounded,
      ),
  }
}

async function readInOrder(database: Database, ids: readonly string[]): Promise<readonly LeadRow[]> {
  if (ids.length === 0) return []
  const rows = await database
    .select()
    .from(leads)
    .where(inArray(leads.leadId, [...ids]))
  const byId = new Map(rows.map((row) => [row.leadId, row]))
  return ids.flatMap((id) => byId.get(id) ?? [])
}

/** Whether no more leads meet the filters, attributes left aside, than may be looked at one by one. */
async function areFew(mysql: Mysql, { filters, candidatesMax }: BoundedPlan): Promise<boolean> {
  if (filters.length === 0) return false
  const within = await withinBound(mysql, (database) => countLeads(database, and(...filters), candidatesMax))
  return within !== undefined && within <= candidatesMax
}

/** The rows by which the fewest leads are to be looked at; undefined when no condition has rows. */
async function fewestCandidates(
  mysql: Mysql,
  { candidates, candidatesMax }: BoundedPlan,
): Promise<{ readonly rows: SQL; readonly count: number } | undefined> {
  let fewest: { rows: SQL; count: number } | undefined
  for (const rows of candidates) {
    const most = Math.min(candidatesMax, fewest?.count ?? candidatesMax)
    const found = await withinBound(mysql, (database) => countCandidates(database, rows, most))
    const counted = found ?? Number.POSITIVE_INFINITY
    if (fewest === undefined || counted < fewest.count) fewest = { rows, count: counted }
  }
  return fewest
}

/** Undefined when counting takes longer than a page in order may. */
async function withinBound(mysql: Mysql, work: (database: Database) => Promise<number>): Promise<number | undefined> {
  try {
    return await mysql.run('counting leads', work, { selectMsMax: listingInOrderMsMax })
  } catch (error) {
    if (isTooExpensive(error)) return undefined
    throw error
  }
}

function isTooExpensive(error: unknown): boolean {
  return error instanceof StorageError && error.code === 'QUERY_TOO_EXPENSIVE'
}

/** One more than `most` says that there are more. */
async function countLeads(database: Database, where: SQL | undefined, most: number): Promise<number> {
  const counted = database
    .select({ one: sql`1`.as('one') })
    .from(leads)
    .where(where)
    .limit(most + 1)
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
  /** Attributes left aside. */
  readonly filters: readonly SQL[]
  /** On attributes: each is found out of a lead's row. */
  readonly conditions: readonly SQL[]
  /** For each condition that has any, the rows of `lead_attributes` of all leads that may meet it. */
  readonly candidates: readonly SQL[]
  /** The same order, of a value that no index has. */
  readonly bySorting: PageOrder
  /** The same order of `lead_attributes`. */
  readonly byCandidates: PageOrder
  readonly offset: number
  readonly totalMax: number
}

interface BoundedPlan extends PagePlan {
  readonly candidatesMax: number
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
  const { attributes = [] } = query
  const conditions = whereAttributes(attributes)
  return {
    limit,
    sort,
    filters,
    conditions,
    candidates: attributes.flatMap((condition) => candidatesOf(condition, query) ?? []),
    ...orderBy(leads, sort, cursor),
    bySorting: orderBy({ ...leads, receivedAt: sql`(${leads.receivedAt} + INTERVAL 0 SECOND)` }, sort, cursor),
    byCandidates: orderBy(leadAttributes, sort, cursor),
    offset,
    totalMax: conditions.length > 0 ? totalWithConditionsMax : totalRowsMax,
  }
}

/** The cursor is compared without a row comparison, which neither server can use an index for in every version. */
function orderBy(of: PlaceColumns, sort: LeadSort, cursor: string | undefined): PageOrder {
  const [direction, before, until] = sort === '-received_at' ? [desc, sql`<`, sql`<=`] : [asc, sql`>`, sql`>=`]
  const { receivedAt, leadId } = of
  const order = [direction(receivedAt), direction(leadId)]
  if (cursor === undefined) return { after: undefined, order }
  const at = decodeCursor(cursor, sort)
  const time = sql.param(at.receivedAt, leads.receivedAt)
  const after = sql`${receivedAt} ${until} ${time} AND (${receivedAt} ${before} ${time} OR ${leadId} ${before} ${at.leadId})`
  return { after, order }
}

/** What a listing is ordered by. */
interface PlaceColumns {
  readonly receivedAt: SQLWrapper
  readonly leadId: SQLWrapper
}

function toDate(ms: number, name: string): Date {
  if (!isDateTimeMs(ms)) throw new StorageError('INVALID_QUERY', `${name} must be a time from 1970 to 9999`)
  return new Date(ms)
}
