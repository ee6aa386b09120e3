import {
  formatApiKey,
  hashSecret,
  makeApiKey,
  parseRole,
  roleScopes,
  type Scope,
  scopes,
} from '@millrace/storage/accounts'
import { apiKeysMax, StorageError } from '@millrace/storage/mysql'
import { Type } from 'typebox'
import { type Fault, GatewayError } from '../errors.ts'
import { type GatewayApp, type Principal, principalOf } from '../http/gateway-app.ts'
import { invalidBody } from '../http/validation.ts'
import {
  apiKeyDaysDefault,
  apiKeyDaysMax,
  apiKeyLabelCharsMax,
  apiKeysListDefault,
  apiKeysListMax,
  usernameCharsMax,
} from '../limits.ts'
import { problemResponses } from '../schema/response.ts'
import type { Account, AccountStore, ApiKeyKeeper, KeptApiKey } from './ports.ts'

/** What the routes of API keys need. */
export interface ApiKeyRoutesDeps {
  readonly keys: ApiKeyKeeper
  readonly users: AccountStore
  /** Called when a key was revoked: the gateway that was told refuses it at once. */
  readonly onRevoked: (keyId: string) => void
  readonly nowMs: () => number
}

const dayMs = 86_400_000
const exampleKeyId = 'q83vEjRWeJq83vEj'
const states = ['good', 'revoked', 'expired', 'account_disabled'] as const

const username = Type.String({ minLength: 1, maxLength: usernameCharsMax, examples: ['shop'] })

const ListQuery = Type.Object(
  {
    username: Type.Optional(Type.String({ ...username, description: 'Of this account only.' })),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: apiKeysListMax,
        default: apiKeysListDefault,
        examples: [apiKeysListDefault],
      }),
    ),
  },
  { additionalProperties: false },
)

const keyMembers = {
  key_id: Type.String(),
  username: Type.String({ description: 'The account that it acts for.' }),
  scopes: Type.Array(Type.Enum([...scopes])),
  label: Type.String(),
  expires_at: Type.Integer({ description: 'UNIX milliseconds.' }),
}
const exampleKey = {
  key_id: exampleKeyId,
  username: 'shop',
  scopes: ['events:write'],
  label: 'shop backend',
  expires_at: 1_795_536_000_000,
}

const KeyList = Type.Object(
  {
    keys: Type.Array(
      Type.Object({
        ...keyMembers,
        state: Type.Enum([...states]),
        created_at: Type.Integer({ description: 'UNIX milliseconds.' }),
        last_used_at: Type.Unsafe<number | null>({
          type: ['integer', 'null'],
          description: 'UNIX milliseconds, to within a minute; null when it never was.',
        }),
      }),
      { description: 'The newest first.' },
    ),
    truncated: Type.Boolean({ description: 'There are more keys than `limit`.' }),
  },
  {
    title: 'ApiKeys',
    description: 'The keys, without what would let anybody in.',
    examples: [
      {
        keys: [{ ...exampleKey, state: 'good', created_at: 1_764_000_000_000, last_used_at: null }],
        truncated: false,
      },
    ],
  },
)

const NewKey = Type.Object(
  {
    username: Type.Optional(
      Type.String({ ...username, description: 'The account that it acts for; without it, your own.' }),
    ),
    scopes: Type.Array(Type.Enum([...scopes]), {
      minItems: 1,
      maxItems: scopes.length,
      uniqueItems: true,
      description: 'What it may do: of what the role of its account has, and of what you have yourself.',
    }),
    label: Type.Optional(
      Type.String({
        maxLength: apiKeyLabelCharsMax,
        pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]*$',
        'x-rule': 'must not hold control characters',
        description: 'What it is for, in your words.',
      }),
    ),
    expires_in_days: Type.Optional(Type.Integer({ minimum: 1, maximum: apiKeyDaysMax, default: apiKeyDaysDefault })),
  },
  {
    additionalProperties: false,
    examples: [{ username: 'shop', scopes: ['events:write'], label: 'shop backend', expires_in_days: 365 }],
  },
)

const CreatedKey = Type.Object(
  { key: Type.String({ description: 'Shown once: only its hash is kept.' }), ...keyMembers },
  {
    title: 'CreatedApiKey',
    description: 'The key. It is not shown again.',
    examples: [{ key: `mk_${exampleKeyId}_Tm9ib2R5IGhhcyB0aGlzIGtleSwgaXQgaXMgYW4gZXg`, ...exampleKey }],
  },
)

/** Lists, makes and revokes API keys. */
export function registerApiKeyRoutes(app: GatewayApp, deps: ApiKeyRoutesDeps): void {
  registerList(app, deps)
  registerCreate(app, deps)
  registerRevoke(app, deps)
}

function registerList(app: GatewayApp, { keys, nowMs }: ApiKeyRoutesDeps): void {
  app.route({
    method: 'GET',
    url: '/api/v1/api-keys',
    config: { access: 'api-keys:read' },
    schema: {
      tags: ['accounts'],
      operationId: 'getApiKeys',
      summary: 'API keys, the newest first',
      querystring: ListQuery,
      response: { 200: KeyList, ...problemResponses('INVALID_PARAMETER', 'STORE_UNAVAILABLE') },
    },
    handler: async ({ query }) => {
      const limit = query.limit ?? apiKeysListDefault
      // One more than asked for tells whether there are others.
      const found = await keys.newest({ username: query.username, limit: limit + 1 })
      return { keys: found.slice(0, limit).map((key) => toListed(key, nowMs())), truncated: found.length > limit }
    },
  })
}

