import { roleScopes, roles, scopes } from '@millrace/storage/accounts'
import { Type } from 'typebox'
import type { SignToken } from '../http/auth.ts'
import { type GatewayApp, principalOf } from '../http/gateway-app.ts'
import { loginsPerMinuteMax, passwordCharsMax, usernameCharsMax } from '../limits.ts'
import { problemResponses } from '../schema/response.ts'
import type { Login } from './login.ts'

const LoginBody = Type.Object(
  {
    username: Type.String({ minLength: 1, maxLength: usernameCharsMax }),
    password: Type.String({ minLength: 1, maxLength: passwordCharsMax }),
  },
  { additionalProperties: false, examples: [{ username: 'admin', password: 'password' }] },
)

const LoginAnswer = Type.Object({
  token: Type.String(),
  token_type: Type.Enum(['Bearer']),
  expires_in: Type.Integer({ description: 'Seconds.' }),
})

const Profile = Type.Object({
  user_id: Type.String(),
  username: Type.String(),
  role: Type.Enum([...roles]),
  roles: Type.Array(Type.Enum([...roles])),
  scopes: Type.Array(Type.Enum([...scopes])),
  token_expires_at: Type.Integer({ description: 'UNIX milliseconds.' }),
})

/** Login and profile. */
export function registerAccountRoutes(
  app: GatewayApp,
  deps: { readonly login: Login; readonly signToken: SignToken; readonly tokenTtlSeconds: number },
): void {
  app.route({
    method: 'POST',
    url: '/api/v1/login',
    config: {
      access: 'public',
      // Nobody is known yet, so this one is counted by address; the bound per account is in the login itself.
      rateLimit: { max: loginsPerMinuteMax, timeWindow: 60_000, keyGenerator: (request) => `login ${request.ip}` },
    },
    schema: {
      tags: ['accounts'],
      operationId: 'login',
      summary: 'Username and password for a bearer token',
      security: [],
      body: LoginBody,
      response: {
        200: LoginAnswer,
        ...problemResponses(
          'INVALID_JSON',
          'INVALID_BODY',
          'INVALID_CREDENTIALS',
          'RATE_LIMITED',
          'TOO_MANY_ATTEMPTS',
          'STORE_UNAVAILABLE',
        ),
      },
    },
    handler: async ({ body }) => {
      const account = await deps.login.check(body.username, body.password)
      const expiresIn = deps.tokenTtlSeconds
      return { token: deps.signToken(account), token_type: 'Bearer' as const, expires_in: expiresIn }
    },
  })

  for (const method of ['GET', 'POST'] as const) {
    app.route({
      method,
      url: '/api/v1/user/profile',
      config: { access: 'authenticated' },
      schema: {
        tags: ['accounts'],
        operationId: method === 'GET' ? 'getProfile' : 'postProfile',
        summary: 'Who am I, and what may I do',
        response: { 200: Profile, ...problemResponses('UNAUTHENTICATED', 'RATE_LIMITED') },
      },
      handler: async (request) => {
        const { id, username, role, expiresAt } = principalOf(request)
        const granted = [...roleScopes(role)]
        return { user_id: id, username, role, roles: [role], scopes: granted, token_expires_at: expiresAt * 1_000 }
      },
    })
  }
}
