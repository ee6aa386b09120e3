import { type Check, type HealthReport, runChecks } from '@millrace/kit'
import { Type } from 'typebox'
import { healthCacheMs, healthCheckTimeoutMs } from '../limits.ts'
import type { GatewayApp } from './gateway-app.ts'

/** What is asked about. */
export interface HealthDeps {
  /** Everything the gateway uses, for `/health`. */
  readonly checks: readonly Check[]
  /** What it cannot serve without, for `/readyz`. */
  readonly readiness: readonly Check[]
  readonly version: string
  readonly nowMs: () => number
}

const Health = Type.Object({
  status: Type.Enum(['ok', 'degraded', 'down']),
  version: Type.String(),
  checks: Type.Object(
    {},
    { additionalProperties: Type.Object({ status: Type.Enum(['ok', 'down']), latency_ms: Type.Number() }) },
  ),
})

/** `/livez`, `/readyz` and the report of every dependency, under the API's prefix and at the root. All are public, so they tell states and no reasons. */
export function registerHealth(app: GatewayApp, deps: HealthDeps): void {
  const health = cached(deps.checks, deps.nowMs)
  const readiness = cached(deps.readiness, deps.nowMs)
  const config = { access: 'public', logged: false, rateLimit: false } as const
  const tags = ['health']
  const answer = (report: HealthReport) => ({
    status: report.status,
    version: deps.version,
    checks: withoutReasons(report),
  })

  app.route({
    method: 'GET',
    url: '/api/v1/health',
    config: { access: 'public' },
    schema: {
      tags,
      operationId: 'getHealth',
      summary: 'Every dependency with its state and latency',
      security: [],
      response: { 200: Health, 503: Health },
    },
    handler: async (_request, reply) => {
      const report = await health()
      return reply.code(report.status === 'down' ? 503 : 200).send(answer(report))
    },
  })

  for (const prefix of ['', '/api/v1']) {
    const hide = prefix !== ''
    app.route({
      method: 'GET',
      url: `${prefix}/livez`,
      config,
      schema: {
        hide,
        tags,
        summary: 'Whether the process serves at all',
        security: [],
        response: { 200: Type.Object({ status: Type.Enum(['ok']) }) },
      },
      handler: async () => ({ status: 'ok' as const }),
    })
    app.route({
      method: 'GET',
      url: `${prefix}/readyz`,
      config,
      schema: {
        hide,
        tags,
        summary: 'Whether it can do its work now',
        security: [],
        response: { 200: Health, 503: Health },
      },
      handler: async (_request, reply) => {
        const report = await readiness()
        return reply.code(report.status === 'down' ? 503 : 200).send(answer(report))
      },
    })
  }
}

/** Runs checks at most once per `healthCacheMs`, and once for all who ask meanwhile: a public route must not be a lever. */
function cached(checks: readonly Check[], nowMs: () => number): () => Promise<HealthReport> {
  let report: Promise<HealthReport> | undefined
  let doneMs = Number.NEGATIVE_INFINITY
  return () => {
    if (report === undefined || nowMs() - doneMs >= healthCacheMs) {
      doneMs = Number.POSITIVE_INFINITY
      report = runChecks(checks, healthCheckTimeoutMs).finally(() => {
        doneMs = nowMs()
      })
    }
    return report
  }
}

/** Reasons hold addresses and names of servers: they are in the service's log. */
function withoutReasons(report: HealthReport): Record<string, { status: 'ok' | 'down'; latency_ms: number }> {
  return Object.fromEntries(
    Object.entries(report.checks).map(([name, { status, latency_ms }]) => [name, { status, latency_ms }]),
  )
}
