import { createHash } from 'node:crypto'
import { asc, desc, eq, gt } from 'drizzle-orm'
import { StorageError } from '../errors.ts'
import { auditPageRows } from './limits.ts'
import type { Database, Mysql } from './mysql.ts'
import { auditHead, auditLog } from './schema.ts'

/** What is audited. Most names are those of OWASP's logging vocabulary. */
export const auditActions = [
  'authn_login_success',
  'authn_login_fail',
  'authn_login_lock',
  'authn_token_revoked',
  'authn_token_reuse',
  'api_key_created',
  'api_key_revoked',
  'user_created',
  'user_updated',
  'lead_erased',
  'lead_exported',
  'lead_fields_created',
  'lead_fields_updated',
  'lead_fields_deleted',
  'dead_letters_replayed',
] as const
export type AuditAction = (typeof auditActions)[number]

/** Something that was done. Ids only: no names, addresses or secrets. */
export interface AuditEntry {
  readonly action: AuditAction
  /** The account that did it, or `command-line`; null when nobody knows. */
  readonly actor: string | null
  /** The account, session, key, lead or definition that it was done to; null when there is none, as for logins of unknown accounts. */
  readonly subject: string | null
  readonly requestId?: string | null
  /** A few ASCII words, for instance the role that was given. */
  readonly detail?: string
}

/** An entry with its place in the chain. */
export type StoredAuditEntry = typeof auditLog.$inferSelect

/** What `verify` found. */
export interface AuditVerdict {
  readonly entries: number
  /** The last entry's hash. Kept somewhere else, it also proves that no later one was cut off and the chain written anew. */
  readonly head: string
  /** The first entry that is not as it was written, or not where it was; undefined when all are. */
  readonly brokenAt: number | undefined
}

/** The audit log. */
export interface AuditRepository {
  /** Appends an entry of its own. What changes something appends in its own transaction instead. */
  append(entry: AuditEntry): Promise<void>
  /** Reads the whole log and recomputes every hash. */
  verify(): Promise<AuditVerdict>
  /** The newest entries, newest first; at most `limit`. */
  newest(limit: number): Promise<readonly StoredAuditEntry[]>
}

const genesis = '0'.repeat(64)

/** The repository of `audit_log`. */
export function createAuditRepository(mysql: Mysql, now: () => Date = () => new Date()): AuditRepository {
  return {
    append: (entry) => mysql.transaction('writing the audit log', (database) => appendAudit(database, entry, now())),

    verify: () => mysql.run('verifying the audit log', verify),

    newest: (limit) =>
      mysql.run('reading the audit log', (database) =>
        database.select().from(auditLog).orderBy(desc(auditLog.seq)).limit(limit),
      ),
  }
}

/**
 * Appends an entry inside the caller's transaction. It holds the end of the chain until that one ends, so it should be its last step: then locks
 * are always taken in the same order.
 */
export async function appendAudit(database: Database, entry: AuditEntry, at: Date): Promise<void> {
  const [head] = await database.select().from(auditHead).where(eq(auditHead.id, 1)).for('update')
  if (head === undefined) throw new StorageError('SCHEMA_MISMATCH', 'audit_head has lost its row: migrate the database')
  const row = {
    seq: head.seq + 1,
    at,
    action: entry.action,
    actor: entry.actor,
    subject: entry.subject,
    requestId: entry.requestId ?? null,
    detail: entry.detail ?? '',
    previousHash: head.hash,
  }
  const hash = hashOf(row)
  await database.insert(auditLog).values({ ...row, hash })
  await database.update(auditHead).set({ seq: row.seq, hash }).where(eq(auditHead.id, 1))
}

async function verify(database: Database): Promise<AuditVerdict> {
  // Read first: entries that are appended meanwhile do not make the end look wrong.
  const [head] = await database.select().from(auditHead).where(eq(auditHead.id, 1))
  let entries = 0
  let previous = genesis
  for (;;) {
    const page = await database
      .select()
      .from(auditLog)
      .where(gt(auditLog.seq, entries))
      .orderBy(asc(auditLog.seq))
      .limit(auditPageRows)
    for (const row of page) {
      const isNext = row.seq === entries + 1 && row.previousHash === previous && row.hash === hashOf(row)
      if (!isNext) return { entries, head: previous, brokenAt: entries + 1 }
      entries = row.seq
      previous = row.hash
      if (head !== undefined && entries === head.seq && previous !== head.hash) {
        return { entries, head: previous, brokenAt: entries }
      }
    }
    if (page.length < auditPageRows) break
  }
  const isCut = head === undefined || entries < head.seq
  return { entries, head: previous, brokenAt: isCut ? entries + 1 : undefined }
}

function hashOf(row: Omit<StoredAuditEntry, 'hash'>): string {
  const { seq, at, action, actor, subject, requestId, detail } = row
  const content = JSON.stringify([seq, at.getTime(), action, actor, subject, requestId, detail])
  return createHash('sha256').update(`${row.previousHash}\n${content}`).digest('hex')
}
