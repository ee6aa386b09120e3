import {
  formatRefreshToken,
  hashSecret,
  makeRefreshToken,
  parseRefreshToken,
  parseRole,
} from '@millrace/storage/accounts'
import { GatewayError } from '../errors.ts'
import type { SignToken } from '../http/auth.ts'
import { sessionIdleMs } from '../limits.ts'
import type { LoggedIn } from './login.ts'
import type { SessionStore } from './ports.ts'

/** What a login or a refresh gives. */
export interface Tokens {
  readonly accessToken: string
  readonly accessTtlSeconds: number
  /** Good once. */
  readonly refreshToken: string
  /** Until the session ends, however often it is refreshed. */
  readonly sessionTtlSeconds: number
}

/** Who is logged in, and for how long. */
export interface Sessions {
  open(account: LoggedIn, requestId: string): Promise<Tokens>
  /** Throws `INVALID_REFRESH_TOKEN`, the same for every reason. A token that was used before ends its session. */
  refresh(refreshToken: string, requestId: string): Promise<Tokens>
  /** Ends the session: its refresh token, and every access token that was made of it. Idempotent. */
  end(session: { readonly id: string; readonly userId: string; readonly requestId: string }): Promise<void>
}

/** What sessions are made of. */
export interface SessionsDeps {
  readonly store: SessionStore
  readonly signToken: SignToken
  readonly ttlSeconds: number
  readonly sessionTtlSeconds: number
  readonly nowMs: () => number
  /** Called with sessions that are over, so that this gateway knows at once. */
  readonly onEnded: (sessionId: string) => void
}

/** Makes sessions over their store. */
export function createSessions(deps: SessionsDeps): Sessions {
  const { store, signToken, nowMs } = deps

  function tokensOf(of: LoggedIn & { sessionId: string; expiresAtMs: number }, refreshToken: string): Tokens {
    const left = Math.max(1, Math.floor((of.expiresAtMs - nowMs()) / 1_000))
    // The last access token of a session does not outlive it.
    const ttlSeconds = Math.min(deps.ttlSeconds, left)
    const { id: userId, username, role, sessionId } = of
    const accessToken = signToken({ userId, username, role, sessionId, ttlSeconds })
    return { accessToken, accessTtlSeconds: ttlSeconds, refreshToken, sessionTtlSeconds: left }
  }

  return {
    async open(account, requestId) {
      const token = makeRefreshToken()
      const sessionId = crypto.randomUUID()
      const expiresAtMs = nowMs() + deps.sessionTtlSeconds * 1_000
      const refreshHash = hashSecret(token.secret)
      const session = { id: sessionId, userId: account.id, refreshId: token.id, refreshHash, expiresAtMs, requestId }
      await store.open(session)
      return tokensOf({ ...account, sessionId, expiresAtMs }, formatRefreshToken(token))
    },

    async refresh(refreshToken, requestId) {
      const token = parseRefreshToken(refreshToken)
      if (token === undefined) throw invalidRefreshToken()
      const next = makeRefreshToken(token.id)
      const result = await store.refresh({
        refreshId: token.id,
        secret: token.secret,
        nextHash: hashSecret(next.secret),
        idleMsMax: sessionIdleMs,
        requestId,
      })
      if (result.outcome === 'reused') deps.onEnded(result.sessionId)
      if (result.outcome !== 'refreshed') throw invalidRefreshToken()
      const { id: sessionId, userId: id, username, expiresAtMs } = result.session
      const role = parseRole(result.session.role)
      if (role === undefined) throw invalidRefreshToken()
      return tokensOf({ id, username, role, sessionId, expiresAtMs }, formatRefreshToken(next))
    },

    async end({ id, userId, requestId }) {
      await store.end(id, { userId, requestId })
      deps.onEnded(id)
    },
  }
}

function invalidRefreshToken(): GatewayError {
  return new GatewayError(
    'INVALID_REFRESH_TOKEN',
    'The refresh token is not valid, or not any more: log in again. A token that was used before ends its session.',
  )
}
