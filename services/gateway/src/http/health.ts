import { type Check, type HealthReport, runChecks } from '@millrace/kit'
import type { FastifyReply } from 'fastify'
import { type Static, Type } from 'typebox'
import { healthCacheMs, healthCheckTimeoutMs, retryAfterSeconds } from '../limits.ts'
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

const healthShape = Type.Object({
  status: Type.Enum(['ok', 'degraded', 'down']),
  version: Type.String(),
  checks: Type.Object(
    {},
    { additionalProperties: Type.Object({ status: Type.Enum(['ok', 'down']), latency_ms: Type.Number() }) },
  ),
})

const checks = { kafka: { status: 'ok', latency_ms: 1.2 }, mysql: { status: 'ok', latency_ms: 0.8 } }
const Health = Type.Object(healthShape.properties, {
  title: 'Health',
  description: 'ok; or degraded, when something is away that most can do without.',
  examples: [{ status: 'ok', version: '0.1.0', checks }],
})
const Unhealthy = Type.Object(healthShape.properties, {
  title: 'Health',
  description: 'down: something is away that nothing works without.',
  examples: [{ status: 'down', version: '0.1.0', checks: { ...checks, kafka: { status: 'down', latency_ms: 2_000 } } }],
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
      response: { 200: Health, 503: Unhealthy },
    },
    handler: async (_request, reply) => {
      const report = await health()
      return sendReport(reply, answer(report))
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
        ...(hide ? {} : { operationId: 'getLiveness' }),
        summary: 'Whether the process serves at all',
        security: [],
        response: {
          200: Type.Object(
            { status: Type.Enum(['ok']) },
            { description: 'The process serves.', examples: [{ status: 'ok' }] },
          ),
        },
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
        ...(hide ? {} : { operationId: 'getReadiness' }),
        summary: 'Whether it can do its work now',
        security: [],
        response: { 200: Health, 503: Unhealthy },
      },
      handler: async (_request, reply) => {
        const report = await readiness()
        return sendReport(reply, answer(report))
      },
    })
  }
}

/** Load balancers and clients come back later on their own account, but it costs nothing to say when. */
function sendReport(reply: FastifyReply, report: Static<typeof healthShape>): FastifyReply {
  if (report.status !== 'down') return reply.code(200).send(report)
  return reply.code(503).header('retry-after', retryAfterSeconds).send(report)
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
