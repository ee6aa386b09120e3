import type { Lead } from '@millrace/schemas'
import { inArray } from 'drizzle-orm'
import { claimFirsts, flagDuplicates } from './lead-duplicates.ts'
import { type LeadHistoryEntry, noteSteps } from './lead-history.ts'
import { isDateTimeMs, type StoredLead } from './lead-repository.ts'
import { duplicateWindowMsDefault, lookupKeysMax } from './limits.ts'
import type { Database, Mysql } from './mysql.ts'
import { leads } from './schema.ts'
import { type Placed, type SinkRange, type StoredRange, storeRange } from './sink-range.ts'

/** What the database made of a submitted lead. */
export const leadOutcomes = ['stored', 'duplicate', 'conflict', 'rejected', 'erased'] as const
export type LeadOutcomeName = (typeof leadOutcomes)[number]

/** The outcome of one record of a batch. */
export interface LeadDecision {
  readonly offset: number
  readonly lead: Lead
  readonly outcome: LeadOutcomeName
  /** Null for `stored` and `duplicate`; holds no content of the lead. */
  readonly reason: string | null
  /** Of a duplicate: the first lead of this person and source; the lead itself when it was sent again. */
  readonly duplicateOf: string | null
}

/** Leads on their way into MySQL. */
export interface LeadIntake {
  /**
   * Stores a range of submitted leads, their history and the partition's next offset in one transaction, and decides each lead's outcome, in order. May be
   * repeated: what an earlier attempt stored is left alone, and its outcomes are derived again, the same ones, unless a lead was erased since.
   * Throws retryable errors (`UNAVAILABLE`, `TIMED_OUT`, `WRITE_CONFLICT`, …): repeat the same range then; `OFFSET_GAP`.
   */
  storeBatch(range: SinkRange, submitted: readonly Placed<Lead>[]): Promise<readonly LeadDecision[]>
}

/** How leads are taken in. */
export interface LeadIntakeOptions {
  /** A lead of the same person and source within this time of the first is flagged as its duplicate. 0: none is. Default 30 days. */
  readonly duplicateWindowMs?: number
  readonly now?: () => Date
}

/** The way into `leads`. */
export function createLeadIntake(mysql: Mysql, options: LeadIntakeOptions = {}): LeadIntake {
  const { duplicateWindowMs = duplicateWindowMsDefault, now = () => new Date() } = options
  return {
    storeBatch(range, submitted) {
      return mysql.transaction('storing leads', async (database, insertNew) => {
        const at = now()
        let allNew = true
        const stored = await storeRange(database, range, submitted, {
          check: checkLead,
          // The first lead with an id stays: a later one is told what became of it by comparing.
          async insert(rows) {
            const place = { partition: range.partition, now: at }
            const areNew = await insertNew(
              leads,
              rows.map(({ offset, value }) => toRow(value, { offset, ...place })),
            )
            if (!areNew) allNew = false
          },
          now: at,
        })
        // Nothing to compare with when the database says that it had none of the ids.
        const compare = !allNew || stored.newFrom > range.firstOffset
        const places = compare ? await readPlaces(database, submitted) : undefined
        const fresh = takeFresh({ partition: range.partition, now: at }, submitted, { ...stored, places })
        const duplicates =
          duplicateWindowMs === 0
            ? none
            : await claimFirsts({ database, insertNew }, fresh.stored.map(toNewLead), duplicateWindowMs)
        await flagDuplicates(database, duplicates)
        await noteSteps(insertNew, stepsOf(fresh, duplicates, at))
        return decide(range.partition, submitted, { rejections: fresh.reasons, places, duplicates })
      })
    },
  }
}

const none: ReadonlyMap<string, string> = new Map()

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

/** What tells one stored lead from another: whose place it is, what it says, and what became of it. */
type LeadPlace = Pick<
  StoredLead,
  'leadId' | 'contentHash' | 'sourcePartition' | 'sourceOffset' | 'storedAt' | 'status' | 'duplicateOf'
>
type LeadPlaces = ReadonlyMap<string, LeadPlace>

async function readPlaces(database: Database, submitted: readonly Placed<Lead>[]): Promise<LeadPlaces> {
  const ids = [...new Set(submitted.map(({ value }) => value.lead_id))]
  const found = new Map<string, LeadPlace>()
  for (let at = 0; at < ids.length; at += lookupKeysMax) {
    const rows = await database
      .select({
        leadId: leads.leadId,
        contentHash: leads.contentHash,
        sourcePartition: leads.sourcePartition,
        sourceOffset: leads.sourceOffset,
        storedAt: leads.storedAt,
        status: leads.status,
        duplicateOf: leads.duplicateOf,
      })
      .from(leads)
      .where(inArray(leads.leadId, ids.slice(at, at + lookupKeysMax)))
    for (const row of rows) found.set(row.leadId, row)
  }
  return found
}

