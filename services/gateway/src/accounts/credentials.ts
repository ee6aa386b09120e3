import { hash } from 'node:crypto'
import { apiKeyPrefix, parseApiKey, parseRole, type Role, roleScopes, secretMatches } from '@millrace/storage/accounts'
import { GatewayError } from '../errors.ts'
import type { Principal } from '../http/gateway-app.ts'
import { apiKeyUsesMax, authorizationCharsMax, verifiedTokensMax } from '../limits.ts'
import { LiveCache } from './live-cache.ts'
import type { ApiKeyState, ApiKeyStore, SessionState, SessionStore } from './ports.ts'

/** What an access token of ours says. */
export interface TokenClaims {
  readonly sub: string
  readonly username: string
  readonly role: Role
  /** The session that it belongs to. */
  readonly sid: string
  /** UNIX seconds. */
  readonly exp: number
}

/** What of a request says who sends it. */
export interface PresentedHeaders {
  readonly authorization?: string | undefined
  readonly 'x-api-key'?: string | readonly string[] | undefined
}

/** What tells callers from one another. */
export interface CredentialsOptions {
  readonly sessions: Pick<SessionStore, 'states'>
  readonly apiKeys: ApiKeyStore
  /** Undefined for every token that is not exactly one of ours. */
  readonly verifyToken: (token: string) => TokenClaims | undefined
  readonly nowMs: () => number
}

interface VerifiedToken {
  readonly claims: TokenClaims
  /** The state by which `principal` was made. */
  state: SessionState | undefined
  principal: Principal | undefined
}

/**
 * Finds out who sends a request, by an access token or an API key. Both are good only as long as their session or key is, and their
 * account: the gateway knows the states of all that are in use, and reads them again every `accessRefreshMs`.
 */
export class Credentials {
  readonly #options: CredentialsOptions
  readonly #sessions: LiveCache<SessionState>
  readonly #keys: LiveCache<ApiKeyState>
  /** By the token's SHA-256, so that no token lies in memory for longer than its request. Verifying costs 5.8 µs, the hash 0.4. */
  readonly #verified = new Map<string, VerifiedToken>()
  #keyUses = new Map<string, number>()

  constructor(options: CredentialsOptions) {
    this.#options = options
    this.#sessions = new LiveCache({ read: (ids) => options.sessions.states(ids), nowMs: options.nowMs })
    this.#keys = new LiveCache({ read: (ids) => options.apiKeys.states(ids), nowMs: options.nowMs })
  }

  /** Who it is; a promise only when that has to be looked up. Throws and rejects with `UNAUTHENTICATED`, and with what the stores throw. */
  identify(headers: PresentedHeaders): Principal | Promise<Principal> {
    const key = apiKeyIn(headers)
    if (key !== undefined) return this.#byKey(key)
    const { authorization } = headers
    if (authorization === undefined) {
      throw unauthenticated('Send "Authorization: Bearer <token>" with a token from POST /api/v1/login, or an API key.')
    }
    return this.#byToken(authorization)
  }

  /** Whether a caller would still be let in; for answers that last. What cannot be found out is a no. */
  async isLive(principal: Principal): Promise<boolean> {
    const nowMs = this.#options.nowMs()
    if (principal.expiresAt * 1_000 <= nowMs) return false
    try {
      if (principal.keyId !== null) {
        const state = this.#keys.peek(principal.keyId) ?? (await this.#keys.load(principal.keyId))
        return state !== undefined && isGoodKey(state, nowMs) && state.role === principal.role
      }
      const state = this.#sessions.peek(principal.sessionId) ?? (await this.#sessions.load(principal.sessionId))
      return state !== undefined && isGoodSession(state, nowMs) && state.role === principal.role
    } catch {
      return false
    }
  }

  /** A session that this gateway knows to be over: it need not ask. */
  ended(sessionId: string): void {
    const state = this.#sessions.peek(sessionId)
    if (state !== undefined) this.#sessions.set({ ...state, ended: true })
  }

  /** A key that this gateway knows to be revoked: it need not ask. */
  revoked(keyId: string): void {
    const state = this.#keys.peek(keyId)
    if (state !== undefined) this.#keys.set({ ...state, revoked: true })
  }

