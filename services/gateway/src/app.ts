import { AsyncLocalStorage } from 'node:async_hooks'
import cors from '@fastify/cors'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import underPressure from '@fastify/under-pressure'
import type { Check } from '@millrace/kit'
import type { Lead } from '@millrace/schemas'
import { type FastifyBaseLogger, fastify, LogController } from 'fastify'
import { registerAccountRoutes } from './accounts/account-routes.ts'
import { registerApiKeyRoutes } from './accounts/api-key-routes.ts'
import { createLogin } from './accounts/login.ts'
import type { AccountStores } from './accounts/ports.ts'
import { createSessions } from './accounts/sessions.ts'
import { startAccountUpkeep } from './accounts/upkeep.ts'
import { GatewayError } from './errors.ts'
import { registerEventRoutes } from './events/event-routes.ts'
import type { EventIntake, EventStore } from './events/ports.ts'
import { createStoredWatch } from './events/stored-watch.ts'
import { type ApiLogSink, registerApiLog } from './http/api-log.ts'
import { type Auth, registerAuth, type TokenSettings } from './http/auth.ts'
import { registerBodies } from './http/body.ts'
import { type BodyBudget, registerBodyBudget } from './http/body-budget.ts'
import { registerConsole } from './http/console.ts'
import type { GatewayApp } from './http/gateway-app.ts'
import { registerHealth } from './http/health.ts'
import { registerHttpVersion } from './http/http-version.ts'
import { type GatewayMetrics, registerMetrics } from './http/metrics.ts'
import { registerNotFound } from './http/not-found.ts'
import { registerDocs, registerOpenApi } from './http/openapi.ts'
import { answerBrokenRequest, sendProblem } from './http/problem.ts'
import { type RequestCounter, registerRateLimit } from './http/rate-limit.ts'
import { registerSecurityHeaders } from './http/security-headers.ts'
import { registerValidation } from './http/validation.ts'
import type { TopicWriter } from './kafka/ports.ts'
import { registerFieldRoutes } from './leads/field-routes.ts'
import { LeadAnswers } from './leads/lead-answers.ts'
import type { LeadOutcomes } from './leads/lead-outcomes.ts'
import { registerLeadPrivacyRoutes } from './leads/lead-privacy-routes.ts'
import { registerLeadQueryRoutes } from './leads/lead-query-routes.ts'
import { createLeadReader } from './leads/lead-reader.ts'
import { registerLeadRoutes } from './leads/lead-routes.ts'
import type { LeadSealer } from './leads/lead-sealer.ts'
import { createLeadDesk } from './leads/lead-submission.ts'
import type { LiveLeadFields } from './leads/live-fields.ts'
import type { LeadFieldStore, LeadPrivacyStore, LeadStore } from './leads/ports.ts'
import {
  bodyBytesMax,
  connectionsCheckMs,
  connectionsMax,
  connectionTimeoutMs,
  headersTimeoutMs,
  keepAliveTimeoutMs,
  leadCloseWaitMs,
  pathParamCharsMax,
  receivedBytesMax,
  receivedBytesPerAccountMax,
  requestTimeoutMs,
  retryAfterSeconds,
} from './limits.ts'
import { registerOperationsRoutes } from './operations/operations-routes.ts'
import type { OperationsDesk } from './operations/ports.ts'
import type { StatsHub } from './stats/stats-hub.ts'
import type { StatsReader } from './stats/stats-reader.ts'
import { registerStatsRoutes, registerStatsStreams } from './stats/stats-routes.ts'
import { registerTracing, type TracingDeps } from './tracing/request-tracing.ts'

