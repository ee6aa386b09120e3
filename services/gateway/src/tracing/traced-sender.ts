import type { OutgoingRecord, RecordHeader } from '@millrace/streams'
import type { RecordSender } from '../kafka/ports.ts'
import type { Span, Tracer, TraceScope } from './ports.ts'
import { formatTraceparent, type TraceContext } from './trace-context.ts'

/**
 * Gives the records of a request that somebody traces the headers `traceparent` and `tracestate`, and the sending a span where spans are kept. Records of all
 * other requests go through as they are: a header of 70 bytes would be a fourth of a usual event.
 */
export function tracedSender(
  inner: RecordSender,
  { scope, tracer }: { readonly scope: TraceScope; readonly tracer?: Tracer | undefined },
): RecordSender {
  async function sendTraced(records: readonly OutgoingRecord[], span: Span) {
    try {
      const durability = await inner.send(withHeaders(records, span.context))
      span.end({ 'millrace.durability': durability })
      return durability
    } catch (error) {
      span.end({}, { type: error instanceof Error && 'code' in error ? String(error.code) : 'error' })
      throw error
    }
  }

  return {
    send(records) {
      const trace = scope.getStore()
      const topic = records[0]?.topic
      if (trace === undefined || topic === undefined) return inner.send(records)
      // Without spans of our own, what reads the records is the child of the caller's span.
      if (tracer === undefined) return inner.send(withHeaders(records, trace))
      const attributes = {
        'messaging.system': 'kafka',
        'messaging.operation.type': 'send',
        'messaging.operation.name': 'send',
        'messaging.destination.name': topic,
        'messaging.batch.message_count': records.length,
      }
      return sendTraced(records, tracer.send(`send ${topic}`, trace, attributes))
    },
  }
}

function withHeaders(records: readonly OutgoingRecord[], context: TraceContext): OutgoingRecord[] {
  const added: RecordHeader[] = [{ key: 'traceparent', value: Buffer.from(formatTraceparent(context)) }]
  if (context.state !== undefined) added.push({ key: 'tracestate', value: Buffer.from(context.state) })
  return records.map((record) => {
    const { topic, partition, key, value, timestamp, headers } = record
    return { topic, partition, key, value, timestamp, headers: headers === undefined ? added : [...headers, ...added] }
  })
}