function registerCreate(app: GatewayApp, deps: ApiKeyRoutesDeps): void {
  const { keys, users, nowMs } = deps
  app.route({
    method: 'POST',
    url: '/api/v1/api-keys',
    config: { access: 'api-keys:write' },
    schema: {
      tags: ['accounts'],
      operationId: 'createApiKey',
      summary: 'Make an API key; it is shown once',
      body: NewKey,
      response: {
        201: CreatedKey,
        ...problemResponses('INVALID_JSON', 'INVALID_BODY', 'API_KEY_LIMIT', 'STORE_UNAVAILABLE'),
      },
    },
    handler: async (request, reply) => {
      const { body } = request
      const principal = principalOf(request)
      const owner = await users.findByUsername(body.username ?? principal.username)
      const faults = faultsOf(body.scopes, owner, principal)
      if (owner === undefined || faults.length > 0) throw invalidBody(faults)
      const key = makeApiKey()
      const expiresAtMs = nowMs() + (body.expires_in_days ?? apiKeyDaysDefault) * dayMs
      const { scopes: granted, label = '' } = body
      const kept = { id: key.id, username: owner.username, label, scopes: granted, expiresAtMs }
      const by = { actor: principal.id, requestId: request.id }
      await keys.create({ ...kept, secretHash: hashSecret(key.secret) }, by).catch(translateRefusal)
      // Nothing on the way may keep what is shown once.
      return reply
        .code(201)
        .header('cache-control', 'no-store')
        .send({ key: formatApiKey(key), ...toShown(kept) })
    },
  })
}

function registerRevoke(app: GatewayApp, { keys, onRevoked }: ApiKeyRoutesDeps): void {
  app.route({
    method: 'DELETE',
    url: '/api/v1/api-keys/:key_id',
    config: { access: 'api-keys:write' },
    schema: {
      tags: ['accounts'],
      operationId: 'revokeApiKey',
      summary: 'Revoke an API key, for good',
      params: Type.Object({
        key_id: Type.String({
          pattern: '^[A-Za-z0-9_-]{1,64}$',
          'x-rule': 'must be the id of a key',
          examples: [exampleKeyId],
        }),
      }),
      response: {
        204: Type.Unsafe<undefined>({ type: 'null', description: 'The key is revoked.' }),
        ...problemResponses('INVALID_PARAMETER', 'API_KEY_NOT_FOUND', 'STORE_UNAVAILABLE'),
      },
    },
    handler: async (request, reply) => {
      const { key_id: keyId } = request.params
      if (!(await keys.revoke(keyId, { actor: principalOf(request).id, requestId: request.id }))) {
        throw new GatewayError('API_KEY_NOT_FOUND', 'There is no key with this id that is not revoked already.')
      }
      onRevoked(keyId)
      return reply.code(204).send(undefined)
    },
  })
}

/** The account was there a moment ago: that it has too many keys is all that the store refuses. */
function translateRefusal(cause: unknown): never {
  if (!(cause instanceof StorageError) || cause.code !== 'ROW_REFUSED') throw cause
  const detail = `The account has ${apiKeysMax} keys, the most it may have: revoke one that is not needed.`
  throw new GatewayError('API_KEY_LIMIT', detail, { cause })
}

/** A key may do nothing that its account may not, and nobody gives what he does not have: a key that makes keys would otherwise be all of them. */
function faultsOf(wanted: readonly Scope[], owner: Account | undefined, by: Principal): Fault[] {
  const role = parseRole(owner?.role)
  if (owner === undefined || role === undefined) {
    return [{ in: 'body', pointer: '/username', detail: 'is not the name of an account' }]
  }
  const ofRole = roleScopes(role)
  return wanted.flatMap((scope, index) => {
    const detail = !ofRole.includes(scope)
      ? `is not a scope of the account's role, which is "${role}"`
      : 'is not a scope of yours: nobody can give what he does not have'
    const isFine = ofRole.includes(scope) && by.scopes.includes(scope)
    return isFine ? [] : [{ in: 'body' as const, pointer: `/scopes/${index}`, detail }]
  })
}

function toShown({
  id,
  username: owner,
  scopes: granted,
  label,
  expiresAtMs,
}: Omit<KeptApiKey, 'createdAtMs' | 'lastUsedAtMs' | 'revoked' | 'disabled'>) {
  return { key_id: id, username: owner, scopes: [...granted], label, expires_at: expiresAtMs }
}

function toListed(key: KeptApiKey, nowMs: number) {
  const { createdAtMs, lastUsedAtMs } = key
  return { ...toShown(key), state: stateOf(key, nowMs), created_at: createdAtMs, last_used_at: lastUsedAtMs }
}

function stateOf({ revoked, disabled, expiresAtMs }: KeptApiKey, nowMs: number): (typeof states)[number] {
  if (revoked) return 'revoked'
  if (disabled) return 'account_disabled'
  return expiresAtMs <= nowMs ? 'expired' : 'good'
}
