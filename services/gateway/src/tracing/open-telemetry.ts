import { sleep } from '@millrace/kit'
import {
  type Context,
  createTraceState,
  type Span as OtelSpan,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import { traceCloseMs, traceExportMs, traceExportTimeoutMs, traceSpansMax } from '../limits.ts'
import type { Span, Tracer } from './ports.ts'
import type { TraceContext } from './trace-context.ts'

/** Where spans go, and which. */
export interface OpenTelemetryOptions {
  /** Of an OTLP/HTTP receiver; spans go to `/v1/traces` below it. The exporter takes headers from `OTEL_EXPORTER_OTLP_HEADERS` itself. */
  readonly endpoint: string
  readonly service: string
  readonly version: string
  /** The part of the traces that begin here which is kept, 0 to 1. Those that a caller has begun are kept when the caller says so. */
  readonly ratio: number
  /** Called when spans begin not to arrive, with the reason, and when they do again, without. */
  readonly onArrival: (error: Error | undefined) => void
}

/** Opens a tracer on OpenTelemetry's packages. Spans wait in memory, up to a bound, and go out in batches; when the receiver is away they are lost. */
export function openTracer(options: OpenTelemetryOptions): Tracer {
  const { endpoint, service, version, ratio } = options
  const exporter = new OTLPTraceExporter({ url: `${endpoint}/v1/traces`, timeoutMillis: traceExportTimeoutMs })
  const provider = new TracerProvider({
    resource: defaultResource().merge(resourceFromAttributes({ 'service.name': service, 'service.version': version })),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: reporting(exporter, options.onArrival),
        maxQueueSize: traceSpansMax,
        scheduledDelayMillis: traceExportMs,
        exportTimeoutMillis: traceExportTimeoutMs,
      }),
    ],
  })
  const tracer = provider.getTracer('millrace', version)
  let closing: Promise<void> | undefined
  return {
    request: (name, parent, attributes) =>
      spanOf(tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, contextOf(parent, true))),
    send: (name, parent, attributes) =>
      spanOf(tracer.startSpan(name, { kind: SpanKind.PRODUCER, attributes }, contextOf(parent, false))),
    close() {
      // What does not arrive has been told of.
      closing ??= Promise.race([provider.shutdown().catch(() => undefined), sleep(traceCloseMs)])
      return closing
    },
  }
}

function contextOf(parent: TraceContext | undefined, isRemote: boolean): Context {
  if (parent === undefined) return ROOT_CONTEXT
  const { traceId, spanId, flags, state } = parent
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: flags,
    isRemote,
    ...(state !== undefined && { traceState: createTraceState(state) }),
  })
}

function spanOf(span: OtelSpan): Span {
  const { traceId, spanId, traceFlags, traceState } = span.spanContext()
  return {
    context: { traceId, spanId, flags: traceFlags, state: traceState?.serialize() || undefined },
    end(attributes, error) {
      if (attributes !== undefined) span.setAttributes(attributes)
      if (error !== undefined) span.setAttribute('error.type', error.type).setStatus({ code: SpanStatusCode.ERROR })
      span.end()
    },
  }
}

/** Tells of a change only: a receiver that is away would be told of every few seconds otherwise. */
function reporting(inner: SpanExporter, onArrival: OpenTelemetryOptions['onArrival']): SpanExporter {
  let isArriving = true
  return {
    export(spans, done) {
      inner.export(spans, (result) => {
        const error = result.code === 0 ? undefined : (result.error ?? new Error('the receiver refused the spans'))
        if (isArriving !== (error === undefined)) onArrival(error)
        isArriving = error === undefined
        done(result)
      })
    },
    shutdown: () => inner.shutdown(),
    forceFlush: () => inner.forceFlush?.() ?? Promise.resolve(),
  }
}
