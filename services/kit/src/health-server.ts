import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Registry } from 'prom-client'
import { type Check, runChecks } from './checks.ts'
import { KitError } from './errors.ts'
import { healthConnectionsMax, healthRequestTimeoutMs } from './limits.ts'

/** A running health server. */
export interface HealthServer {
  /** `http://host:port`, with the port that was really taken. */
  readonly url: string
  /** Stops listening and ends open connections; idempotent. */
  close(): Promise<void>
}

/** A GET request for one of a service's own paths. */
export interface PageRequest {
  /** Decoded nowhere: `/a%2Fb` is one segment. */
  readonly path: string
  readonly query: URLSearchParams
}

/** What is answered: `body` as JSON. */
export interface PageAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}

/** What a service answers on its health port besides health and figures. */
export interface Pages {
  /** What there is, for people who ask for something else. */
  readonly paths: readonly string[]
  /** Undefined: not one of its paths. What it throws is answered with 500. */
  answer(request: PageRequest): Promise<PageAnswer | undefined>
}

/**
 * Serves `/livez` (200 while `isLive` says so: a stalled service should be restarted), `/readyz` (200 when no required check
 * is down, else 503, with every check's state and latency) and `/metrics` (Prometheus text), and the service's own `pages`. Nothing else is served, and nothing is logged.
 * Throws `LISTEN_FAILED` when the port is taken.
 */
export async function startHealthServer(options: {
  readonly host: string
  readonly port: number
  readonly version: string
  readonly checks: readonly Check[]
  readonly registry: Registry
  readonly checkTimeoutMs?: number
  readonly isLive?: () => boolean
  readonly pages?: Pages
}): Promise<HealthServer> {
  const { host, port, checks, registry, version, isLive = () => true, pages } = options
  // Probes that arrive together share one run of the checks.
  let running: ReturnType<typeof runChecks> | undefined

  async function ready(response: ServerResponse): Promise<void> {
    running ??= runChecks(checks, options.checkTimeoutMs).finally(() => {
      running = undefined
    })
    const report = await running
    sendJson(response, report.status === 'down' ? 503 : 200, { ...report, version })
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = '', search] = (request.url ?? '').split('?', 2)
    if (request.method !== 'GET' && request.method !== 'HEAD') return sendJson(response, 405, { status: 'error' })
    if (path === '/livez') {
      const live = isLive()
      return sendJson(response, live ? 200 : 503, { status: live ? 'ok' : 'down', version })
    }
    if (path === '/readyz') return ready(response)
    if (path === '/metrics') {
      response.writeHead(200, { 'content-type': registry.contentType })
      response.end(await registry.metrics())
      return
    }
    const page = await pages?.answer({ path, query: new URLSearchParams(search) })
    if (page !== undefined) return sendJson(response, page.status, page.body, page.headers)
    sendJson(response, 404, { status: 'error', paths: ['/livez', '/readyz', '/metrics', ...(pages?.paths ?? [])] })
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy()
      else sendJson(response, 500, { status: 'error', error: error instanceof Error ? error.message : String(error) })
    })
  })
  server.maxConnections = healthConnectionsMax
  server.requestTimeout = healthRequestTimeoutMs
  await listen(server, { host, port })

  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${portOf(server)}`,
    close: () =>
      new Promise((resolve) => {
        // `close` reports an error only when the server was not listening any more, which is what is wanted.
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function listen(server: Server, at: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const message = `The health server cannot listen on ${at.host}:${at.port}: ${cause.message}. Set MILLRACE_HEALTH_PORT to a free port`
      reject(new KitError('LISTEN_FAILED', message, { cause }))
    })
    server.listen(at.port, at.host, () => resolve())
  })
}

function portOf(server: Server): number {
  const address = server.address()
  return address !== null && typeof address === 'object' ? address.port : 0
}

function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers })
  response.end(`${JSON.stringify(body)}\n`)
}
