import type { Lead } from '@millrace/schemas'
import { and, asc, count, desc, eq, gte, inArray, lt, type SQL, sql } from 'drizzle-orm'
import { StorageError } from '../errors.ts'
import { decodeCursor, encodeCursor } from './lead-cursor.ts'
import { dateTimeMaxMs, lookupKeysMax, pageDepthRowsMax, pageRowsMax, totalRowsMax } from './limits.ts'
import type { Database, Mysql } from './mysql.ts'
import { leads } from './schema.ts'
import { type Placed, type Rejection, type SinkRange, storeRange } from './sink-range.ts'

/** A lead as MySQL keeps it. */
export type StoredLead = typeof leads.$inferSelect

/** States of a stored lead. */
export const leadStatuses = ['stored'] as const
export type LeadStatus = (typeof leadStatuses)[number]

/** What the database made of a submitted lead. */
export const leadOutcomes = ['stored', 'duplicate', 'conflict', 'rejected'] as const
export type LeadOutcomeName = (typeof leadOutcomes)[number]

/** The outcome of one record of a batch. */
export interface LeadDecision {
  readonly offset: number
  readonly lead: Lead
  readonly outcome: LeadOutcomeName
  /** Null for `stored` and `duplicate`; holds no content of the lead. */
  readonly reason: string | null
}

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
  /** Compared without regard to case. */
  readonly email?: string | undefined
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
  /** Leads that match, counted up to `totalRowsMax`. */
  readonly total: number
  readonly totalIsExact: boolean
  /** Where the next page begins; null on the last one. */
  readonly nextCursor: string | null
}

/** Leads in MySQL. */
export interface LeadRepository {
  /**
   * Stores a range of submitted leads and the partition's next offset in one transaction, and decides each lead's outcome, in order. May be
   * repeated: what an earlier attempt stored is left alone, and its outcomes are derived again, the same ones.
   * Throws retryable errors (`UNAVAILABLE`, `TIMED_OUT`, `WRITE_CONFLICT`, …): repeat the same range then; `OFFSET_GAP`.
   */
  storeBatch(range: SinkRange, submitted: readonly Placed<Lead>[]): Promise<readonly LeadDecision[]>
  byId(leadId: string): Promise<StoredLead | undefined>
  /** Throws `INVALID_QUERY` for a limit, page or cursor that is out of bounds. */
  list(query: LeadQuery): Promise<LeadPage>
}

