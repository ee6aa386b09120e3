import type { ApiLog } from '@millrace/schemas'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { GatewayApp } from './gateway-app.ts'

/** Takes entries of the API's log. Never waits and never throws: a request is not to notice. */
export interface ApiLogSink {
  add(entry: ApiLog): void
}

/** Longest content type that is logged: the column's length. */
const contentTypeCharsMax = 255

/** Logs every request and response of routes that do not say `logged: false`: metadata only, no bodies and no personal data. */
export function registerApiLog(app: GatewayApp, sink: ApiLogSink, nowMs: () => number): void {
  app.decorateRequest('receivedAtMs', 0)
  app.decorateRequest('startedMs', 0)
  app.decorateRequest('problemCode', null)
  app.decorateRequest('itemsAccepted', null)
  app.decorateRequest('itemsRejected', null)
  // Hooks of every request take callbacks: each promise is one more turn of the queue.
  app.addHook('onRequest', (request, reply, done) => {
    request.receivedAtMs = nowMs()
    request.startedMs = performance.now()
    reply.header('x-request-id', request.id)
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    if (request.routeOptions.config.logged !== false) sink.add(entryOf(request, reply, nowMs()))
    done()
  })
}

function entryOf(request: FastifyRequest, reply: FastifyReply, respondedAtMs: number): ApiLog {
  const { principal } = request
  return {
    request_id: request.id,
    method: request.method,
    route: request.routeOptions.url ?? '(unknown)',
    principal: principal?.id ?? null,
    role: principal?.role ?? null,
    received_at: request.receivedAtMs,
    request_bytes: request.bodyBytes > 0 ? request.bodyBytes : lengthOf(request.headers['content-length']),
    content_type: request.headers['content-type']?.slice(0, contentTypeCharsMax) ?? null,
    responded_at: respondedAtMs,
    status: reply.statusCode,
    response_bytes: lengthOf(reply.getHeader('content-length')),
    duration_ms: Math.round((performance.now() - request.startedMs) * 1_000) / 1_000,
    error_code: request.problemCode,
    accepted: request.itemsAccepted,
    rejected: request.itemsRejected,
  }
}

/** What a Content-Length header says; 0 when there is none, as for streams. */
function lengthOf(header: unknown): number {
  const length = Number(header)
  return Number.isSafeInteger(length) && length >= 0 ? length : 0
}
