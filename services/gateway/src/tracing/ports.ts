import type { AsyncLocalStorage } from 'node:async_hooks'
import type { TraceContext } from './trace-context.ts'

/** What a span tells besides its times. */
export type SpanAttributes = Readonly<Record<string, string | number>>

/** Something that takes its time. */
export interface Span {
  readonly context: TraceContext
  /** Ends it now. With an error it counts as failed. Never throws. */
  end(attributes?: SpanAttributes, error?: { readonly type: string }): void
}

/** Keeps spans, and sends them to where traces are looked at. Nothing of it waits, throws, or fails a request. */
export interface Tracer {
  /** Begins the span of a request that came in; of the caller's trace when there is one. */
  request(name: string, parent: TraceContext | undefined, attributes: SpanAttributes): Span
  /** Begins the span of what a request sends to Kafka. */
  send(name: string, parent: TraceContext, attributes: SpanAttributes): Span
  /** Sends what is left, within a bound. Idempotent. */
  close(): Promise<void>
}

/** The trace of the request that is being handled, for what it calls. Nothing where nobody keeps the trace. */
export type TraceScope = AsyncLocalStorage<TraceContext>
