import { and, eq, inArray, isNull, lt } from 'drizzle-orm'
import { secretMatches } from '../accounts/opaque-secret.ts'
import { type AuditAction, appendAudit } from './audit-log.ts'
import { accessTimeoutMs, deletedRowsMax } from './limits.ts'
import type { Database, Mysql } from './mysql.ts'
import { sessions, users } from './schema.ts'

/** Why a session ended before its time. */
export const sessionEndReasons = ['logout', 'reuse', 'account-changed'] as const
export type SessionEndReason = (typeof sessionEndReasons)[number]

/** A login. */
export interface NewSession {
  /** UUID; access tokens name it. */
  readonly id: string
  readonly userId: string
  readonly refreshId: string
  readonly refreshHash: string
  readonly expiresAtMs: number
  readonly requestId: string
}

/** Whose a session is, and whether it is good. */
export interface SessionState {
  readonly id: string
  readonly userId: string
  readonly username: string
  readonly role: string
  readonly disabled: boolean
  readonly ended: boolean
  /** No refresh leads beyond it. */
  readonly expiresAtMs: number
}

/** A refresh token that was presented, and the hash of the one that shall take its place. */
export interface Refresh {
  readonly refreshId: string
  readonly secret: string
  readonly nextHash: string
  /** A session that has not been refreshed for this long is over. */
  readonly idleMsMax: number
  readonly requestId: string
}

/** What became of a refresh. `reused`: the token had been replaced before, so somebody else has it too, and the session is over. */
export type RefreshOutcome =
  | { readonly outcome: 'refreshed'; readonly session: SessionState }
  | { readonly outcome: 'reused'; readonly sessionId: string }
  | { readonly outcome: 'refused' }

/** Sessions in MySQL. Every change is in the audit log, in the same transaction. */
export interface SessionRepository {
  open(session: NewSession): Promise<void>
  /** Replaces the session's refresh token by the next one: of several who present the same token, one succeeds, and the session ends. */
  refresh(refresh: Refresh): Promise<RefreshOutcome>
  /** Ends a session; again or of an unknown one does nothing. */
  end(id: string, by: { readonly userId: string; readonly requestId: string }): Promise<void>
  /** The states of those that exist, in any order; at most `lookupKeysMax` ids. */
  states(ids: readonly string[]): Promise<readonly SessionState[]>
  /** Deletes some of those that expired. Returns how many. */
  deleteExpired(): Promise<number>
}

const state = {
  id: sessions.id,
  userId: sessions.userId,
  username: users.username,
  role: users.role,
  disabled: users.disabled,
  endedAt: sessions.endedAt,
  expiresAt: sessions.expiresAt,
}

/** The repository of `sessions`. */
export function createSessionRepository(mysql: Mysql, now: () => Date = () => new Date()): SessionRepository {
  return {
    async open({ expiresAtMs, requestId, ...session }) {
      const at = now()
      await mysql.transaction('opening a session', async (database) => {
        const times = { createdAt: at, refreshedAt: at, expiresAt: new Date(expiresAtMs) }
        await database.insert(sessions).values({ ...session, ...times })
        const entry = { action: 'authn_login_success', actor: session.userId, subject: session.id, requestId } as const
        await appendAudit(database, entry, at)
      })
    },

    refresh: (refresh) =>
      mysql.transaction('refreshing a session', (database) => refreshSession(database, refresh, now())),

    async end(id, { userId, requestId }) {
      const at = now()
      await mysql.transaction('ending a session', async (database) => {
        const ended = await endSessions(database, { id }, 'logout', at)
        if (ended === 0) return
        await appendAudit(database, { action: 'authn_token_revoked', actor: userId, subject: id, requestId }, at)
      })
    },

    async states(ids) {
      if (ids.length === 0) return []
      const rows = await mysql.run(
        'reading sessions',
        (database) =>
          database
            .select(state)
            .from(sessions)
            .innerJoin(users, eq(users.id, sessions.userId))
            .where(inArray(sessions.id, [...ids])),
        { timeoutMs: accessTimeoutMs },
      )
      return rows.map(toState)
    },

    deleteExpired: () =>
      mysql.run('deleting expired sessions', async (database) => {
        const [result] = await database.delete(sessions).where(lt(sessions.expiresAt, now())).limit(deletedRowsMax)
        return result.affectedRows
      }),
  }
}

/** Ends the session of that id, or all of an account, inside the caller's transaction. Returns how many were open. */
export async function endSessions(
  database: Database,
  of: { readonly id: string } | { readonly userId: string },
  reason: SessionEndReason,
  at: Date,
): Promise<number> {
  const whose = 'id' in of ? eq(sessions.id, of.id) : eq(sessions.userId, of.userId)
  const [result] = await database
    .update(sessions)
    .set({ endedAt: at, endReason: reason })
    .where(and(whose, isNull(sessions.endedAt)))
  return result.affectedRows
}

async function refreshSession(database: Database, refresh: Refresh, at: Date): Promise<RefreshOutcome> {
  // The row lock makes simultaneous uses of one token follow each other: the second finds that it was replaced. The account is read without
  // a lock: whoever changes it locks it first and its sessions then, and would otherwise meet this one halfway.
  const [session] = await database
    .select()
    .from(sessions)
    .where(eq(sessions.refreshId, refresh.refreshId))
    .for('update')
  if (session === undefined || session.endedAt !== null || session.expiresAt <= at) return { outcome: 'refused' }
  const { id, userId } = session
  if (!secretMatches(refresh.secret, session.refreshHash)) {
    await endSessions(database, { id }, 'reuse', at)
    const action: AuditAction = 'authn_token_reuse'
    await appendAudit(database, { action, actor: userId, subject: id, requestId: refresh.requestId }, at)
    return { outcome: 'reused', sessionId: id }
  }
  const isIdle = at.getTime() - session.refreshedAt.getTime() > refresh.idleMsMax
  const [user] = await database.select().from(users).where(eq(users.id, userId))
  if (user === undefined || user.disabled || isIdle) return { outcome: 'refused' }
  await database.update(sessions).set({ refreshHash: refresh.nextHash, refreshedAt: at }).where(eq(sessions.id, id))
  const { username, role, disabled } = user
  return { outcome: 'refreshed', session: toState({ ...session, username, role, disabled }) }
}

function toState(row: Omit<SessionState, 'ended' | 'expiresAtMs'> & { endedAt: Date | null; expiresAt: Date }) {
  const { id, userId, username, role, disabled } = row
  return { id, userId, username, role, disabled, ended: row.endedAt !== null, expiresAtMs: row.expiresAt.getTime() }
}
