import { and, asc, desc, eq, inArray, isNull, lt, or } from 'drizzle-orm'
import { parseScope, type Scope } from '../accounts/roles.ts'
import { StorageError } from '../errors.ts'
import { appendAudit } from './audit-log.ts'
import { accessTimeoutMs, apiKeysMax } from './limits.ts'
import type { Database, Mysql } from './mysql.ts'
import { apiKeys, users } from './schema.ts'

/** A key to be made. Its secret is known to its holder only: here is its hash. */
export interface NewApiKey {
  readonly id: string
  readonly secretHash: string
  /** The account that it acts for. */
  readonly username: string
  /** What it is for, in its owner's words. */
  readonly label: string
  readonly scopes: readonly Scope[]
  readonly expiresAtMs: number
}

/** Whose a key is, and whether it is good. */
export interface ApiKeyState {
  readonly id: string
  readonly secretHash: string
  readonly userId: string
  readonly username: string
  readonly role: string
  readonly disabled: boolean
  readonly scopes: readonly Scope[]
  readonly expiresAtMs: number
  readonly revoked: boolean
}

/** A key as it is listed. */
export interface ListedApiKey extends Omit<ApiKeyState, 'secretHash'> {
  readonly label: string
  readonly createdAtMs: number
  /** To within a minute or so; null when it never was. */
  readonly lastUsedAtMs: number | null
}

/** Who makes or revokes a key, for the audit log: the id of an account and of its request, or `command-line`. */
export type KeyActor = string | { readonly actor: string; readonly requestId: string }

/** API keys in MySQL. Every change is in the audit log, in the same transaction. */
export interface ApiKeyRepository {
  /** Throws `ROW_REFUSED` when there is no such account, or when it has `apiKeysMax` keys that are good. */
  create(key: NewApiKey, by: KeyActor): Promise<void>
  /** Of one account, or of all; oldest first. */
  list(username?: string): Promise<readonly ListedApiKey[]>
  /** Of one account, or of all; newest first, at most `limit`. */
  newest(range: { readonly username?: string | undefined; readonly limit: number }): Promise<readonly ListedApiKey[]>
  /** Returns whether there was such a key that was good until now. */
  revoke(id: string, by: KeyActor): Promise<boolean>
  /** The states of those that exist, in any order; at most `lookupKeysMax` ids. */
  states(ids: readonly string[]): Promise<readonly ApiKeyState[]>
  /** Notes when keys were used; never moves back. */
  noteUses(uses: ReadonlyMap<string, number>): Promise<void>
}

const columns = {
  id: apiKeys.id,
  secretHash: apiKeys.secretHash,
  userId: apiKeys.userId,
  username: users.username,
  role: users.role,
  disabled: users.disabled,
  scopes: apiKeys.scopes,
  expiresAt: apiKeys.expiresAt,
  revokedAt: apiKeys.revokedAt,
}

const listedColumns = {
  ...columns,
  label: apiKeys.label,
  createdAt: apiKeys.createdAt,
  lastUsedAt: apiKeys.lastUsedAt,
}

/** Keys of this account, or all. */
function selectListed(database: Database, username: string | undefined) {
  return database
    .select(listedColumns)
    .from(apiKeys)
    .innerJoin(users, eq(users.id, apiKeys.userId))
    .where(username === undefined ? undefined : eq(users.username, username))
}

