import { and, asc, gt, ne, sql } from 'drizzle-orm'
import { attributeRows } from './lead-attributes.ts'
import { attributedLeadsMax, statementRowsMax } from './limits.ts'
import type { Database } from './mysql.ts'
import { leadAttributes, leads } from './schema.ts'

/**
 * Makes the rows of `lead_attributes` for the leads that an earlier version has stored, some at a time, each time in a transaction that holds the leads, so that none is erased meanwhile. Broken off, it
 * begins again, and passes over what is there.
 */
export async function indexLeadAttributes(database: Database): Promise<void> {
  let after = ''
  for (;;) {
    await database.execute(sql`START TRANSACTION`)
    const page = await database
      .select({
        leadId: leads.leadId,
        receivedAt: leads.receivedAt,
        source: leads.source,
        attributes: leads.attributes,
      })
      .from(leads)
      .where(and(gt(leads.leadId, after), ne(leads.status, 'erased')))
      .orderBy(asc(leads.leadId))
      .limit(attributedLeadsMax)
      .for('update')
    const rows = page.flatMap(attributeRows)
    for (let at = 0; at < rows.length; at += statementRowsMax) {
      await database
        .insert(leadAttributes)
        .values(rows.slice(at, at + statementRowsMax))
        .onDuplicateKeyUpdate({ set: { name: sql`${leadAttributes.name}` } })
    }
    await database.execute(sql`COMMIT`)
    const last = page.at(-1)
    if (last === undefined || page.length < attributedLeadsMax) return
    after = last.leadId
  }
}
