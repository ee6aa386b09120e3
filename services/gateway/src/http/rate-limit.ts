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

/** What is left to a caller. */
interface Window {
  count: number
  /** When it begins anew, milliseconds. */
  endMs: number
}

/** Counts by key, in windows of a minute that begin with a key's first request. The keys are bounded: the one that began first is forgotten. */
export class RequestCounts {
  readonly #windows = new Map<string, Window>()

  /** Counts one request, and answers how many there were, this one included, and when the window ends. Valid until the next call of the key. */
  add(key: string, nowMs: number): Readonly<Window> {
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

/**
 * Bounds requests per minute, by who sends them, and only for those whom nobody knows by the address: that one can be borrowed. Says so in the
 * headers of the IETF's draft for RateLimit fields, version 2. Must be registered after what finds out who it is. Counted without a promise, for it is done
 * for each request.
 */
export function registerRateLimit(
  app: GatewayApp,
  { perMinute, nowMs }: { readonly perMinute: number; readonly nowMs: () => number },
): void {
  const counts = new RequestCounts()
  app.addHook('onRequest', (request, reply, done) => {
    const own = request.is404 ? undefined : request.routeOptions.config.rateLimit
    if (own === false) return done()
    const max = own?.perMinute ?? perMinute
    const key =
      own === undefined
        ? (request.principal?.id ?? `address ${clientNetwork(request.ip)}`)
        : `${own.name} ${clientNetwork(request.ip)}`
    const { count, endMs } = counts.add(key, nowMs())
    const waitSeconds = Math.max(1, Math.ceil((endMs - nowMs()) / 1_000))
    reply.header('ratelimit-limit', max)
    reply.header('ratelimit-remaining', Math.max(0, max - count))
    reply.header('ratelimit-reset', waitSeconds)
    if (count <= max) return done()
    const detail = `At most ${max} such requests per minute are served.`
    done(new GatewayError('RATE_LIMITED', detail, { retryAfterSeconds: waitSeconds }))
  })
}