  /** Reads again what is in use. Throws what the stores throw. */
  async refresh(): Promise<void> {
    await Promise.all([this.#sessions.refresh(), this.#keys.refresh()])
  }

  /** When keys were last used, since the last call. */
  takeKeyUses(): ReadonlyMap<string, number> {
    const uses = this.#keyUses
    this.#keyUses = new Map()
    return uses
  }

  #byToken(authorization: string): Principal | Promise<Principal> {
    const token = tokenIn(authorization)
    if (token === undefined) throw invalidToken()
    const digest = hash('sha256', token, 'base64url')
    const verified = this.#verified.get(digest) ?? this.#verify(token, digest)
    const state = this.#sessions.peek(verified.claims.sid)
    if (state !== undefined) return this.#admitToken(verified, state, digest)
    return this.#sessions.load(verified.claims.sid).then((loaded) => this.#admitToken(verified, loaded, digest))
  }

  #verify(token: string, digest: string): VerifiedToken {
    const claims = this.#options.verifyToken(token)
    if (claims === undefined) throw invalidToken()
    const verified: VerifiedToken = { claims, state: undefined, principal: undefined }
    this.#verified.set(digest, verified)
    if (this.#verified.size > verifiedTokensMax) {
      const oldest = this.#verified.keys().next()
      if (oldest.done !== true) this.#verified.delete(oldest.value)
    }
    return verified
  }

  #admitToken(verified: VerifiedToken, state: SessionState | undefined, digest: string): Principal {
    const { claims } = verified
    const nowMs = this.#options.nowMs()
    // A token that has been verified before has all but its end in common with one that is verified now.
    if (claims.exp * 1_000 <= nowMs) {
      this.#verified.delete(digest)
      throw invalidToken()
    }
    const isGood =
      state !== undefined &&
      isGoodSession(state, nowMs) &&
      state.userId === claims.sub &&
      state.role === claims.role &&
      state.id === claims.sid
    if (!isGood) throw invalidToken()
    if (verified.principal !== undefined && verified.state === state) return verified.principal
    const { sub, username, role, sid, exp } = claims
    verified.state = state
    verified.principal = {
      id: sub,
      username,
      role,
      scopes: roleScopes(role),
      expiresAt: exp,
      sessionId: sid,
      keyId: null,
    }
    return verified.principal
  }

  #byKey(text: string): Principal | Promise<Principal> {
    const key = parseApiKey(text)
    if (key === undefined) throw invalidKey()
    const state = this.#keys.peek(key.id)
    if (state !== undefined) return this.#admitKey(key.secret, state)
    return this.#keys.load(key.id).then((loaded) => this.#admitKey(key.secret, loaded))
  }

  #admitKey(secret: string, state: ApiKeyState | undefined): Principal {
    const nowMs = this.#options.nowMs()
    // Compared in any case, so that the time does not tell which ids exist.
    const matches = secretMatches(secret, state?.secretHash ?? nobodysSecretHash)
    const role = parseRole(state?.role)
    if (!matches || state === undefined || role === undefined || !isGoodKey(state, nowMs)) throw invalidKey()
    if (this.#keyUses.size < apiKeyUsesMax || this.#keyUses.has(state.id)) this.#keyUses.set(state.id, nowMs)
    const granted = roleScopes(role)
    return {
      id: state.userId,
      username: state.username,
      role,
      // What the account lost, its keys lost too.
      scopes: state.scopes.filter((scope) => granted.includes(scope)),
      expiresAt: Math.floor(state.expiresAtMs / 1_000),
      sessionId: null,
      keyId: state.id,
    }
  }
}

const nobodysSecretHash = '0'.repeat(64)

function isGoodSession(state: SessionState, nowMs: number): boolean {
  return !state.ended && !state.disabled && state.expiresAtMs > nowMs
}

function isGoodKey(state: ApiKeyState, nowMs: number): boolean {
  return !state.revoked && !state.disabled && state.expiresAtMs > nowMs
}

/** The text that claims to be an API key, from either header. Two credentials at once are nobody's: which of them would count? */
function apiKeyIn(headers: PresentedHeaders): string | undefined {
  const { authorization, 'x-api-key': header } = headers
  if (header !== undefined) {
    if (authorization !== undefined) throw unauthenticated('Send X-API-Key or Authorization, not both.')
    return String(header)
  }
  if (authorization === undefined) return undefined
  const isKey = bearer.test(authorization.slice(0, 7)) && authorization.startsWith(apiKeyPrefix, 7)
  return isKey ? authorization.slice(7) : undefined
}

const bearer = /^Bearer /i
const bearerToken = /^Bearer ([A-Za-z0-9_.-]+)$/i

function tokenIn(authorization: string): string | undefined {
  return authorization.length > authorizationCharsMax ? undefined : bearerToken.exec(authorization)?.[1]
}

/** One sentence for every reason: what exactly is wrong with a token is of use to attackers only. */
function invalidToken(): GatewayError {
  return unauthenticated('The token is not valid, or not any more: log in again.', 'invalid_token')
}

function invalidKey(): GatewayError {
  return unauthenticated('The API key is not valid, or not any more.', 'invalid_token')
}

function unauthenticated(detail: string, error?: string): GatewayError {
  const challenge = error === undefined ? 'Bearer realm="millrace"' : `Bearer realm="millrace", error="${error}"`
  return new GatewayError('UNAUTHENTICATED', detail, { headers: { 'www-authenticate': challenge } })
}
