import { hash } from 'node:crypto'
import { and, asc, gt, inArray, isNull, ne, type SQL, sql } from 'drizzle-orm'
import { char, customType, int, longtext, mysqlTable, varchar } from 'drizzle-orm/mysql-core'
import { StorageError } from '../errors.ts'
import {
  contentHash,
  emailHash,
  hashText,
  type LeadKey,
  LeafSource,
  leadIdentity,
  normalisedEmail,
  phoneHash,
  sealLead,
  treesHeld,
} from '../sealing/index.ts'
import { treeStoreOn } from './lead-keys.ts'
import { duplicateRowsMax, sealedRowsMax } from './limits.ts'
import type { Database } from './mysql.ts'
import { leadFirsts } from './schema.ts'

/** The table while it has the columns of both versions. */
const leads = mysqlTable('leads', {
  leadId: char('lead_id', { length: 36 }).primaryKey(),
  firstName: varchar('first_name', { length: 255 }).notNull(),
  lastName: varchar('last_name', { length: 255 }).notNull(),
  email: varchar('email', { length: 320 }).notNull(),
  phone: varchar('phone', { length: 64 }),
  dateOfBirth: char('date_of_birth', { length: 10 }),
  address: varchar('address', { length: 1_000 }),
  city: varchar('city', { length: 255 }),
  postalCode: varchar('postal_code', { length: 32 }),
  country: char('country', { length: 2 }),
  source: varchar('source', { length: 255 }),
  attributes: longtext('attributes').notNull(),
  status: varchar('status', { length: 32 }).notNull(),
  contentHash: char('content_hash', { length: 64 }).notNull(),
  keyTree: char('key_tree', { length: 16 }),
  keyLeaf: int('key_leaf'),
  emailHash: char('email_hash', { length: 22 }),
  phoneHash: char('phone_hash', { length: 22 }),
  sealed: customType<{ data: Buffer }>({ dataType: () => 'blob' })('sealed'),
})

/**
 * Seals the leads that an earlier version has stored in the clear, some at a time, each in a transaction: broken off, it goes on where it was. The hashes that could be guessed are
 * replaced by keyed ones. The columns in the clear are dropped by the statement after this step. Throws `MIGRATION_FAILED` when there are such leads and no key.
 */
export async function sealStoredLeads(database: Database, leadKey: LeadKey | undefined): Promise<void> {
  if (!(await hasPlainColumns(database))) return
  let leaves: LeafSource | undefined
  let after = ''
  for (;;) {
    const rows = await plainRows(database, after)
    const last = rows.at(-1)
    if (last === undefined) return
    if (leadKey === undefined) {
      const detail = 'The leads in MySQL are to be sealed, and there is no key for it: set MILLRACE_LEAD_KEY'
      throw new StorageError('MIGRATION_FAILED', `${detail} to what the gateway and the sink have`)
    }
    leaves ??= new LeafSource(treeStoreOn(database, leadKey), leadKey)
    await leaves.hold(treesHeld)
    await database.execute(sql`START TRANSACTION`)
    for (let at = 0; at < rows.length; at += duplicateRowsMax) {
      await seal(database, { leadKey, leaves }, rows.slice(at, at + duplicateRowsMax))
    }
    await database.execute(sql`COMMIT`)
    after = last.leadId
  }
}

async function hasPlainColumns(database: Database): Promise<boolean> {
  const [row] = await database
    .select({ found: sql<number>`COUNT(*)` })
    .from(sql`information_schema.columns`)
    .where(sql`table_schema = DATABASE() AND table_name = 'leads' AND column_name = 'email'`)
  return Number(row?.found) > 0
}

function plainRows(database: Database, after: string) {
  return database
    .select({
      leadId: leads.leadId,
      first_name: leads.firstName,
      last_name: leads.lastName,
      email: leads.email,
      phone: leads.phone,
      date_of_birth: sql<string | null>`DATE_FORMAT(${leads.dateOfBirth}, '%Y-%m-%d')`,
      address: leads.address,
      city: leads.city,
      postal_code: leads.postalCode,
      country: leads.country,
      source: leads.source,
      attributes: leads.attributes,
      content_hash: leads.contentHash,
    })
    .from(leads)
    .where(and(gt(leads.leadId, after), isNull(leads.keyTree), ne(leads.status, 'erased')))
    .orderBy(asc(leads.leadId))
    .limit(sealedRowsMax)
}

type PlainRow = Awaited<ReturnType<typeof plainRows>>[number]

async function seal(
  database: Database,
  { leadKey, leaves }: { readonly leadKey: LeadKey; readonly leaves: LeafSource },
  rows: readonly PlainRow[],
): Promise<void> {
  const identities = new Map<string, string>()
  const sealed = rows.map((row) => {
    const key = leaves.take()
    if (key === undefined)
      throw new StorageError('MIGRATION_FAILED', 'The tree of keys has come to its end: migrate again')
    const { leadId, email, source, phone } = row
    const unsealed = { campaign: null, consent: null, submitted_by: '', request_id: '', received_at: 0 }
    const record = sealLead({ ...row, lead_id: leadId, ...unsealed }, leadKey, key)
    const hashOfEmail = hashText(emailHash(leadKey, email))
    const hashOfPhone = phone === null ? undefined : phoneHash(leadKey, phone)
    identities.set(formerIdentity(email, source), leadIdentity({ emailHash: hashOfEmail, source }))
    return {
      leadId,
      keyTree: record.key_tree,
      keyLeaf: record.key_leaf,
      emailHash: hashOfEmail,
      phoneHash: hashOfPhone === undefined ? null : hashText(hashOfPhone),
      contentHash: contentHash(leadKey, row.content_hash).toString('hex'),
      sealed: record.sealed,
    }
  })
  const ids = sealed.map(({ leadId }) => leadId)
  const by = (value: (row: (typeof sealed)[number]) => unknown) =>
    choose(
      sql`${leads.leadId}`,
      sealed.map((row) => [row.leadId, value(row)]),
    )
  await database
    .update(leads)
    .set({
      keyTree: by(({ keyTree }) => keyTree),
      keyLeaf: by(({ keyLeaf }) => keyLeaf),
      emailHash: by((row) => row.emailHash),
      phoneHash: by((row) => row.phoneHash),
      contentHash: by((row) => row.contentHash),
      sealed: by((row) => row.sealed),
    })
    .where(inArray(leads.leadId, ids))
  await database
    .update(leadFirsts)
    .set({ identity: choose(sql`${leadFirsts.identity}`, [...identities]) })
    .where(inArray(leadFirsts.identity, [...identities.keys()]))
}

/** The value of each row, by its key. */
function choose(key: SQL, values: readonly (readonly [string, unknown])[]): SQL {
  const cases = values.map(([one, value]) => sql`WHEN ${one} THEN ${value}`)
  return sql`CASE ${key} ${sql.join(cases, sql` `)} END`
}

/** What `lead_firsts` had as a person's and a source's key, and whoever guesses the address could have confirmed. */
function formerIdentity(email: string, source: string | null): string {
  return hash('sha256', `${normalisedEmail(email)}\n${source ?? ''}`, 'base64url').slice(0, 22)
}
