import type { FastifyReply } from 'fastify'
import { GatewayError } from '../errors.ts'
import { rateLimitKeysMax, rateLimitWindowMs } from '../limits.ts'
import { clientNetwork } from './client-address.ts'
import type { GatewayApp } from './gateway-app.ts'

/** A bound of a route's own, counted by address: for routes where nobody is known yet. */
export interface AddressLimit {
  /** Routes of one name are counted together. */
  readonly name: string
  readonly perMinute: number
}

/** How many requests a caller has sent in its window. */
export interface Counted {
  /** This one included; more than the limit when it is one too many. */
  readonly count: number
  /** When the window ends, milliseconds. */
  readonly endMs: number
}

/** Counts requests by key in windows of a minute. */
export interface RequestCounter {
  /** Counts one request, of at most `max`. Valid until the next call of the key. Never throws or rejects: a counter that fails counts otherwise. */
  add(key: string, nowMs: number, max: number): Counted | Promise<Counted>
}

interface Window extends Counted {
  count: number
}

/** Counts in memory, in windows that begin with a key's first request. The keys are bounded: the one that began first is forgotten. */
export class RequestCounts implements RequestCounter {
  readonly #windows = new Map<string, Window>()

  add(key: string, nowMs: number): Counted {
    const known = this.#windows.get(key)
    if (known !== undefined && nowMs < known.endMs) {
      known.count++
      return known
    }
    // Made anew, so that the map stays in the order in which windows end.
    this.#windows.delete(key)
    const window = { count: 1, endMs: nowMs + rateLimitWindowMs }
    this.#windows.set(key, window)
    if (this.#windows.size > rateLimitKeysMax) {
      const oldest = this.#windows.keys().next()
      if (oldest.done !== true) this.#windows.delete(oldest.value)
    }
    return window
  }
}

/** How requests are bounded. */
export interface RateLimitDeps {
  readonly perMinute: number
  readonly nowMs: () => number
  /** Where they are counted: in memory, unless several gateways count together. */
  readonly counter?: RequestCounter | undefined
}

/**
 * Bounds requests per minute, by who sends them, and only for those whom nobody knows by the address: that one can be borrowed. Says so in the
 * headers of the IETF's draft for RateLimit fields (draft-ietf-httpapi-ratelimit-headers-11): `RateLimit-Policy` with the quota `q` and the window `w` in
 * seconds, `RateLimit` with the rest `r` and the seconds `t` until there is more. Must be registered after what finds out who it is. Counted without a
 * promise where that can be, for it is done for each request.
 */
export function registerRateLimit(app: GatewayApp, deps: RateLimitDeps): void {
  const { perMinute, nowMs, counter = new RequestCounts() } = deps
  app.addHook('onRequest', (request, reply, done) => {
    const own = request.is404 ? undefined : request.routeOptions.config.rateLimit
    if (own === false) return done()
    const max = own?.perMinute ?? perMinute
    const policy = own?.name ?? (request.principal === null ? 'address' : 'account')
    const who = own === undefined ? request.principal?.id : undefined
    const key = who ?? `${policy} ${clientNetwork(request.ip)}`
    const counted = counter.add(key, nowMs(), max)
    if (!(counted instanceof Promise)) return done(tell(reply, { policy, max, nowMs: nowMs() }, counted))
    counted.then((value) => done(tell(reply, { policy, max, nowMs: nowMs() }, value)), done)
  })
}

/** Sets the headers; an error when it is one request too many. */
function tell(
  reply: FastifyReply,
  { policy, max, nowMs }: { readonly policy: string; readonly max: number; readonly nowMs: number },
  { count, endMs }: Counted,
): GatewayError | undefined {
  const waitSeconds = Math.max(1, Math.ceil((endMs - nowMs) / 1_000))
  reply.header('ratelimit-policy', `"${policy}";q=${max};w=${rateLimitWindowMs / 1_000}`)
  reply.header('ratelimit', `"${policy}";r=${Math.max(0, max - count)};t=${waitSeconds}`)
  if (count <= max) return undefined
  const detail = `At most ${max} such requests per minute are served.`
  return new GatewayError('RATE_LIMITED', detail, { retryAfterSeconds: waitSeconds })
}
