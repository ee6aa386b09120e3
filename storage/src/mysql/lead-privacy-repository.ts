import { and, asc, between, eq, inArray, ne } from 'drizzle-orm'
import { type LeadKey, leadIdentity } from '../sealing/index.ts'
import { appendAudit, type StoredAuditEntry } from './audit-log.ts'
import type { InsertNew } from './insert-new.ts'
import { deleteAttributes } from './lead-attributes.ts'
import { type LeadHistoryEntry, noteSteps, readHistory } from './lead-history.ts'
import { destroyKeys } from './lead-keys.ts'
import { auditEntriesOfPersonMax, leadsOfPersonMax } from './limits.ts'
import type { Database, Mysql } from './mysql.ts'
import { apiRequestLogs, auditLog, leadCopies, leadFirsts, leads } from './schema.ts'
import { type LeadRow, nobody, openRows, placesOf, type StoredLead } from './stored-lead.ts'

/** Who asks, for the audit log. */
export interface LeadPrivacyRequest {
  /** The account. */
  readonly actor: string
  readonly requestId: string
}

/** What erasing a lead came to. */
export interface LeadErasure {
  readonly erasedAt: Date
  /** False when an earlier request has erased it. */
  readonly isNew: boolean
}

/** A request that a lead came with, as the API's log has it. */
export type SubmissionLog = typeof apiRequestLogs.$inferSelect

/** What MySQL knows about the person of a lead. */
export interface PersonExport {
  /** The lead that was asked for first, then the others with the same address, the oldest first. */
  readonly leads: readonly StoredLead[]
  /** False when the person has more leads than one export holds. */
  readonly isComplete: boolean
  readonly history: readonly LeadHistoryEntry[]
  /** Who has erased or exported these leads, and when. */
  readonly audit: readonly StoredAuditEntry[]
  readonly submissions: readonly SubmissionLog[]
}

/** The rights of the people whom leads are about. Every call is in the audit log, in the same transaction. */
export interface LeadPrivacyRepository {
  /**
   * Destroys the keys of a lead's records, so that nobody can open them any more, wherever they are, and takes everything that is personal out of its row. The row stays as
   * `erased` with its id, its times and who submitted it, so that a copy which is delivered again finds its place taken. A lead that was refused has no row, only keys. Undefined
   * when there is no such lead. Erasing it again changes nothing.
   */
  erase(leadId: string, by: LeadPrivacyRequest): Promise<LeadErasure | undefined>
  /** Reads what there is about the person of a lead; undefined when there is no such lead. An erased one has nobody any more: it comes alone. */
  exportPerson(leadId: string, by: LeadPrivacyRequest): Promise<PersonExport | undefined>
}

/** The repository of erasure and export. */
export function createLeadPrivacyRepository(
  mysql: Mysql,
  leadKey: LeadKey,
  now: () => Date = () => new Date(),
): LeadPrivacyRepository {
  return {
    erase: (leadId, { actor, requestId }) =>
      mysql.transaction('erasing a lead', async (database, insertNew) => {
        const [lead] = await database.select().from(leads).where(eq(leads.leadId, leadId)).for('update')
        const erased = await erasedAt(database, leadId)
        if (lead?.status === 'erased') return { erasedAt: erased ?? lead.storedAt, isNew: false }
        const copies = await database.select().from(leadCopies).where(eq(leadCopies.leadId, leadId))
        if (lead === undefined && copies.length === 0) return erased && { erasedAt: erased, isNew: false }
        const at = now()
        await forget({ database, insertNew }, leadKey, { leadId, lead, copies })
        await noteSteps(insertNew, [{ leadId, at, status: 'erased', reason: null }])
        await appendAudit(database, { action: 'lead_erased', actor, subject: leadId, requestId }, at)
        return { erasedAt: at, isNew: true }
      }),

    exportPerson: (leadId, { actor, requestId }) =>
      mysql.transaction('exporting a lead', async (database) => {
        const [lead] = await database.select().from(leads).where(eq(leads.leadId, leadId)).limit(1)
        if (lead === undefined) return undefined
        const others = await othersOfPerson(database, lead)
        const listed = await openRows(database, leadKey, [lead, ...others].slice(0, leadsOfPersonMax))
        const ids = listed.map((one) => one.leadId)
        const history = [...(await readHistory(database, ids)).values()].flat()
        const submissions = await submissionsOf(database, listed)
        const detail = `leads ${listed.length}`
        await appendAudit(database, { action: 'lead_exported', actor, subject: leadId, requestId, detail }, now())
        // Read after it was written: this export is something that is known about the person, too.
        const audit = await auditOf(database, ids)
        return { leads: listed, isComplete: others.length < leadsOfPersonMax, history, audit, submissions }
      }),
  }
}

/** Everything by which a lead's person could be known: the keys of all its records, and the row's columns. */
async function forget(
  { database, insertNew }: { readonly database: Database; readonly insertNew: InsertNew },
  leadKey: LeadKey,
  known: {
    readonly leadId: string
    readonly lead: LeadRow | undefined
    readonly copies: readonly (typeof leadCopies.$inferSelect)[]
  },
): Promise<void> {
  const { leadId, lead, copies } = known
  const own = lead === undefined ? [] : placesOf(lead)
  await destroyKeys({ database, insertNew }, leadKey, [...own, ...copies.flatMap(placesOf)])
  await database.delete(leadCopies).where(eq(leadCopies.leadId, leadId))
  if (lead === undefined) return
  await deleteAttributes(database, lead)
  await database.update(leads).set(nobody).where(eq(leads.leadId, leadId))
  const { emailHash, source } = lead
  if (emailHash === null) return
  const identity = leadIdentity({ emailHash, source })
  await database.delete(leadFirsts).where(and(eq(leadFirsts.identity, identity), eq(leadFirsts.leadId, leadId)))
}

async function erasedAt(database: Database, leadId: string): Promise<Date | undefined> {
  const steps = (await readHistory(database, [leadId])).get(leadId) ?? []
  return steps.find(({ status }) => status === 'erased')?.at
}

/** One more than an export holds says that there are more. */
async function othersOfPerson(database: Database, { leadId, emailHash }: LeadRow): Promise<readonly LeadRow[]> {
  if (emailHash === null) return []
  return database
    .select()
    .from(leads)
    .where(and(eq(leads.emailHash, emailHash), ne(leads.leadId, leadId)))
    .orderBy(asc(leads.receivedAt), asc(leads.leadId))
    .limit(leadsOfPersonMax)
}

/** A lead and its request are received at the same time; an hour is for clocks that are not alike. */
const requestSpreadMs = 3_600_000

async function submissionsOf(database: Database, of: readonly StoredLead[]): Promise<readonly SubmissionLog[]> {
  const requestIds = [...new Set(of.map(({ requestId }) => requestId))]
  const times = of.map(({ receivedAt }) => receivedAt.getTime())
  // The log is kept by days. Between these times are few of them, and in all of them each id would be looked for.
  const first = new Date(Math.min(...times) - requestSpreadMs)
  const last = new Date(Math.max(...times) + requestSpreadMs)
  return database
    .select()
    .from(apiRequestLogs)
    .where(and(inArray(apiRequestLogs.requestId, requestIds), between(apiRequestLogs.receivedAt, first, last)))
}

async function auditOf(database: Database, leadIds: readonly string[]): Promise<readonly StoredAuditEntry[]> {
  return database
    .select()
    .from(auditLog)
    .where(inArray(auditLog.subject, [...leadIds]))
    .orderBy(asc(auditLog.seq))
    .limit(auditEntriesOfPersonMax)
}
