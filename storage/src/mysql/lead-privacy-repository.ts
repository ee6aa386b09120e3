import { and, asc, eq, inArray } from 'drizzle-orm'
import { appendAudit, type StoredAuditEntry } from './audit-log.ts'
import { type LeadHistoryEntry, noteSteps, readHistory } from './lead-history.ts'
import { leadIdentity, normalisedEmail } from './lead-identity.ts'
import type { StoredLead } from './lead-repository.ts'
import { auditEntriesOfPersonMax, leadsOfPersonMax } from './limits.ts'
import type { Database, Mysql } from './mysql.ts'
import { apiRequestLogs, auditLog, leadFirsts, leads } from './schema.ts'

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
   * Takes everything that is personal out of a lead's row. The row stays as `erased` with its id, its times and who submitted it, so that a copy which is delivered again
   * finds its place taken. Undefined when there is no such lead. Erasing it again changes nothing.
   */
  erase(leadId: string, by: LeadPrivacyRequest): Promise<LeadErasure | undefined>
  /** Reads what there is about the person of a lead; undefined when there is no such lead. An erased one has nobody any more: it comes alone. */
  exportPerson(leadId: string, by: LeadPrivacyRequest): Promise<PersonExport | undefined>
}

/** The repository of erasure and export. */
export function createLeadPrivacyRepository(mysql: Mysql, now: () => Date = () => new Date()): LeadPrivacyRepository {
  return {
    erase: (leadId, { actor, requestId }) =>
      mysql.transaction('erasing a lead', async (database, insertNew) => {
        const [lead] = await database.select().from(leads).where(eq(leads.leadId, leadId)).for('update')
        if (lead === undefined) return undefined
        const at = now()
        if (lead.status === 'erased') return { erasedAt: (await erasedAt(database, leadId)) ?? at, isNew: false }
        await database.update(leads).set(nobody).where(eq(leads.leadId, leadId))
        await database
          .delete(leadFirsts)
          .where(and(eq(leadFirsts.identity, leadIdentity(lead)), eq(leadFirsts.leadId, leadId)))
        await noteSteps(insertNew, [{ leadId, at, status: 'erased', reason: null }])
        await appendAudit(database, { action: 'lead_erased', actor, subject: leadId, requestId }, at)
        return { erasedAt: at, isNew: true }
      }),

    exportPerson: (leadId, { actor, requestId }) =>
      mysql.transaction('exporting a lead', async (database) => {
        const [lead] = await database.select().from(leads).where(eq(leads.leadId, leadId)).limit(1)
        if (lead === undefined) return undefined
        const { others, isComplete } = lead.status === 'erased' ? nobodyElse : await leadsOfPerson(database, lead)
        const listed = [lead, ...others].slice(0, leadsOfPersonMax)
        const ids = listed.map((one) => one.leadId)
        const history = [...(await readHistory(database, ids)).values()].flat()
        const submissions = await submissionsOf(database, listed)
        const detail = `leads ${listed.length}`
        await appendAudit(database, { action: 'lead_exported', actor, subject: leadId, requestId, detail }, now())
        // Read after it was written: this export is something that is known about the person, too.
        const audit = await auditOf(database, ids)
        return { leads: listed, isComplete, history, audit, submissions }
      }),
  }
}

/** What an erased lead's columns hold. The hash of the content goes with it: whoever guesses the content could confirm it by the hash. */
const nobody = {
  status: 'erased',
  firstName: '',
  lastName: '',
  email: '',
  phone: null,
  dateOfBirth: null,
  address: null,
  city: null,
  postalCode: null,
  country: null,
  source: null,
  campaign: null,
  consent: null,
  attributes: '{}',
  contentHash: '',
  duplicateOf: null,
} as const satisfies Partial<typeof leads.$inferInsert>

async function erasedAt(database: Database, leadId: string): Promise<Date | undefined> {
  const steps = (await readHistory(database, [leadId])).get(leadId) ?? []
  return steps.find(({ status }) => status === 'erased')?.at
}

interface OthersOfPerson {
  readonly others: readonly StoredLead[]
  readonly isComplete: boolean
}

const nobodyElse: OthersOfPerson = { others: [], isComplete: true }

/** The index compares without regard to accents, which is too wide: what is another address by our own rule is another person's. */
async function leadsOfPerson(database: Database, lead: StoredLead): Promise<OthersOfPerson> {
  const rows = await database
    .select()
    .from(leads)
    .where(eq(leads.email, lead.email))
    .orderBy(asc(leads.receivedAt), asc(leads.leadId))
    .limit(leadsOfPersonMax + 1)
  const address = normalisedEmail(lead.email)
  const others = rows.filter(({ leadId, email }) => leadId !== lead.leadId && normalisedEmail(email) === address)
  // By what was read and not by what is left of it: behind other people's addresses there may be more of this one's.
  return { others, isComplete: rows.length <= leadsOfPersonMax }
}

async function submissionsOf(database: Database, of: readonly StoredLead[]): Promise<readonly SubmissionLog[]> {
  const requestIds = [...new Set(of.map(({ requestId }) => requestId))]
  return database.select().from(apiRequestLogs).where(inArray(apiRequestLogs.requestId, requestIds))
}

async function auditOf(database: Database, leadIds: readonly string[]): Promise<readonly StoredAuditEntry[]> {
  return database
    .select()
    .from(auditLog)
    .where(inArray(auditLog.subject, [...leadIds]))
    .orderBy(asc(auditLog.seq))
    .limit(auditEntriesOfPersonMax)
}
