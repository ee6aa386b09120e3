import { asc, eq, inArray } from 'drizzle-orm'
import type { InsertNew } from './insert-new.ts'
import { lookupKeysMax, statementRowsMax } from './limits.ts'
import type { Database } from './mysql.ts'
import { leadHistory } from './schema.ts'

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

/** Notes steps inside the caller's transaction. Noting one again changes nothing. */
export async function noteSteps(insertNew: InsertNew, entries: readonly LeadHistoryEntry[]): Promise<void> {
  for (let at = 0; at < entries.length; at += historyRowsMax) {
    await insertNew(leadHistory, entries.slice(at, at + historyRowsMax))
  }
}

/** The rows are a tenth of a lead's. */
const historyRowsMax = 4 * statementRowsMax

/** The steps of leads, each lead's in order. */
export async function readHistory(
  database: Database,
  leadIds: readonly string[],
): Promise<ReadonlyMap<string, readonly LeadHistoryEntry[]>> {
  const found = new Map<string, LeadHistoryEntry[]>()
  for (let at = 0; at < leadIds.length; at += lookupKeysMax) {
    const ids = leadIds.slice(at, at + lookupKeysMax)
    const [one] = ids
    const rows = await database
      .select()
      .from(leadHistory)
      .where(ids.length === 1 && one !== undefined ? eq(leadHistory.leadId, one) : inArray(leadHistory.leadId, ids))
      .orderBy(asc(leadHistory.leadId), asc(leadHistory.at))
    for (const { status, ...row } of rows) {
      const step = leadSteps.find((known) => known === status)
      if (step === undefined) continue
      const entries = found.get(row.leadId) ?? []
      entries.push({ ...row, status: step })
      found.set(row.leadId, entries)
    }
  }
  for (const entries of found.values()) entries.sort(inOrder)
  return found
}

function inOrder(a: LeadHistoryEntry, b: LeadHistoryEntry): number {
  return a.at.getTime() - b.at.getTime() || leadSteps.indexOf(a.status) - leadSteps.indexOf(b.status)
}
