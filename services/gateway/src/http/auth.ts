import jwt from '@fastify/jwt'
import { parseRole, roleScopes } from '@millrace/storage/accounts'
import type { FastifyRequest } from 'fastify'
import { GatewayError } from '../errors.ts'
import { authorizationCharsMax, tokenClockToleranceMs } from '../limits.ts'
import type { Access, GatewayApp, Principal } from './gateway-app.ts'

/** How tokens are signed and what they say. */
export interface TokenSettings {
  /** HS256; at least 32 bytes. */
  readonly secret: string
  readonly ttlSeconds: number
}

const issuer = 'millrace'
const audience = 'millrace-api'
/** RFC 9068: an access token says that it is one, so that no other kind of token can pass for it. */
const tokenType = 'at+jwt'

/** Signs the token of someone who has logged in. */
export type SignToken = (account: { readonly id: string; readonly username: string; readonly role: string }) => string

/**
 * Requires a token on every route that is not public, and the route's scope of its role. Denies by default: a route without
 * `config.access` keeps the application from starting. Must be registered before any route.
 */
export async function registerAuth(
  app: GatewayApp,
  settings: TokenSettings & { nowMs: () => number },
): Promise<SignToken> {
  await app.register(jwt, {
    secret: settings.secret,
    sign: { algorithm: 'HS256', iss: issuer, aud: audience, header: { alg: 'HS256', typ: tokenType } },
    verify: {
      algorithms: ['HS256'],
      allowedIss: issuer,
      allowedAud: audience,
      checkTyp: tokenType,
      // Also `iss` and `aud`: the two `allowed…` above say nothing of a token that has none.
      requiredClaims: ['iss', 'aud', 'exp', 'iat', 'sub', 'jti', 'role', 'username'],
      clockTolerance: tokenClockToleranceMs,
      // A token whose owner wrote a far `exp` into it is still no older than ours may be.
      maxAge: settings.ttlSeconds + tokenClockToleranceMs / 1_000,
    },
  })
  app.decorateRequest('principal', null)
  requireAccessRules(app)

  app.addHook('onRequest', async (request) => {
    if (request.is404) return
    const access = request.routeOptions.config.access
    if (access === 'public') return
    const principal = readToken(app, request, settings.nowMs())
    request.principal = principal
    authorize(principal, access)
  })

  return (account) => {
    const claims = { username: account.username, role: account.role }
    const jti = crypto.randomUUID()
    return app.jwt.sign(claims, { sub: account.id, jti, expiresIn: settings.ttlSeconds })
  }
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

function authorize(principal: Principal, access: Access | undefined): void {
  if (access === 'authenticated') return
  if (access !== undefined && access !== 'public' && roleScopes(principal.role).includes(access)) return
  throw new GatewayError('FORBIDDEN', `The role "${principal.role}" does not have the scope that this route requires.`)
}

function readToken(app: GatewayApp, request: FastifyRequest, nowMs: number): Principal {
  const header = request.headers.authorization
  if (header === undefined)
    throw unauthenticated('Send "Authorization: Bearer <token>" with a token from POST /api/v1/login.')
  const match = header.length > authorizationCharsMax ? null : /^Bearer ([A-Za-z0-9_.-]+)$/i.exec(header)
  const principal = match?.[1] === undefined ? undefined : verified(app, match[1], nowMs)
  // One sentence for every reason: what exactly is wrong with a token is of use to attackers only.
  if (principal === undefined)
    throw unauthenticated('The token is not valid, or not any more: log in again.', 'invalid_token')
  return principal
}

/** Undefined for every token that is not exactly one of ours: fast-jwt throws for most of them, by several codes and with several statuses. */
function verified(app: GatewayApp, token: string, nowMs: number): Principal | undefined {
  let claims: unknown
  try {
    claims = app.jwt.verify(token)
  } catch {
    return undefined
  }
  if (typeof claims !== 'object' || claims === null) return undefined
  const { sub, username, role, exp, iat } = { sub: null, username: null, role: null, exp: null, iat: null, ...claims }
  const known = parseRole(role)
  if (typeof sub !== 'string' || sub === '' || typeof username !== 'string' || known === undefined) return undefined
  if (typeof exp !== 'number' || typeof iat !== 'number') return undefined
  if (iat * 1_000 > nowMs + tokenClockToleranceMs) return undefined
  return { id: sub, username, role: known, expiresAt: exp }
}

function unauthenticated(detail: string, error?: string): GatewayError {
  const challenge = error === undefined ? 'Bearer realm="millrace"' : `Bearer realm="millrace", error="${error}"`
  return new GatewayError('UNAUTHENTICATED', detail, { headers: { 'www-authenticate': challenge } })
}
