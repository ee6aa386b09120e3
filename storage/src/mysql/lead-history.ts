import { eq, inArray, type SQL } from 'drizzle-orm'
import type { AnyMySqlColumn } from 'drizzle-orm/mysql-core'
import type { InsertNew } from './insert-new.ts'
import { lookupKeysMax, statementRowsMax } from './limits.ts'
import type { Database } from './mysql.ts'
import { leadHistory, leads } from './schema.ts'

/** What a lead goes through, in the order in which one moment may hold several. */
export const leadSteps = ['received', 'stored', 'duplicate', 'rejected', 'erased'] as const
export type LeadStep = (typeof leadSteps)[number]

/** One step of a lead's life. */
export interface LeadHistoryEntry {
  readonly leadId: string
  readonly at: Date
  readonly status: LeadStep
  /** Holds no content of the lead. */
  readonly reason: string | null
}

/**
 * Notes steps inside the caller's transaction: those that no row of `leads` tells. That a lead was received and stored its row says, in the same transaction and for good; two rows more
 * of every lead were a third of what the database had to do for it. Noting one again changes nothing.
 */
export async function noteSteps(insertNew: InsertNew, entries: readonly LeadHistoryEntry[]): Promise<void> {
  for (let at = 0; at < entries.length; at += historyRowsMax) {
    await insertNew(leadHistory, entries.slice(at, at + historyRowsMax))
  }
}

/** The rows are a tenth of a lead's. */
const historyRowsMax = 4 * statementRowsMax

/** The steps of leads, each lead's in order: those that were noted, and those that its row tells. */
export async function readHistory(
  database: Database,
  leadIds: readonly string[],
): Promise<ReadonlyMap<string, readonly LeadHistoryEntry[]>> {
  const found = new Map<string, LeadHistoryEntry[]>()
  for (let at = 0; at < leadIds.length; at += lookupKeysMax) {
    const ids = leadIds.slice(at, at + lookupKeysMax)
    for (const entry of await stepsOfRows(database, ids)) add(found, entry)
    for (const entry of await notedSteps(database, ids)) add(found, entry)
  }
  for (const entries of found.values()) entries.sort(inOrder)
  return found
}

/** An earlier version has noted these steps, too. */
async function stepsOfRows(database: Database, ids: readonly string[]): Promise<readonly LeadHistoryEntry[]> {
  const rows = await database
    .select({ leadId: leads.leadId, receivedAt: leads.receivedAt, storedAt: leads.storedAt })
    .from(leads)
    .where(among(leads.leadId, ids))
  return rows.flatMap(({ leadId, receivedAt, storedAt }) => [
    { leadId, at: receivedAt, status: 'received', reason: null },
    { leadId, at: storedAt, status: 'stored', reason: null },
  ])
}

async function notedSteps(database: Database, ids: readonly string[]): Promise<readonly LeadHistoryEntry[]> {
  const rows = await database.select().from(leadHistory).where(among(leadHistory.leadId, ids))
  return rows.flatMap(({ status, ...row }) => {
    const step = leadSteps.find((known) => known === status)
    return step === undefined ? [] : [{ ...row, status: step }]
  })
}

/** For one id the plain comparison, which both servers plan at once. */
function among(column: AnyMySqlColumn, ids: readonly string[]): SQL {
  const [one] = ids
  return ids.length === 1 && one !== undefined ? eq(column, one) : inArray(column, [...ids])
}

function add(found: Map<string, LeadHistoryEntry[]>, entry: LeadHistoryEntry): void {
  const entries = found.get(entry.leadId) ?? []
  found.set(entry.leadId, entries)
  const isKnown = entries.some(({ status, at }) => status === entry.status && at.getTime() === entry.at.getTime())
  if (!isKnown) entries.push(entry)
}

function inOrder(a: LeadHistoryEntry, b: LeadHistoryEntry): number {
  return a.at.getTime() - b.at.getTime() || leadSteps.indexOf(a.status) - leadSteps.indexOf(b.status)
}