/** The repository of `leads`. */
export function createLeadRepository(mysql: Mysql, now: () => Date = () => new Date()): LeadRepository {
  return {
    storeBatch(range, submitted) {
      return mysql.transaction('storing leads', async (database, insertNew) => {
        const place = { partition: range.partition, now: now() }
        const rejections = await storeRange(database, range, submitted, {
          check: checkLead,
          // The first lead with an id stays: a later one is told what became of it by comparing.
          insert: (rows) =>
            insertNew(
              leads,
              rows.map(({ offset, value }) => toRow(value, { offset, ...place })),
            ),
          now: place.now,
        })
        const stored = await readIdentities(database, submitted)
        return decide(range.partition, submitted, { rejections, stored })
      })
    },

    async byId(leadId) {
      const [row] = await mysql.run('reading a lead', (database) =>
        database.select().from(leads).where(eq(leads.leadId, leadId)).limit(1),
      )
      return row
    },

    list(query) {
      const page = planPage(query)
      return mysql.run('listing leads', async (database) => {
        const rows = await database
          .select()
          .from(leads)
          .where(and(...page.filters, page.after))
          .orderBy(...page.order)
          .limit(query.limit + 1)
          .offset(page.offset)
        const counted = database
          .select({ one: sql`1` })
          .from(leads)
          .where(and(...page.filters))
          .limit(totalRowsMax + 1)
          .as('counted')
        const [totals] = await database.select({ rows: count() }).from(counted)
        const total = totals?.rows ?? 0
        const last = rows.length > query.limit ? rows[query.limit - 1] : undefined
        return {
          leads: rows.slice(0, query.limit),
          total: Math.min(total, totalRowsMax),
          totalIsExact: total <= totalRowsMax,
          nextCursor: last === undefined ? null : encodeCursor({ sort: page.sort, ...last }),
        }
      })
    },
  }
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** What the database would not refuse by itself, or not with a good reason. */
function checkLead(lead: Lead): string | undefined {
  if (!uuidPattern.test(lead.lead_id)) return 'lead_id: value is not a UUID'
  if (!isDateTimeMs(lead.received_at)) return 'received_at: value out of range'
  return undefined
}

/** True for milliseconds that a DATETIME column can hold and that are not before 1970. */
export function isDateTimeMs(ms: number): boolean {
  return Number.isInteger(ms) && ms >= 0 && ms <= dateTimeMaxMs
}

function toRow(lead: Lead, place: { offset: number; partition: number; now: Date }): typeof leads.$inferInsert {
  return {
    leadId: lead.lead_id,
    firstName: lead.first_name,
    lastName: lead.last_name,
    email: lead.email,
    phone: lead.phone,
    dateOfBirth: lead.date_of_birth,
    address: lead.address,
    city: lead.city,
    postalCode: lead.postal_code,
    country: lead.country,
    source: lead.source,
    campaign: lead.campaign,
    consent: lead.consent,
    attributes: lead.attributes,
    status: 'stored',
    contentHash: lead.content_hash,
    submittedBy: lead.submitted_by,
    requestId: lead.request_id,
    receivedAt: new Date(lead.received_at),
    storedAt: place.now,
    sourcePartition: place.partition,
    sourceOffset: place.offset,
  }
}

/** What tells one stored lead from another: whose place it is, and what it says. */
type LeadIdentity = Pick<StoredLead, 'leadId' | 'contentHash' | 'sourcePartition' | 'sourceOffset'>

async function readIdentities(
  database: Database,
  submitted: readonly Placed<Lead>[],
): Promise<ReadonlyMap<string, LeadIdentity>> {
  const ids = [...new Set(submitted.map(({ value }) => value.lead_id))]
  const found = new Map<string, LeadIdentity>()
  for (let at = 0; at < ids.length; at += lookupKeysMax) {
    const rows = await database
      .select({
        leadId: leads.leadId,
        contentHash: leads.contentHash,
        sourcePartition: leads.sourcePartition,
        sourceOffset: leads.sourceOffset,
      })
      .from(leads)
      .where(inArray(leads.leadId, ids.slice(at, at + lookupKeysMax)))
    for (const row of rows) found.set(row.leadId, row)
  }
  return found
}

/** One rule for a first attempt and for a repeated one, so that both give the same outcomes. */
function decide(
  partition: number,
  submitted: readonly Placed<Lead>[],
  known: { readonly rejections: readonly Rejection[]; readonly stored: ReadonlyMap<string, LeadIdentity> },
): readonly LeadDecision[] {
  const reasons = new Map(known.rejections.map(({ offset, reason }) => [offset, reason]))
  return submitted.map(({ offset, value: lead }) => {
    const rejection = reasons.get(offset)
    if (rejection !== undefined) return { offset, lead, outcome: 'rejected', reason: rejection }
    const row = known.stored.get(lead.lead_id)
    if (row === undefined) return { offset, lead, outcome: 'rejected', reason: 'the lead was erased' }
    if (row.sourcePartition === partition && row.sourceOffset === offset) {
      return { offset, lead, outcome: 'stored', reason: null }
    }
    if (row.contentHash === lead.content_hash) return { offset, lead, outcome: 'duplicate', reason: null }
    return { offset, lead, outcome: 'conflict', reason: 'the lead_id belongs to a lead with other content' }
  })
}

interface PagePlan {
  readonly sort: LeadSort
  readonly filters: readonly SQL[]
  readonly after: SQL | undefined
  readonly order: readonly SQL[]
  readonly offset: number
}

function planPage(query: LeadQuery): PagePlan {
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
  if (query.email !== undefined) filters.push(eq(leads.email, query.email))
  if (query.fromMs !== undefined) filters.push(gte(leads.receivedAt, toDate(query.fromMs, 'from')))
  if (query.toMs !== undefined) filters.push(lt(leads.receivedAt, toDate(query.toMs, 'to')))
  return {
    sort,
    filters,
    after: cursor === undefined ? undefined : afterCursor(cursor, sort),
    order:
      sort === '-received_at'
        ? [desc(leads.receivedAt), desc(leads.leadId)]
        : [asc(leads.receivedAt), asc(leads.leadId)],
    offset,
  }
}

/** Written without a row comparison, which neither server can use an index for in every version. */
function afterCursor(text: string, sort: LeadSort): SQL {
  const { receivedAt, leadId } = decodeCursor(text, sort)
  return sort === '-received_at'
    ? sql`${leads.receivedAt} <= ${receivedAt} AND (${leads.receivedAt} < ${receivedAt} OR ${leads.leadId} < ${leadId})`
    : sql`${leads.receivedAt} >= ${receivedAt} AND (${leads.receivedAt} > ${receivedAt} OR ${leads.leadId} > ${leadId})`
}

function toDate(ms: number, name: string): Date {
  if (!isDateTimeMs(ms)) throw new StorageError('INVALID_QUERY', `${name} must be a time from 1970 to 9999`)
  return new Date(ms)
}
