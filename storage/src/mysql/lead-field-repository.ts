import { asc, eq } from 'drizzle-orm'
import { StorageError } from '../errors.ts'
import { type AuditAction, appendAudit } from './audit-log.ts'
import { accessTimeoutMs, leadSourcesMax } from './limits.ts'
import type { Database, Mysql } from './mysql.ts'
import { leadFields, leadFieldsHead } from './schema.ts'

/** What may happen to an attribute that no definition knows. */
export const undefinedAttributes = ['keep', 'refuse'] as const
export type UndefinedAttributes = (typeof undefinedAttributes)[number]

/** What leads of one source carry. This package keeps the definitions, and does not read them. */
export interface LeadFieldsContent {
  readonly undefinedAttributes: UndefinedAttributes
  /** The text of a JSON array. */
  readonly fields: string
}

/** Definitions as they are kept. */
export interface StoredLeadFields extends LeadFieldsContent {
  readonly id: string
  /** Null: of leads that name no source. */
  readonly source: string | null
  /** From 1, one more with every change. */
  readonly version: number
  readonly changedAt: Date
}

/** Who changes definitions, by which request. */
export interface LeadFieldsChange {
  readonly actor: string
  readonly requestId: string
}

/** All definitions at one count of changes. */
export interface LeadFieldsSnapshot {
  readonly changes: number
  readonly sources: readonly StoredLeadFields[]
}

/** What came of a change. */
export type LeadFieldsOutcome =
  | { readonly outcome: 'done'; readonly stored: StoredLeadFields }
  | { readonly outcome: 'exists'; readonly id: string }
  | { readonly outcome: 'full' }
  | { readonly outcome: 'missing' }
  | { readonly outcome: 'changed'; readonly version: number }

/** Definitions of lead fields in MySQL, at most `leadSourcesMax`. Every change is in the audit log, in the same transaction. */
export interface LeadFieldRepository {
  /** How often anything was changed: one row, for those who ask all the time. */
  changes(): Promise<number>
  /** Never older than its count; it may be newer, and then the next count is another one. */
  readAll(): Promise<LeadFieldsSnapshot>
  byId(id: string): Promise<StoredLeadFields | undefined>
  /** `exists` when the source has definitions already, `full` when there are too many sources. */
  create(
    fields: LeadFieldsContent & { readonly id: string; readonly source: string | null },
    by: LeadFieldsChange,
  ): Promise<LeadFieldsOutcome>
  /** Only when its version is one of `versions`, or whichever it has when that is `any`. */
  replace(
    id: string,
    content: LeadFieldsContent,
    by: LeadFieldsChange & { readonly versions: readonly number[] | 'any' },
  ): Promise<LeadFieldsOutcome>
  /** As `replace`. Leads that are stored keep their attributes. */
  remove(
    id: string,
    by: LeadFieldsChange & { readonly versions: readonly number[] | 'any' },
  ): Promise<LeadFieldsOutcome>
}

/** The repository of `lead_fields`. */
export function createLeadFieldRepository(mysql: Mysql, now: () => Date = () => new Date()): LeadFieldRepository {
  /** One change at a time: the head's lock keeps the bound on sources, and the order of changes is that of their counts. */
  async function change(
    action: AuditAction,
    id: string,
    by: LeadFieldsChange,
    work: (database: Database, at: Date) => Promise<LeadFieldsOutcome>,
  ): Promise<LeadFieldsOutcome> {
    const at = now()
    return mysql.transaction('changing lead fields', async (database) => {
      const changes = await lockHead(database)
      const outcome = await work(database, at)
      if (outcome.outcome !== 'done') return outcome
      await database
        .update(leadFieldsHead)
        .set({ changes: changes + 1 })
        .where(eq(leadFieldsHead.id, 1))
      const { actor, requestId } = by
      await appendAudit(database, { action, actor, subject: id, requestId, detail: `v${outcome.stored.version}` }, at)
      return outcome
    })
  }

  return {
    changes: () => mysql.run('asking for changes of lead fields', readChanges, { timeoutMs: accessTimeoutMs }),

    readAll: () =>
      mysql.run('reading lead fields', async (database) => {
        // The count first: what is committed in between is read again with the next count, and never missed.
        const changes = await readChanges(database)
        const rows = await database.select().from(leadFields).orderBy(asc(leadFields.source)).limit(leadSourcesMax)
        return { changes, sources: rows.map(toStored) }
      }),

    byId: (id) => mysql.run('reading lead fields', (database) => readOne(database, id)),

    create: ({ id, source, undefinedAttributes, fields }, by) =>
      change('lead_fields_created', id, by, async (database, changedAt) => {
        const known = await database.select({ id: leadFields.id, source: leadFields.source }).from(leadFields)
        const same = known.find((row) => row.source === (source ?? ''))
        if (same !== undefined) return { outcome: 'exists', id: same.id }
        if (known.length >= leadSourcesMax) return { outcome: 'full' }
        const row = { id, source: source ?? '', version: 1, undefinedAttributes, fields, changedAt }
        await database.insert(leadFields).values(row)
        return { outcome: 'done', stored: toStored(row) }
      }),

    replace: (id, { undefinedAttributes, fields }, by) =>
      change('lead_fields_updated', id, by, async (database, changedAt) => {
        const found = await findVersion(database, id, by.versions)
        if ('outcome' in found) return found
        const changed = { version: found.version + 1, undefinedAttributes, fields, changedAt }
        await database.update(leadFields).set(changed).where(eq(leadFields.id, id))
        return { outcome: 'done', stored: { ...found, ...changed } }
      }),

    remove: (id, by) =>
      change('lead_fields_deleted', id, by, async (database) => {
        const found = await findVersion(database, id, by.versions)
        if ('outcome' in found) return found
        await database.delete(leadFields).where(eq(leadFields.id, id))
        return { outcome: 'done', stored: found }
      }),
  }
}

async function readChanges(database: Database): Promise<number> {
  const [head] = await database.select().from(leadFieldsHead).where(eq(leadFieldsHead.id, 1))
  return head?.changes ?? lostHead()
}

async function lockHead(database: Database): Promise<number> {
  const [head] = await database.select().from(leadFieldsHead).where(eq(leadFieldsHead.id, 1)).for('update')
  return head?.changes ?? lostHead()
}

function lostHead(): never {
  throw new StorageError('SCHEMA_MISMATCH', 'lead_fields_head has lost its row: migrate the database')
}

async function readOne(database: Database, id: string): Promise<StoredLeadFields | undefined> {
  const [row] = await database.select().from(leadFields).where(eq(leadFields.id, id))
  return row === undefined ? undefined : toStored(row)
}

async function findVersion(
  database: Database,
  id: string,
  versions: readonly number[] | 'any',
): Promise<StoredLeadFields | Extract<LeadFieldsOutcome, { outcome: 'missing' | 'changed' }>> {
  const found = await readOne(database, id)
  if (found === undefined) return { outcome: 'missing' }
  if (versions !== 'any' && !versions.includes(found.version)) return { outcome: 'changed', version: found.version }
  return found
}

/** A policy that this version does not know is taken for the stricter one. */
function toStored(row: typeof leadFields.$inferSelect): StoredLeadFields {
  const { id, source, version, fields, changedAt } = row
  const policy = row.undefinedAttributes === 'keep' ? 'keep' : 'refuse'
  return { id, source: source === '' ? null : source, version, undefinedAttributes: policy, fields, changedAt }
}