/** Everything that the gateway's routes use. */
export interface GatewayDeps {
  readonly logger: FastifyBaseLogger
  readonly version: string
  readonly nowMs: () => number
  readonly token: TokenSettings
  /** Addresses and networks of the proxies in front: their `X-Forwarded-For` says who asks. Without any, whoever has the connection asks. */
  readonly trustedProxies?: readonly string[]
  /** Origins of browsers that may use the API; none by default, the console comes from here. */
  readonly corsOrigins: readonly string[]
  /** Requests of one principal per minute. */
  readonly rateLimitPerMinute: number
  /** Where the console's built files are. */
  readonly consoleDirectory: string
  /** Of bodies that are being received; the gateway's own bounds by default. */
  readonly bodyBudget?: BodyBudget
  /** The trace that a request belongs to; by default nothing below asks for it, and no spans are kept. */
  readonly tracing?: TracingDeps
  readonly metrics: GatewayMetrics
  /** Counts requests together with other gateways; in this one's memory by default. */
  readonly rateLimitCounter?: RequestCounter | undefined
  readonly apiLog: ApiLogSink
  readonly accounts: AccountStores
  readonly events: EventIntake
  readonly eventStore: EventStore
  readonly leads: TopicWriter<Lead>
  /** For leads whose outcome is waited for: writes them to Kafka and nowhere else. */
  readonly leadsNow: TopicWriter<Lead>
  readonly leadSealer: Pick<LeadSealer, 'seal'>
  readonly leadStore: LeadStore
  readonly leadPrivacy: LeadPrivacyStore
  readonly leadFieldStore: LeadFieldStore
  readonly leadFields: Pick<LiveLeadFields, 'of' | 'all' | 'refresh'>
  readonly leadOutcomes: LeadOutcomes
  readonly leadOutcomesAreFollowed: () => boolean
  readonly leadOutcomeTimeoutMs: number
  /** How late the event loop may be, on average over a second, before requests are refused; 0 refuses none. */
  readonly eventLoopDelayMsMax: number
  readonly stats: StatsReader
  readonly statsHub: StatsHub
  readonly statsAreFollowed: () => boolean
  readonly operations: OperationsDesk
  readonly checks: readonly Check[]
  readonly readiness: readonly Check[]
}

/**
 * Builds the application: every route, closed by default, every error a problem document. Opens nothing and listens nowhere; `close` ends
 * the streams and waits for requests that are under way.
 */
export async function buildApp(deps: GatewayDeps): Promise<GatewayApp> {
  const app = createServer(deps)
  const { nowMs, metrics } = deps

  // The order of the hooks: every request is noted first, answered with headers and let in, then known, then counted.
  app.setErrorHandler(sendProblem)
  registerApiLog(app, deps.apiLog, nowMs)
  registerTracing(app, deps.tracing ?? { scope: new AsyncLocalStorage() })
  registerSecurityHeaders(app)
  registerHttpVersion(app)
  registerDrain(app)
  await registerProtection(app, deps)
  const { sessions, apiKeys } = deps.accounts
  const auth = await registerAuth(app, { ...deps.token, sessions, apiKeys, nowMs })
  registerRateLimit(app, { perMinute: deps.rateLimitPerMinute, nowMs, counter: deps.rateLimitCounter })
  registerBodyBudget(
    app,
    deps.bodyBudget ?? { bytesMax: receivedBytesMax, bytesPerAccountMax: receivedBytesPerAccountMax },
  )
  registerNotFound(app)
  registerBodies(app)
  registerValidation(app)
  await registerOpenApi(app, deps.version)

  registerHealth(app, deps)
  registerMetrics(app, metrics.registry)
  registerAccounts(app, deps, auth)
  await registerDataRoutes(app, deps)
  registerOperationsRoutes(app, { desk: deps.operations, audit: deps.accounts.audit, nowMs })
  await registerDocs(app)
  await registerConsole(app, deps.consoleDirectory)
  return app
}

function createServer({ logger, trustedProxies = [] }: Pick<GatewayDeps, 'logger' | 'trustedProxies'>): GatewayApp {
  const app = fastify({
    loggerInstance: logger,
    // Requests are logged to Kafka; what fails is logged by the error handler.
    logController: new LogController({ disableRequestLogging: true }),
    // No logger for each request, of which nearly none says anything: who logs names the request.
    childLoggerFactory: (logger) => logger,
    genReqId: () => crypto.randomUUID(),
    requestIdHeader: false,
    // The last address of the header that is none of them: what stands before it, anybody may have written.
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
    bodyLimit: bodyBytesMax,
    requestTimeout: requestTimeoutMs,
    connectionTimeout: connectionTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    routerOptions: { maxParamLength: pathParamCharsMax, caseSensitive: true, ignoreDuplicateSlashes: false },
    http: { headersTimeout: headersTimeoutMs, connectionsCheckingInterval: connectionsCheckMs },
    // Fastify's own answer to requests during a close is not a problem document: `registerDrain` gives one.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    frameworkErrors: (error, request, reply) => sendProblem(error, request, reply),
    clientErrorHandler: answerBrokenRequest,
  })
  app.server.maxConnections = connectionsMax
  return app.withTypeProvider<TypeBoxTypeProvider>()
}

/** While the service closes, what is under way is finished and nothing new is begun. */
function registerDrain(app: GatewayApp): void {
  let closing = false
  app.addHook('preClose', async () => {
    closing = true
  })
  app.addHook('onRequest', (_request, reply, done) => {
    if (!closing) return done()
    reply.header('connection', 'close')
    done(new GatewayError('NOT_READY', 'The service is closing: another one takes over.'))
  })
}

