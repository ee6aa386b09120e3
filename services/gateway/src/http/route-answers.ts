import type { FastifyContextConfig } from 'fastify'
import { type GatewayErrorCode, problems } from '../errors.ts'
import type { ProblemResponse } from '../schema/response.ts'

/** What a route's registration says that its answers depend on. */
export interface RouteFacts {
  readonly method: string
  /** As routes write it, with `:name`. */
  readonly url: string
  readonly config: FastifyContextConfig
  readonly schema: {
    readonly body?: unknown
    readonly querystring?: unknown
    readonly params?: unknown
    readonly headers?: unknown
    readonly response?: unknown
  }
}

/** Node or Fastify answer these before a route is found, or whatever the route. */
export const problemsOfEveryRoute = [
  'BAD_REQUEST',
  'REQUEST_TIMEOUT',
  'HEADERS_TOO_LARGE',
  'INTERNAL',
  'OVERLOADED',
  'NOT_READY',
] as const
const ofBodies = [
  'INVALID_JSON',
  'INVALID_COMPRESSION',
  'INVALID_BODY',
  'BODY_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
] as const
const bodyMethods: readonly string[] = ['POST', 'PUT', 'PATCH', 'DELETE']

/** Every error that a route can answer with: those it names, and those that follow from what it takes and from whom. */
export function problemsOfRoute({ method, url, config, schema }: RouteFacts): GatewayErrorCode[] {
  const codes = new Set<GatewayErrorCode>(problemsOfEveryRoute)
  const add = (...more: readonly GatewayErrorCode[]) => {
    for (const code of more) codes.add(code)
  }
  if (config.access !== 'public') add('UNAUTHENTICATED', 'STORE_UNAVAILABLE')
  if (config.access !== 'public' && config.access !== 'authenticated') add('FORBIDDEN')
  if (config.rateLimit !== false) add('RATE_LIMITED')
  if (schema.querystring !== undefined || schema.params !== undefined || schema.headers !== undefined) {
    add('INVALID_PARAMETER')
  }
  if (url.includes(':')) add('URI_TOO_LONG')
  if (takesBody(method)) add(...ofBodies)
  add(...namedProblems(schema.response))
  return Object.keys(problems).filter(isOneOf(codes))
}

/** Whether requests with this method may have a body, whether or not the route has a use for it. */
export function takesBody(method: string): boolean {
  return bodyMethods.includes(method)
}

function isOneOf(codes: ReadonlySet<string>) {
  return (name: string): name is GatewayErrorCode => codes.has(name)
}

function namedProblems(response: unknown): readonly GatewayErrorCode[] {
  if (typeof response !== 'object' || response === null) return []
  return Object.values(response).flatMap((entry: unknown) => (isProblemResponse(entry) ? entry.problemCodes : []))
}

function isProblemResponse(entry: unknown): entry is ProblemResponse {
  return typeof entry === 'object' && entry !== null && 'problemCodes' in entry
}
