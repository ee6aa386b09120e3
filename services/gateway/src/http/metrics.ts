import { Counter, Gauge, Histogram, type Registry } from '@millrace/kit'
import { Type } from 'typebox'
import type { GatewayApp } from './gateway-app.ts'

/** What the gateway counts, besides requests. */
export interface GatewayMetrics {
  readonly registry: Registry
  items(kind: 'event' | 'lead', accepted: number, rejected: number): void
  apiLog(result: 'written' | 'dropped', entries: number): void
  undecodable(topic: string): void
  /** A request counted by this gateway alone, because the store of the rate limits is away. */
  countedAlone(): void
}

/** Figures that are read when somebody asks for them. */
export interface GaugeSources {
  readonly unacknowledgedBytes: () => number
  readonly statsStreams: () => number
  readonly statsWindows: () => Readonly<Record<string, number>>
  readonly leadsWaiting: () => number
  /** Whether requests are counted together with other gateways; undefined when that was not asked for. */
  readonly rateLimitsAreShared?: (() => boolean) | undefined
}

/** Seconds; a request that only reads memory takes less than the first, a synchronous lead may take the last. */
const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

const exampleMetrics = [
  '# HELP millrace_gateway_stats_streams Open streams of statistics',
  '# TYPE millrace_gateway_stats_streams gauge',
  'millrace_gateway_stats_streams 3',
  '',
].join('\n')

const metricsAnswer = {
  description: "Prometheus' text format.",
  content: { 'text/plain': { schema: Type.String({ examples: [exampleMetrics] }) } },
}

/** Makes the instruments on `registry`. */
export function createGatewayMetrics(registry: Registry): GatewayMetrics {
  const items = new Counter({
    name: 'millrace_gateway_items_total',
    help: 'Events and leads by whether they were taken',
    labelNames: ['kind', 'result'],
    registers: [registry],
  })
  const apiLog = new Counter({
    name: 'millrace_gateway_api_log_entries_total',
    help: 'Entries of the API log by whether they reached Kafka',
    labelNames: ['result'],
    registers: [registry],
  })
  const undecodable = new Counter({
    name: 'millrace_gateway_undecodable_records_total',
    help: 'Records of followed topics that could not be decoded',
    labelNames: ['topic'],
    registers: [registry],
  })
  const countedAlone = new Counter({
    name: 'millrace_gateway_rate_limit_alone_total',
    help: 'Requests counted by this gateway alone, because the store of the rate limits is away',
    registers: [registry],
  })
  return {
    registry,
    items(kind, accepted, rejected) {
      if (accepted > 0) items.inc({ kind, result: 'accepted' }, accepted)
      if (rejected > 0) items.inc({ kind, result: 'rejected' }, rejected)
    },
    apiLog: (result, entries) => apiLog.inc({ result }, entries),
    undecodable: (topic) => undecodable.inc({ topic }),
    countedAlone: () => countedAlone.inc(),
  }
}

/** Registers gauges that read their sources. */
export function registerGauges(registry: Registry, sources: GaugeSources): void {
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read())
      },
    })
  gauge('millrace_gateway_unacknowledged_bytes', 'Bytes that wait for Kafka', sources.unacknowledgedBytes)
  gauge('millrace_gateway_stats_streams', 'Open streams of statistics', sources.statsStreams)
  gauge('millrace_gateway_leads_waiting', 'Synchronous leads that wait for their outcome', sources.leadsWaiting)
  const { rateLimitsAreShared } = sources
  if (rateLimitsAreShared !== undefined) {
    gauge(
      'millrace_gateway_rate_limit_shared',
      '1 while the store of the rate limits answers, 0 while it is away',
      () => (rateLimitsAreShared() ? 1 : 0),
    )
  }
  new Gauge({
    name: 'millrace_gateway_stats_windows',
    help: 'Windows in memory',
    labelNames: ['interval'],
    registers: [registry],
    collect() {
      for (const [interval, size] of Object.entries(sources.statsWindows())) this.set({ interval }, size)
    },
  })
}

/** Measures every request, and serves all metrics at `/metrics`. Labels hold the route's pattern, never a path: paths are without bound. */
export function registerMetrics(app: GatewayApp, registry: Registry): void {
  const duration = new Histogram({
    name: 'millrace_gateway_request_duration_seconds',
    help: 'Requests by route and status',
    labelNames: ['method', 'route', 'status'],
    buckets: durationBuckets,
    registers: [registry],
  })
  app.addHook('onResponse', (request, reply, done) => {
    const labels = { method: request.method, route: request.routeOptions.url ?? '(unknown)', status: reply.statusCode }
    duration.observe(labels, (performance.now() - request.startedMs) / 1_000)
    done()
  })
  for (const url of ['/metrics', '/api/v1/metrics']) {
    app.route({
      method: 'GET',
      url,
      config: { access: 'public', logged: false, rateLimit: false },
      schema: {
        hide: url !== '/metrics',
        tags: ['health'],
        ...(url === '/metrics' ? { operationId: 'getMetrics' } : {}),
        summary: 'Prometheus metrics',
        security: [],
        response: { 200: metricsAnswer },
      },
      handler: async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()),
    })
  }
}