async function registerProtection(app: GatewayApp, deps: GatewayDeps): Promise<void> {
  await app.register(underPressure, {
    maxEventLoopDelay: deps.eventLoopDelayMsMax,
    retryAfter: retryAfterSeconds,
    customError: UnderPressureError,
  })
  // Without any, browsers let no other origin read an answer: that is their default.
  if (deps.corsOrigins.length === 0) return
  await app.register(cors, {
    origin: [...deps.corsOrigins],
    methods: ['GET', 'POST', 'PUT', 'DELETE', 'HEAD'],
    allowedHeaders: [
      'authorization',
      'content-type',
      'idempotency-key',
      'if-match',
      'if-none-match',
      'last-event-id',
      'x-api-key',
    ],
    exposedHeaders: ['etag', 'location', 'x-request-id', 'retry-after'],
    maxAge: 600,
  })
}

class UnderPressureError extends GatewayError {
  constructor() {
    super('OVERLOADED', 'The service has more to do than it can: send this again a little later.')
  }
}

function registerAccounts(app: GatewayApp, deps: GatewayDeps, { signToken, credentials }: Auth): void {
  const { accounts, token, nowMs } = deps
  const login = createLogin({
    ...accounts,
    secret: token.secret,
    nowMs,
    onAuditFailure: (error) => app.log.error({ err: error }, 'an entry of the audit log is lost'),
  })
  const sessions = createSessions({
    store: accounts.sessions,
    signToken,
    ttlSeconds: token.ttlSeconds,
    sessionTtlSeconds: token.sessionTtlSeconds,
    nowMs,
    onEnded: (sessionId) => credentials.ended(sessionId),
  })
  registerAccountRoutes(app, { login, sessions })
  registerApiKeyRoutes(app, {
    keys: accounts.apiKeys,
    users: accounts.users,
    onRevoked: (keyId) => credentials.revoked(keyId),
    nowMs,
  })
  const upkeep = startAccountUpkeep({ stores: accounts, credentials, logger: app.log })
  app.addHook('onClose', () => upkeep.close())
}

async function registerDataRoutes(app: GatewayApp, deps: GatewayDeps): Promise<void> {
  const { metrics } = deps
  const watch = createStoredWatch(deps.eventStore, deps.nowMs)
  app.addHook('preClose', async () => watch.close())
  const eventDeps = {
    events: deps.events,
    eventStore: deps.eventStore,
    watch,
    onItems: (accepted: number, rejected: number) => metrics.items('event', accepted, rejected),
  }
  const statsDeps = {
    stats: deps.stats,
    hub: deps.statsHub,
    isFollowing: deps.statsAreFollowed,
    nowMs: deps.nowMs,
  }
  for (const prefix of ['/api/v1', '']) {
    const documented = prefix !== ''
    await app.register(async (scope: GatewayApp) => registerEventRoutes(scope, { ...eventDeps, documented }), {
      prefix,
    })
    await app.register(async (scope: GatewayApp) => registerStatsRoutes(scope, { ...statsDeps, documented }), {
      prefix,
    })
  }
  registerStatsStreams(app, deps.statsHub)
  const desk = createLeadDesk({
    reader: createLeadReader(deps.leadFields),
    sealer: deps.leadSealer,
    leads: deps.leads,
    leadsNow: deps.leadsNow,
    outcomes: deps.leadOutcomes,
    outcomesAreFollowed: deps.leadOutcomesAreFollowed,
    outcomeTimeoutMs: deps.leadOutcomeTimeoutMs,
  })
  app.addHook('preClose', async () => {
    // Not awaited: requests that are under way end by themselves meanwhile.
    setTimeout(() => deps.leadOutcomes.giveUp(), leadCloseWaitMs).unref()
  })
  const onItems = (accepted: number, rejected: number) => metrics.items('lead', accepted, rejected)
  registerLeadRoutes(app, { desk, onItems })
  const answers = new LeadAnswers(deps.nowMs)
  registerLeadQueryRoutes(app, { leadStore: deps.leadStore, leadFields: deps.leadFields, answers })
  registerLeadPrivacyRoutes(app, { privacy: deps.leadPrivacy, onErased: () => answers.forget() })
  registerFieldRoutes(app, {
    store: deps.leadFieldStore,
    // When it cannot be read now, the change is made nevertheless, and known to this gateway as soon as to the others.
    onChange: () => deps.leadFields.refresh().catch(() => {}),
  })
}
