import { roles, scopes } from '@millrace/storage/accounts'
import { Type } from 'typebox'
import { GatewayError } from '../errors.ts'
import { type GatewayApp, principalOf } from '../http/gateway-app.ts'
import { loginsPerMinuteMax, passwordCharsMax, refreshTokenCharsMax, usernameCharsMax } from '../limits.ts'
import { problemResponses } from '../schema/response.ts'
import type { Login } from './login.ts'
import type { Sessions, Tokens } from './sessions.ts'

const LoginBody = Type.Object(
  {
    username: Type.String({ minLength: 1, maxLength: usernameCharsMax }),
    password: Type.String({ minLength: 1, maxLength: passwordCharsMax }),
  },
  { additionalProperties: false, examples: [{ username: 'admin', password: 'password' }] },
)

const RefreshBody = Type.Object(
  { refresh_token: Type.String({ minLength: 1, maxLength: refreshTokenCharsMax }) },
  {
    additionalProperties: false,
    examples: [{ refresh_token: 'mr_Tm9ib2R5IGhhcyBpdA_bm9ib2R5IGhhcyB0aGlzIHJlZnJlc2ggdG9rZW4gIQQ' }],
  },
)

const TokensAnswer = Type.Object(
  {
    token: Type.String({ description: 'The access token.' }),
    token_type: Type.Enum(['Bearer']),
    expires_in: Type.Integer({ description: 'Of the access token, in seconds.' }),
    refresh_token: Type.String({ description: 'Good once: a refresh gives the next one.' }),
    refresh_expires_in: Type.Integer({ description: 'Until the session ends, in seconds.' }),
  },
  {
    title: 'Tokens',
    description: 'The tokens of a session.',
    examples: [
      {
        token: 'eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJ1LTEifQ.c2lnbmF0dXJl',
        token_type: 'Bearer',
        expires_in: 900,
        refresh_token: 'mr_Tm9ib2R5IGhhcyBpdA_bm9ib2R5IGhhcyB0aGlzIHJlZnJlc2ggdG9rZW4gIQQ',
        refresh_expires_in: 604_800,
      },
    ],
  },
)

const Profile = Type.Object(
  {
    user_id: Type.String(),
    username: Type.String(),
    role: Type.Enum([...roles]),
    roles: Type.Array(Type.Enum([...roles])),
    scopes: Type.Array(Type.Enum([...scopes])),
    token_expires_at: Type.Integer({ description: 'UNIX milliseconds; of an API key, when that ends.' }),
  },
  {
    title: 'Profile',
    description: 'Who sends this, and what they may do.',
    examples: [
      {
        user_id: '0190c5a4-0000-7000-8000-000000000001',
        username: 'analyst',
        role: 'analyst',
        roles: ['analyst'],
        scopes: ['events:read', 'stats:read'],
        token_expires_at: 1_764_000_900_000,
      },
    ],
  },
)

/** What the account routes use. */
export interface AccountRoutesDeps {
  readonly login: Login
  readonly sessions: Sessions
}

/** Login, refresh, logout and profile. */
export function registerAccountRoutes(app: GatewayApp, deps: AccountRoutesDeps): void {
  registerTokens(app, deps)
  registerLogout(app, deps.sessions)
  registerProfile(app)
}

function registerTokens(app: GatewayApp, { login, sessions }: AccountRoutesDeps): void {
  app.route({
    method: 'POST',
    url: '/api/v1/login',
    config: openToAll('login'),
    schema: {
      tags: ['accounts'],
      operationId: 'login',
      summary: 'Username and password for an access token and a refresh token',
      security: [],
      body: LoginBody,
      response: {
        200: TokensAnswer,
        ...problemResponses(
          'INVALID_JSON',
          'INVALID_BODY',
          'INVALID_CREDENTIALS',
          'RATE_LIMITED',
          'TOO_MANY_ATTEMPTS',
          'OVERLOADED',
          'STORE_UNAVAILABLE',
        ),
      },
    },
    handler: async ({ body, id: requestId }) => {
      const account = await login.check({ ...body, requestId })
      return answerOf(await sessions.open(account, requestId))
    },
  })

  app.route({
    method: 'POST',
    url: '/api/v1/token/refresh',
    config: openToAll('refresh'),
    schema: {
      tags: ['accounts'],
      operationId: 'refreshToken',
      summary: 'A refresh token for new tokens',
      description: 'Each refresh token is good once. When one comes a second time, its whole session ends.',
      security: [],
      body: RefreshBody,
      response: {
        200: TokensAnswer,
        ...problemResponses(
          'INVALID_JSON',
          'INVALID_BODY',
          'INVALID_REFRESH_TOKEN',
          'RATE_LIMITED',
          'STORE_UNAVAILABLE',
        ),
      },
    },
    handler: async ({ body, id }) => answerOf(await sessions.refresh(body.refresh_token, id)),
  })
}

function registerLogout(app: GatewayApp, sessions: Sessions): void {
  app.route({
    method: 'POST',
    url: '/api/v1/logout',
    config: { access: 'authenticated' },
    schema: {
      tags: ['accounts'],
      operationId: 'logout',
      summary: 'End the session: its refresh token and all of its access tokens',
      response: {
        204: Type.Unsafe<undefined>({ type: 'null', description: 'The session is over.' }),
        ...problemResponses('UNAUTHENTICATED', 'FORBIDDEN', 'RATE_LIMITED', 'STORE_UNAVAILABLE'),
      },
    },
    handler: async (request, reply) => {
      const { id: userId, sessionId } = principalOf(request)
      if (sessionId === null) {
        throw new GatewayError('FORBIDDEN', 'An API key has no session to end: revoke it with `millrace keys revoke`.')
      }
      await sessions.end({ id: sessionId, userId, requestId: request.id })
      return reply.code(204).send(undefined)
    },
  })
}

function registerProfile(app: GatewayApp): void {
  for (const method of ['GET', 'POST'] as const) {
    app.route({
      method,
      url: '/api/v1/user/profile',
      config: { access: 'authenticated' },
      schema: {
        tags: ['accounts'],
        operationId: method === 'GET' ? 'getProfile' : 'postProfile',
        summary: 'Who am I, and what may I do',
        response: { 200: Profile, ...problemResponses('UNAUTHENTICATED', 'RATE_LIMITED', 'STORE_UNAVAILABLE') },
      },
      handler: async (request) => {
        const { id, username, role, scopes: granted, expiresAt } = principalOf(request)
        return {
          user_id: id,
          username,
          role,
          roles: [role],
          scopes: [...granted],
          token_expires_at: expiresAt * 1_000,
        }
      },
    })
  }
}

/** Nobody is known yet, so these are counted by address; the bounds per account and for all are in the login itself. */
function openToAll(name: string) {
  return {
    access: 'public',
    rateLimit: { name, perMinute: loginsPerMinuteMax },
  } as const
}

function answerOf(tokens: Tokens) {
  return {
    token: tokens.accessToken,
    token_type: 'Bearer' as const,
    expires_in: tokens.accessTtlSeconds,
    refresh_token: tokens.refreshToken,
    refresh_expires_in: tokens.sessionTtlSeconds,
  }
}
