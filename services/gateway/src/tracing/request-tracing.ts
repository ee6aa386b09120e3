import type { FastifyRequest } from 'fastify'
import type { GatewayApp } from '../http/gateway-app.ts'
import type { Span, Tracer, TraceScope } from './ports.ts'
import { isSampled, readTraceContext, type TraceContext } from './trace-context.ts'

/** What tracing needs: `tracer` only where spans are to be kept. */
export interface TracingDeps {
  readonly scope: TraceScope
  readonly tracer?: Tracer | undefined
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Where in the caller's trace, or in one of our own, this request is; null when there is none. */
    trace: TraceContext | null
    span: Span | null
  }
}

/**
 * Takes up the trace of the caller (`traceparent`, `tracestate`), or begins one when spans are kept. Must be registered before everything that may answer. A
 * request without any trace costs two questions.
 */
export function registerTracing(app: GatewayApp, { scope, tracer }: TracingDeps): void {
  app.decorateRequest('trace', null)
  app.decorateRequest('span', null)
  app.addHook('onRequest', (request, _reply, done) => {
    const { traceparent } = request.headers
    if (traceparent !== undefined) request.trace = readTraceContext(request.headers) ?? null
    // Probes and files are in no log, and in no trace.
    if (tracer !== undefined && request.routeOptions.config.logged !== false) beginSpan(request, tracer)
    done()
  })
  // Not before the body is there: what reads it runs in the socket's own context.
  app.addHook('preHandler', (request, _reply, done) => {
    const { trace } = request
    if (trace === null || !isSampled(trace)) return done()
    scope.run(trace, done)
  })
  if (tracer === undefined) return
  app.addHook('onResponse', (request, reply, done) => {
    const { statusCode } = reply
    const attributes = { 'http.response.status_code': statusCode }
    request.span?.end(attributes, statusCode >= 500 ? { type: request.problemCode ?? String(statusCode) } : undefined)
    done()
  })
  // A client that went away is answered nothing.
  app.addHook('onRequestAbort', (request, done) => {
    request.span?.end({}, { type: 'aborted' })
    done()
  })
}

/** What log lines about a request say of its trace. One that came without any has the id of the request, without its hyphens. */
export function traceFields({ id, trace, span }: FastifyRequest): { trace_id: string; span_id?: string } {
  const traceId = trace?.traceId ?? id.replaceAll('-', '')
  return span === null ? { trace_id: traceId } : { trace_id: traceId, span_id: span.context.spanId }
}

function beginSpan(request: FastifyRequest, tracer: Tracer): void {
  const { method, id } = request
  const route = request.routeOptions.url
  const span = tracer.request(route === undefined ? method : `${method} ${route}`, request.trace ?? undefined, {
    'http.request.method': method,
    'url.scheme': 'http',
    ...(route !== undefined && { 'http.route': route }),
    'millrace.request_id': id,
  })
  request.span = span
  request.trace = span.context
}
