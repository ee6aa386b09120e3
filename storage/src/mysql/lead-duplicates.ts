import { inArray, sql } from 'drizzle-orm'
import { type LeadPerson, leadIdentity } from '../sealing/index.ts'
import type { InsertNew } from './insert-new.ts'
import { duplicateRowsMax, lookupKeysMax, statementRowsMax } from './limits.ts'
import type { Database } from './mysql.ts'
import { leadFirsts, leads } from './schema.ts'

/** A lead that was just stored. */
export interface NewLead extends LeadPerson {
  readonly leadId: string
  readonly receivedAtMs: number
}

type First = Pick<NewLead, 'leadId' | 'receivedAtMs'>

/**
 * Finds which leads are duplicates, inside the transaction that has stored them: those whose person and source had a lead less than `windowMs` before. The answer has, by the
 * duplicate's id, the id of the first.
 *
 * The rows of `lead_firsts` are claimed in the order of their keys and held until the commit, so two transactions that store leads of one person decide one after the
 * other, and never wait for each other in a circle. A lead that was received before the first one that is known, because another partition was ahead, is its duplicate, too: whatever the
 * order, no two leads of a window are both first.
 */
export async function claimFirsts(
  { database, insertNew }: { readonly database: Database; readonly insertNew: InsertNew },
  stored: readonly NewLead[],
  windowMs: number,
): Promise<ReadonlyMap<string, string>> {
  const identities = stored.map(leadIdentity)
  const firsts = new Map<string, First>()
  for (const [index, lead] of stored.entries()) {
    const identity = identities[index] ?? ''
    if (!firsts.has(identity)) firsts.set(identity, lead)
  }
  const keys = [...firsts.keys()].sort()
  if (!(await claim(insertNew, keys, firsts))) await readFirsts(database, keys, firsts)

  const duplicates = new Map<string, string>()
  const replaced = new Set<string>()
  for (const [index, lead] of stored.entries()) {
    const identity = identities[index] ?? ''
    const first = firsts.get(identity)
    if (first === undefined || first.leadId === lead.leadId) continue
    if (lead.receivedAtMs < first.receivedAtMs + windowMs) {
      duplicates.set(lead.leadId, first.leadId)
    } else {
      firsts.set(identity, lead)
      replaced.add(identity)
    }
  }
  await replace(database, [...replaced], firsts)
  return duplicates
}

/** Flags leads that were just stored. */
export async function flagDuplicates(database: Database, duplicates: ReadonlyMap<string, string>): Promise<void> {
  const entries = [...duplicates]
  for (let at = 0; at < entries.length; at += duplicateRowsMax) {
    const chunk = entries.slice(at, at + duplicateRowsMax)
    const cases = chunk.map(([leadId, first]) => sql`WHEN ${leadId} THEN ${first}`)
    await database
      .update(leads)
      .set({ status: 'duplicate', duplicateOf: sql`CASE ${leads.leadId} ${sql.join(cases, sql` `)} END` })
      .where(
        inArray(
          leads.leadId,
          chunk.map(([leadId]) => leadId),
        ),
      )
  }
}

/** True when nobody had claimed any of them before. */
async function claim(insertNew: InsertNew, keys: readonly string[], firsts: ReadonlyMap<string, First>) {
  let allNew = true
  for (let at = 0; at < keys.length; at += statementRowsMax) {
    const rows = keys.slice(at, at + statementRowsMax).map((identity) => toRow(identity, firsts))
    if (!(await insertNew(leadFirsts, rows))) allNew = false
  }
  return allNew
}

function toRow(identity: string, firsts: ReadonlyMap<string, First>): typeof leadFirsts.$inferInsert {
  const { leadId, receivedAtMs } = firsts.get(identity) ?? { leadId: '', receivedAtMs: 0 }
  return { identity, leadId, receivedAt: new Date(receivedAtMs) }
}

/** Puts what the database has in place of what was claimed. */
async function readFirsts(database: Database, keys: readonly string[], firsts: Map<string, First>): Promise<void> {
  for (let at = 0; at < keys.length; at += lookupKeysMax) {
    const rows = await database
      .select()
      .from(leadFirsts)
      .where(inArray(leadFirsts.identity, keys.slice(at, at + lookupKeysMax)))
    for (const { identity, leadId, receivedAt } of rows) {
      firsts.set(identity, { leadId, receivedAtMs: receivedAt.getTime() })
    }
  }
}

/** Notes leads that came after their predecessor's window, and begin one of their own. */
async function replace(
  database: Database,
  identities: readonly string[],
  firsts: ReadonlyMap<string, First>,
): Promise<void> {
  for (let at = 0; at < identities.length; at += statementRowsMax) {
    const rows = identities.slice(at, at + statementRowsMax).map((identity) => toRow(identity, firsts))
    await database
      .insert(leadFirsts)
      .values(rows)
      .onDuplicateKeyUpdate({ set: { leadId: sql`VALUES(lead_id)`, receivedAt: sql`VALUES(received_at)` } })
  }
}