/** The repository of `api_keys`. */
export function createApiKeyRepository(mysql: Mysql, now: () => Date = () => new Date()): ApiKeyRepository {
  return {
    async create({ id, secretHash, username, label, scopes, expiresAtMs }, by) {
      const at = now()
      await mysql.transaction('making an API key', async (database) => {
        // Locked, so that the count below holds.
        const [owner] = await database.select().from(users).where(eq(users.username, username)).for('update')
        if (owner === undefined) throw refused('there is no such account')
        const good = await database
          .select({ id: apiKeys.id })
          .from(apiKeys)
          .where(and(eq(apiKeys.userId, owner.id), isNull(apiKeys.revokedAt)))
          .limit(apiKeysMax)
        if (good.length >= apiKeysMax) throw refused(`the account has ${apiKeysMax} keys: revoke one first`)
        const row = { id, secretHash, userId: owner.id, label, scopes: scopes.join(' ') }
        await database.insert(apiKeys).values({ ...row, createdAt: at, expiresAt: new Date(expiresAtMs) })
        const detail = scopes.join(' ').slice(0, 255)
        await appendAudit(database, { action: 'api_key_created', ...actorOf(by), subject: id, detail }, at)
      })
    },

    async list(username) {
      const rows = await mysql.run('listing API keys', (database) =>
        selectListed(database, username).orderBy(asc(apiKeys.createdAt), asc(apiKeys.id)),
      )
      return rows.map(toListed)
    },

    async newest({ username, limit }) {
      const rows = await mysql.run('listing API keys', (database) =>
        selectListed(database, username).orderBy(desc(apiKeys.createdAt), desc(apiKeys.id)).limit(limit),
      )
      return rows.map(toListed)
    },

    async revoke(id, by) {
      const at = now()
      return mysql.transaction('revoking an API key', async (database) => {
        const [result] = await database
          .update(apiKeys)
          .set({ revokedAt: at })
          .where(and(eq(apiKeys.id, id), isNull(apiKeys.revokedAt)))
        if (result.affectedRows === 0) return false
        await appendAudit(database, { action: 'api_key_revoked', ...actorOf(by), subject: id }, at)
        return true
      })
    },

    async states(ids) {
      if (ids.length === 0) return []
      const rows = await mysql.run(
        'reading API keys',
        (database) =>
          database
            .select(columns)
            .from(apiKeys)
            .innerJoin(users, eq(users.id, apiKeys.userId))
            .where(inArray(apiKeys.id, [...ids])),
        { timeoutMs: accessTimeoutMs },
      )
      return rows.map(toState)
    },

    async noteUses(uses) {
      await mysql.run('noting uses of API keys', async (database) => {
        for (const [id, atMs] of uses) {
          const at = new Date(atMs)
          const isLater = or(isNull(apiKeys.lastUsedAt), lt(apiKeys.lastUsedAt, at))
          await database
            .update(apiKeys)
            .set({ lastUsedAt: at })
            .where(and(eq(apiKeys.id, id), isLater))
        }
      })
    },
  }
}

interface StateRow extends Omit<ApiKeyState, 'scopes' | 'expiresAtMs' | 'revoked'> {
  readonly scopes: string
  readonly expiresAt: Date
  readonly revokedAt: Date | null
}

interface ListedRow extends StateRow {
  readonly label: string
  readonly createdAt: Date
  readonly lastUsedAt: Date | null
}

function actorOf(by: KeyActor) {
  return typeof by === 'string' ? { actor: by } : by
}

function toListed(row: ListedRow): ListedApiKey {
  const { secretHash: _, ...shown } = toState(row)
  const lastUsedAtMs = row.lastUsedAt?.getTime() ?? null
  return { ...shown, label: row.label, createdAtMs: row.createdAt.getTime(), lastUsedAtMs }
}

/** A scope that this version does not know is left out: it gives nothing. */
function toState(row: StateRow): ApiKeyState {
  const { id, secretHash, userId, username, role, disabled } = row
  const scopes = row.scopes.split(' ').flatMap((name) => parseScope(name) ?? [])
  const expiresAtMs = row.expiresAt.getTime()
  return { id, secretHash, userId, username, role, disabled, scopes, expiresAtMs, revoked: row.revokedAt !== null }
}

function refused(refusal: string): StorageError {
  return new StorageError('ROW_REFUSED', `The API key was not made: ${refusal}`, { refusal })
}