/** What this transaction did with the records that no earlier one had. */
interface FreshLeads {
  readonly stored: readonly Lead[]
  readonly rejected: readonly { readonly lead: Lead; readonly reason: string }[]
  /** Of every rejection of the range, by its offset. */
  readonly reasons: ReadonlyMap<number, string>
}

function takeFresh(
  { partition, now }: { readonly partition: number; readonly now: Date },
  submitted: readonly Placed<Lead>[],
  { newFrom, rejections, places }: StoredRange & { readonly places: LeadPlaces | undefined },
): FreshLeads {
  const reasons = new Map(rejections.map(({ offset, reason }) => [offset, reason]))
  const stored: Lead[] = []
  const rejected: { lead: Lead; reason: string }[] = []
  for (const { offset, value: lead } of submitted) {
    if (offset < newFrom) continue
    const reason = reasons.get(offset)
    if (reason !== undefined) {
      rejected.push({ lead, reason })
      continue
    }
    const place = places?.get(lead.lead_id)
    // A topic that is read from its start again finds its leads at their places, stored before.
    const isNew = isAt(place, partition, offset) && place?.storedAt.getTime() === now.getTime()
    if (places === undefined || isNew) stored.push(lead)
  }
  return { stored, rejected, reasons }
}

function isAt(place: LeadPlace | undefined, partition: number, offset: number): boolean {
  return place !== undefined && place.sourcePartition === partition && place.sourceOffset === offset
}

function toNewLead({ lead_id: leadId, email, source, received_at: receivedAtMs }: Lead) {
  return { leadId, email, source, receivedAtMs }
}

function stepsOf(
  { stored, rejected }: FreshLeads,
  duplicates: ReadonlyMap<string, string>,
  at: Date,
): readonly LeadHistoryEntry[] {
  const steps: LeadHistoryEntry[] = []
  for (const { lead_id: leadId, received_at } of stored) {
    steps.push({ leadId, at: new Date(received_at), status: 'received', reason: null })
    steps.push({ leadId, at, status: 'stored', reason: null })
    const first = duplicates.get(leadId)
    if (first !== undefined) steps.push({ leadId, at, status: 'duplicate', reason: `duplicate of ${first}` })
  }
  for (const { lead, reason } of rejected) {
    const { lead_id: leadId, received_at } = lead
    // Without an id and a time there is nothing to note it under: the dead letter has the record.
    if (checkLead(lead) !== undefined) continue
    steps.push({ leadId, at: new Date(received_at), status: 'received', reason: null })
    steps.push({ leadId, at, status: 'rejected', reason })
  }
  return steps
}

/** One rule for a first attempt and for a repeated one, so that both give the same outcomes. */
function decide(
  partition: number,
  submitted: readonly Placed<Lead>[],
  known: {
    readonly rejections: ReadonlyMap<number, string>
    /** Undefined when every lead of the range was new. */
    readonly places: LeadPlaces | undefined
    readonly duplicates: ReadonlyMap<string, string>
  },
): readonly LeadDecision[] {
  const { rejections, places, duplicates } = known
  return submitted.map(({ offset, value: lead }) => {
    const rejection = rejections.get(offset)
    if (rejection !== undefined) return { offset, lead, outcome: 'rejected', reason: rejection, duplicateOf: null }
    const place = places?.get(lead.lead_id)
    // Nothing of an erased lead may come back, nor go to the dead letters: what is redelivered of it ends here.
    if (places !== undefined && (place === undefined || place.status === 'erased')) {
      return { offset, lead, outcome: 'erased', reason: 'the lead was erased', duplicateOf: null }
    }
    const first = duplicates.get(lead.lead_id) ?? place?.duplicateOf ?? null
    if (place === undefined || isAt(place, partition, offset)) {
      return { offset, lead, outcome: first === null ? 'stored' : 'duplicate', reason: null, duplicateOf: first }
    }
    if (place.contentHash === lead.content_hash) {
      return { offset, lead, outcome: 'duplicate', reason: null, duplicateOf: first ?? place.leadId }
    }
    const reason = 'the lead_id belongs to a lead with other content'
    return { offset, lead, outcome: 'conflict', reason, duplicateOf: null }
  })
}
