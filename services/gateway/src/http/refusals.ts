import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import { GatewayError } from '../errors.ts'
import { forbiddenLoggedPerMinuteMax, unauthenticatedPerMinuteMax } from '../limits.ts'
import { traceFields } from '../tracing/request-tracing.ts'
import { clientNetwork } from './client-address.ts'
import type { Principal } from './gateway-app.ts'
import { RequestCounts } from './rate-limit.ts'

/** Keeps an eye on those who are not let in. */
export interface Refusals {
  /**
   * What a request without good credentials is answered with: 401, and from `unauthenticatedPerMinuteMax` of one address within a minute on
   * `RATE_LIMITED`. Callers with good credentials never come here, so whoever shares the address with someone who guesses is not locked out.
   */
  unauthenticated(request: FastifyRequest, error: GatewayError): GatewayError
  /** Logs a caller who asked for more than it may, under the name of OWASP's logging vocabulary; a few times a minute for each. */
  forbidden(request: FastifyRequest, principal: Principal): void
}

/** Makes refusals that count from zero. */
export function createRefusals(deps: { readonly logger: FastifyBaseLogger; readonly nowMs: () => number }): Refusals {
  const { logger, nowMs } = deps
  const unknown = new RequestCounts()
  const forbidden = new RequestCounts()
  return {
    unauthenticated(request, error) {
      const { count, endMs } = unknown.add(clientNetwork(request.ip), nowMs())
      if (count <= unauthenticatedPerMinuteMax) return error
      const detail = `At most ${unauthenticatedPerMinuteMax} requests per minute and address are told that their credentials are not good.`
      const retryAfterSeconds = Math.max(1, Math.ceil((endMs - nowMs()) / 1_000))
      return new GatewayError('RATE_LIMITED', detail, { retryAfterSeconds })
    },

    forbidden(request, { id, keyId }) {
      if (forbidden.add(id, nowMs()).count > forbiddenLoggedPerMinuteMax) return
      const { url: route } = request.routeOptions
      const by = keyId === null ? 'role' : 'API key'
      const { method, id: requestId } = request
      const trace = traceFields(request)
      const fields = { code: 'authz_fail', principal: id, route, method, request_id: requestId, ...trace }
      logger.warn(fields, `a caller was refused what its ${by} does not allow`)
    },
  }
}
