import type { Lead } from '@millrace/schemas'
import { inArray } from 'drizzle-orm'
import { isDateTimeMs, type StoredLead } from './lead-repository.ts'
import { lookupKeysMax } from './limits.ts'
import type { Database, Mysql } from './mysql.ts'
import { leads } from './schema.ts'
import { type Placed, type Rejection, type SinkRange, storeRange } from './sink-range.ts'

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

/** Leads on their way into MySQL. */
export interface LeadIntake {
  /**
   * Stores a range of submitted leads and the partition's next offset in one transaction, and decides each lead's outcome, in order. May be
   * repeated: what an earlier attempt stored is left alone, and its outcomes are derived again, the same ones.
   * Throws retryable errors (`UNAVAILABLE`, `TIMED_OUT`, `WRITE_CONFLICT`, …): repeat the same range then; `OFFSET_GAP`.
   */
  storeBatch(range: SinkRange, submitted: readonly Placed<Lead>[]): Promise<readonly LeadDecision[]>
}

/** The way into `leads`. */
export function createLeadIntake(mysql: Mysql, now: () => Date = () => new Date()): LeadIntake {
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
  }
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** What the database would not refuse by itself, or not with a good reason. */
function checkLead(lead: Lead): string | undefined {
  if (!uuidPattern.test(lead.lead_id)) return 'lead_id: value is not a UUID'
  if (!isDateTimeMs(lead.received_at)) return 'received_at: value out of range'
  return undefined
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
