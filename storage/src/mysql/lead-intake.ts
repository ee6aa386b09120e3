import type { Lead } from '@millrace/schemas'
import { inArray } from 'drizzle-orm'
import { type LeadKey, LeafSource } from '../sealing/index.ts'
import type { InsertNew } from './insert-new.ts'
import { insertAttributes } from './lead-attributes.ts'
import { claimFirsts, flagDuplicates } from './lead-duplicates.ts'
import { type LeadHistoryEntry, noteSteps } from './lead-history.ts'
import { createLeadTreeStore, destroyKeys } from './lead-keys.ts'
import { isDateTimeMs } from './lead-repository.ts'
import { duplicateWindowMsDefault, lookupKeysMax, statementRowsMax } from './limits.ts'
import type { Database, Mysql } from './mysql.ts'
import { type OpenedLead, openRecords, sealEarlier, sealedPlaceOf } from './opened-lead.ts'
import { leadCopies, leads } from './schema.ts'
import { type Placed, type SinkRange, type StoredRange, storeRange } from './sink-range.ts'
import type { LeadRow } from './stored-lead.ts'

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
   * Stores a range of submitted leads, their history and the partition's next offset in one transaction, and decides each lead's outcome, in order. They stay sealed;
   * records of a version that did not seal are sealed here. May be repeated: what an earlier attempt stored is left alone, and its outcomes are derived again, the same ones, unless a lead was erased since.
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
export function createLeadIntake(mysql: Mysql, leadKey: LeadKey, options: LeadIntakeOptions = {}): LeadIntake {
  const { duplicateWindowMs = duplicateWindowMsDefault, now = () => new Date() } = options
  const leaves = new LeafSource(createLeadTreeStore(mysql, leadKey), leadKey)
  return {
    async storeBatch(range, submitted) {
      const sealed = await sealEarlier(submitted, { leadKey, leaves })
      // Beside the transaction's begin: nothing in it would hold the keys. Of a lead that is erased after they were read the row or the copies are there, and decide.
      const opening = mysql.run('reading keys of leads', (database) => openRecords(database, leadKey, sealed))
      opening.catch(() => {})
      return mysql.transaction('storing leads', async (database, insertNew) => {
        const at = now()
        const opened = await opening
        // What was erased is not stored again, and nothing is left of it to be refused.
        const living = opened.filter(({ value }) => !value.isErased)
        let allNew = true
        const stored = await storeRange(database, range, living, {
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
        const fresh = takeFresh({ partition: range.partition, now: at }, living, { ...stored, places })
        const duplicates =
          duplicateWindowMs === 0
            ? none
            : await claimFirsts({ database, insertNew }, fresh.stored.map(toNewLead), duplicateWindowMs)
        await flagDuplicates(database, duplicates)
        await noteSteps(insertNew, stepsOf(fresh, duplicates, at))
        await insertAttributes(insertNew, fresh.stored.map(toAttributed))
        const decisions = decide(range.partition, opened, { rejections: fresh.reasons, places, duplicates })
        await keepTrackOfKeys({ database, insertNew }, leadKey, decisions.flatMap(keyFateOf(range.partition, places)))
        return decisions
      })
    },
  }
}

const none: ReadonlyMap<string, string> = new Map()

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** What the database would not refuse by itself, or not with a good reason. */
function checkLead({ lead, fault }: OpenedLead): string | undefined {
  if (!uuidPattern.test(lead.lead_id)) return 'lead_id: value is not a UUID'
  if (!isDateTimeMs(lead.received_at)) return 'received_at: value out of range'
  return fault
}

function toRow(
  { lead, index }: OpenedLead,
  place: { offset: number; partition: number; now: Date },
): typeof leads.$inferInsert {
  return {
    leadId: lead.lead_id,
    source: lead.source,
    campaign: lead.campaign,
    consent: lead.consent,
    attributes: index.attributes,
    status: 'stored',
    contentHash: index.contentHash,
    submittedBy: lead.submitted_by,
    requestId: lead.request_id,
    receivedAt: new Date(lead.received_at),
    storedAt: place.now,
    sourcePartition: place.partition,
    sourceOffset: place.offset,
    keyTree: lead.key_tree,
    keyLeaf: lead.key_leaf,
    emailHash: index.emailHash,
    phoneHash: index.phoneHash,
    sealed: lead.sealed,
  }
}

/** What tells one stored lead from another: whose place it is, what it says, and what became of it. */
type LeadPlace = Pick<
  LeadRow,
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
  readonly stored: readonly OpenedLead[]
  readonly rejected: readonly { readonly opened: OpenedLead; readonly reason: string }[]
  /** Of every rejection of the range, by its offset. */
  readonly reasons: ReadonlyMap<number, string>
}

function takeFresh(
  { partition, now }: { readonly partition: number; readonly now: Date },
  submitted: readonly Placed<OpenedLead>[],
  { newFrom, rejections, places }: StoredRange & { readonly places: LeadPlaces | undefined },
): FreshLeads {
  const reasons = new Map(rejections.map(({ offset, reason }) => [offset, reason]))
  const stored: OpenedLead[] = []
  const rejected: { opened: OpenedLead; reason: string }[] = []
  for (const { offset, value: opened } of submitted) {
    if (offset < newFrom) continue
    const reason = reasons.get(offset)
    if (reason !== undefined) {
      rejected.push({ opened, reason })
      continue
    }
    const place = places?.get(opened.lead.lead_id)
    // A topic that is read from its start again finds its leads at their places, stored before.
    const isNew = isAt(place, partition, offset) && place?.storedAt.getTime() === now.getTime()
    if (places === undefined || isNew) stored.push(opened)
  }
  return { stored, rejected, reasons }
}

function isAt(place: LeadPlace | undefined, partition: number, offset: number): boolean {
  return place !== undefined && place.sourcePartition === partition && place.sourceOffset === offset
}

function toNewLead({ lead, index: { emailHash } }: OpenedLead) {
  return { leadId: lead.lead_id, emailHash, source: lead.source, receivedAtMs: lead.received_at }
}

function toAttributed({ lead, index }: OpenedLead) {
  const { lead_id: leadId, received_at, source } = lead
  return { leadId, receivedAt: new Date(received_at), source, attributes: index.attributes }
}

/** What the rows do not tell. Of a duplicate the step is noted, as its row forgets it when it is erased. */
function stepsOf(
  { stored, rejected }: FreshLeads,
  duplicates: ReadonlyMap<string, string>,
  at: Date,
): readonly LeadHistoryEntry[] {
  const steps: LeadHistoryEntry[] = []
  for (const { lead } of stored) {
    const leadId = lead.lead_id
    const first = duplicates.get(leadId)
    if (first !== undefined) steps.push({ leadId, at, status: 'duplicate', reason: `duplicate of ${first}` })
  }
  for (const { opened, reason } of rejected) {
    const { lead_id: leadId, received_at } = opened.lead
    // Without an id and a time there is nothing to note it under: the dead letter has the record.
    if (checkLead({ ...opened, fault: undefined }) !== undefined) continue
    steps.push({ leadId, at: new Date(received_at), status: 'received', reason: null })
    steps.push({ leadId, at, status: 'rejected', reason })
  }
  return steps
}

const erasedReason = 'the lead was erased'

/** One rule for a first attempt and for a repeated one, so that both give the same outcomes. */
function decide(
  partition: number,
  submitted: readonly Placed<OpenedLead>[],
  known: {
    readonly rejections: ReadonlyMap<number, string>
    /** Undefined when every lead of the range was new. */
    readonly places: LeadPlaces | undefined
    readonly duplicates: ReadonlyMap<string, string>
  },
): readonly LeadDecision[] {
  const { rejections, places, duplicates } = known
  return submitted.map(({ offset, value: { lead, index, isErased } }) => {
    if (isErased) return { offset, lead, outcome: 'erased', reason: erasedReason, duplicateOf: null }
    const rejection = rejections.get(offset)
    if (rejection !== undefined) return { offset, lead, outcome: 'rejected', reason: rejection, duplicateOf: null }
    const place = places?.get(lead.lead_id)
    // Nothing of an erased lead may come back, nor go to the dead letters: what is redelivered of it ends here.
    if (places !== undefined && (place === undefined || place.status === 'erased')) {
      return { offset, lead, outcome: 'erased', reason: erasedReason, duplicateOf: null }
    }
    const first = duplicates.get(lead.lead_id) ?? place?.duplicateOf ?? null
    if (place === undefined || isAt(place, partition, offset)) {
      return { offset, lead, outcome: first === null ? 'stored' : 'duplicate', reason: null, duplicateOf: first }
    }
    if (place.contentHash === index.contentHash) {
      return { offset, lead, outcome: 'duplicate', reason: null, duplicateOf: first ?? place.leadId }
    }
    const reason = 'the lead_id belongs to a lead with other content'
    return { offset, lead, outcome: 'conflict', reason, duplicateOf: null }
  })
}

/** What must become of the key of a record that is not the stored one. */
interface KeyFate {
  readonly lead: Lead
  readonly fate: 'remember' | 'destroy'
}

function keyFateOf(partition: number, places: LeadPlaces | undefined): (decision: LeadDecision) => readonly KeyFate[] {
  return ({ offset, lead, outcome }) => {
    if (outcome === 'erased') return [{ lead, fate: 'destroy' }]
    const isStored = places === undefined || isAt(places.get(lead.lead_id), partition, offset)
    return isStored && outcome !== 'rejected' ? [] : [{ lead, fate: 'remember' }]
  }
}

/**
 * Every record of a lead has a key of its own: when the lead is erased, those of its copies and of what was refused of it must go, too. Of a lead that is erased already the key of
 * a new copy goes at once.
 */
async function keepTrackOfKeys(
  to: { readonly database: Database; readonly insertNew: InsertNew },
  leadKey: LeadKey,
  fates: readonly KeyFate[],
): Promise<void> {
  const copies: (typeof leadCopies.$inferInsert)[] = []
  const dead: Lead[] = []
  for (const { lead, fate } of fates) {
    const place = sealedPlaceOf(lead)
    if (place === undefined || !uuidPattern.test(lead.lead_id)) continue
    if (fate === 'destroy') dead.push(lead)
    else copies.push({ leadId: lead.lead_id, keyTree: place.tree, keyLeaf: place.leaf })
  }
  for (let at = 0; at < copies.length; at += statementRowsMax) {
    await to.insertNew(leadCopies, copies.slice(at, at + statementRowsMax))
  }
  if (dead.length > 0)
    await destroyKeys(
      to,
      leadKey,
      dead.flatMap((lead) => sealedPlaceOf(lead) ?? []),
    )
}
