import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { Role, Scope } from '@millrace/storage/accounts'
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, RawServerDefault } from 'fastify'
import type { Credentials } from '../accounts/credentials.ts'
import type { GatewayErrorCode } from '../errors.ts'
import type { JsonFault } from '../json/json-cursor.ts'
import type { AddressLimit } from './rate-limit.ts'

/** The Fastify instance that every plugin and route of the gateway is written for. */
export type GatewayApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

/** Who sends a request: by a session's access token, or by an API key. */
export type Principal = Caller &
  ({ readonly sessionId: string; readonly keyId: null } | { readonly sessionId: null; readonly keyId: string })

interface Caller {
  /** The account's id: what leads, events and logs name. */
  readonly id: string
  readonly username: string
  readonly role: Role
  /** What this caller may do: all that the role may, or of it what the API key was made for. */
  readonly scopes: readonly Scope[]
  /** When the token or key ends, UNIX seconds. */
  readonly expiresAt: number
}

/** Who may use a route: everyone, everyone with a token or key, or those who have the scope. */
export type Access = 'public' | 'authenticated' | Scope

declare module 'fastify' {
  interface FastifyInstance {
    credentials: Credentials
  }

  interface FastifyContextConfig {
    /** Required: a route that does not say keeps the service from starting. */
    access?: Access
    /** False for probes, which are not counted; otherwise a bound of the route's own in place of everybody's. */
    rateLimit?: false | AddressLimit
    /** False for probes and files, which would only fill the API's log. */
    logged?: boolean
  }

  interface FastifyRequest {
    principal: Principal | null
    receivedAtMs: number
    /** For durations: `performance.now()`. */
    startedMs: number
    bodyBytes: number
    /** What of a parsed body's content cannot be taken as it is. */
    bodyFaults: readonly JsonFault[] | null
    problemCode: GatewayErrorCode | null
    /** Of routes that take several things: how many were taken, and how many not. */
    itemsAccepted: number | null
    itemsRejected: number | null
  }
}

/** The caller of a route that is not public. */
export function principalOf(request: FastifyRequest): Principal {
  if (request.principal === null) throw new Error('a route asked for its caller without having any access rule')
  return request.principal
}
