import jwt from '@fastify/jwt'
import { parseRole } from '@millrace/storage/accounts'
import type { FastifyRequest } from 'fastify'
import { Credentials, type TokenClaims } from '../accounts/credentials.ts'
import type { ApiKeyStore, SessionStore } from '../accounts/ports.ts'
import { GatewayError } from '../errors.ts'
import { accessRefreshMs, tokenClockToleranceMs } from '../limits.ts'
import type { Access, GatewayApp, Principal } from './gateway-app.ts'
import { createRefusals } from './refusals.ts'

/** How tokens are signed, and how long they and their sessions last. */
export interface TokenSettings {
  /** HS256; at least 32 bytes. */
  readonly secret: string
  /** Of an access token. */
  readonly ttlSeconds: number
  /** From a login until the next one is due, however often it is refreshed. */
  readonly sessionTtlSeconds: number
}

/** What auth needs besides. */
export interface AuthDeps extends Pick<TokenSettings, 'secret' | 'ttlSeconds'> {
  readonly sessions: Pick<SessionStore, 'states'>
  readonly apiKeys: ApiKeyStore
  readonly nowMs: () => number
}

const issuer = 'millrace'
const audience = 'millrace-api'
/** RFC 9068: an access token says that it is one, so that no other kind of token can pass for it. */
const tokenType = 'at+jwt'

/** Whose token is to be signed, and how long it is good. */
export interface TokenGrant {
  readonly userId: string
  readonly username: string
  readonly role: string
  readonly sessionId: string
  readonly ttlSeconds: number
}

/** Signs an access token. */
export type SignToken = (grant: TokenGrant) => string

/** What the routes of accounts use of it. */
export interface Auth {
  readonly signToken: SignToken
  readonly credentials: Credentials
}

/**
 * Requires a token or an API key on every route that is not public, and the route's scope. Denies by default: a route without
 * `config.access` keeps the application from starting. Must be registered before any route.
 */
export async function registerAuth(app: GatewayApp, deps: AuthDeps): Promise<Auth> {
  await registerTokens(app, deps)
  app.decorateRequest('principal', null)
  requireAccessRules(app)
  const { sessions, apiKeys, nowMs } = deps
  const verifyToken = (token: string) => verified(app, token, nowMs())
  const credentials = new Credentials({ sessions, apiKeys, verifyToken, nowMs })
  app.decorate('credentials', credentials)
  keepFresh(app, credentials)

  const refusals = createRefusals({ logger: app.log, nowMs })
  const refusalOf = (request: FastifyRequest, error: unknown) => {
    const isUnknown = error instanceof GatewayError && error.code === 'UNAUTHENTICATED'
    return isUnknown ? refusals.unauthenticated(request, error) : asError(error)
  }
  const admitted = (request: FastifyRequest, principal: Principal, access: Access | undefined) => {
    const refusal = admit(request, principal, access)
    if (refusal !== undefined) refusals.forbidden(request, principal)
    return refusal
  }

  // With a callback: a caller who is known is let in without a promise, which the busiest routes notice.
  app.addHook('onRequest', (request, _reply, done) => {
    const { access } = request.routeOptions.config
    if (request.is404 || access === 'public') return done()
    let found: Principal | Promise<Principal>
    try {
      found = credentials.identify(request.headers)
    } catch (error) {
      return done(refusalOf(request, error))
    }
    if (!(found instanceof Promise)) return done(admitted(request, found, access))
    found.then(
      (principal) => done(admitted(request, principal, access)),
      (error: unknown) => done(refusalOf(request, error)),
    )
  })

  return {
    credentials,
    signToken({ userId, username, role, sessionId, ttlSeconds }) {
      const iat = Math.floor(nowMs() / 1_000)
      const claims = { username, role, sid: sessionId, iat, exp: iat + ttlSeconds }
      return app.jwt.sign(claims, { sub: userId, jti: crypto.randomUUID() })
    },
  }
}

async function registerTokens(app: GatewayApp, { secret, ttlSeconds }: AuthDeps): Promise<void> {
  await app.register(jwt, {
    secret,
    sign: { algorithm: 'HS256', iss: issuer, aud: audience, header: { alg: 'HS256', typ: tokenType } },
    verify: {
      algorithms: ['HS256'],
      allowedIss: issuer,
      allowedAud: audience,
      checkTyp: tokenType,
      // Also `iss` and `aud`: the two `allowed…` above say nothing of a token that has none.
      requiredClaims: ['iss', 'aud', 'exp', 'iat', 'sub', 'jti', 'sid', 'role', 'username'],
      clockTolerance: tokenClockToleranceMs,
      // A token whose owner wrote a far `exp` into it is still no older than ours may be.
      maxAge: ttlSeconds + tokenClockToleranceMs / 1_000,
    },
  })
}

/** Reads the states of sessions and keys again and again. */
function keepFresh(app: GatewayApp, credentials: Credentials): void {
  let timer: NodeJS.Timeout | undefined
  let failing = false
  const refresh = async () => {
    try {
      await credentials.refresh()
      failing = false
    } catch (error) {
      if (!failing)
        app.log.warn({ err: error }, 'changes of sessions and API keys cannot be read: those known stay good')
      failing = true
    }
  }
  app.addHook('onReady', async () => {
    timer = setInterval(() => void refresh(), accessRefreshMs)
    timer.unref()
  })
  app.addHook('onClose', async () => clearInterval(timer))
}

/** Collects every route as it is registered, and refuses to start when one does not say who may use it. */
function requireAccessRules(app: GatewayApp): void {
  const open: string[] = []
  const seen: { readonly name: string; readonly access: () => Access | undefined }[] = []
  app.addHook('onRoute', (route) => {
    // Read later: the hooks of the scope in which a route stands run after this one.
    seen.push({ name: `${route.method} ${route.url}`, access: () => route.config?.access })
  })
  app.addHook('onReady', async () => {
    for (const { name, access } of seen) if (access() === undefined) open.push(name)
    if (open.length > 0) throw new Error(`routes without config.access: ${open.join(', ')}`)
  })
}

/** Notes who it is, and says so when that one may not use the route. */
function admit(request: FastifyRequest, principal: Principal, access: Access | undefined): GatewayError | undefined {
  request.principal = principal
  if (access === 'authenticated') return undefined
  if (access !== undefined && access !== 'public' && principal.scopes.includes(access)) return undefined
  const who = principal.keyId === null ? `The role "${principal.role}"` : 'This API key'
  return new GatewayError('FORBIDDEN', `${who} does not have the scope that this route requires.`)
}

/** Undefined for every token that is not exactly one of ours: fast-jwt throws for most of them, by several codes and with several statuses. */
function verified(app: GatewayApp, token: string, nowMs: number): TokenClaims | undefined {
  let claims: unknown
  try {
    claims = app.jwt.verify(token)
  } catch {
    return undefined
  }
  if (typeof claims !== 'object' || claims === null) return undefined
  const none = { sub: null, username: null, role: null, sid: null, exp: null, iat: null }
  const { sub, username, role, sid, exp, iat } = { ...none, ...claims }
  const known = parseRole(role)
  if (typeof sub !== 'string' || sub === '' || typeof username !== 'string' || known === undefined) return undefined
  if (typeof sid !== 'string' || typeof exp !== 'number' || typeof iat !== 'number') return undefined
  if (iat * 1_000 > nowMs + tokenClockToleranceMs) return undefined
  return { sub, username, role: known, sid, exp }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
