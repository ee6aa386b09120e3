import { ConsoleError } from '../gateway/console-error.ts'
import type { Grant } from '../gateway/gateway-client.ts'
import { refreshAheadMs } from '../limits.ts'
import type { Session, SessionStore } from './session-store.ts'

/** Keeps a session going for as long as the gateway allows. */
export interface SessionKeeper {
  /**
   * A token that is good for a while; null when there is no session, or when the gateway has ended it. Rejects with a {@link ConsoleError}
   * when the token is over and the gateway cannot be asked for another one.
   */
  readToken(): Promise<string | null>
}

/** What a keeper is made of. */
export interface SessionKeeperOptions {
  readonly sessions: SessionStore
  /** A refresh token for the next tokens. */
  readonly refresh: (refreshToken: string) => Promise<Grant>
  readonly nowMs: () => number
}

/** A keeper over the session of this tab. */
export function createSessionKeeper({ sessions, refresh, nowMs }: SessionKeeperOptions): SessionKeeper {
  /** A refresh token is good once: whoever needs a token meanwhile waits for the same one. */
  let refreshing: Promise<string | null> | undefined

  async function refreshed(session: Session): Promise<string | null> {
    try {
      const next = sessionOf(session.username, await refresh(session.refreshToken), nowMs())
      // Signed out meanwhile: there is nobody to keep it for.
      if (sessions.read()?.refreshToken !== session.refreshToken) return null
      sessions.write(next)
      return next.token
    } catch (reason) {
      const error = ConsoleError.from(reason)
      if (error.code === 'unauthorized') return null
      if (session.expiresAtMs > nowMs()) return session.token
      throw error
    }
  }

  return {
    async readToken() {
      const session = sessions.read()
      if (session === null || session.expiresAtMs - refreshAheadMs > nowMs()) return session?.token ?? null
      refreshing ??= refreshed(session).finally(() => {
        refreshing = undefined
      })
      return await refreshing
    },
  }
}

/** The session that a grant begins or goes on with. */
export function sessionOf(username: string, grant: Grant, nowMs: number): Session {
  return {
    username,
    token: grant.token,
    expiresAtMs: nowMs + grant.expiresInS * 1_000,
    refreshToken: grant.refreshToken,
    endsAtMs: nowMs + grant.refreshExpiresInS * 1_000,
  }
}
