import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { OutgoingRecord } from '@millrace/streams'
import { afterEach, describe, expect, it } from 'vitest'
import { openTestApp, type TestApp } from '../../test/test-app.ts'
import { GatewayError } from '../errors.ts'
import { openTracer } from './open-telemetry.ts'
import type { Tracer, TraceScope } from './ports.ts'
import { formatTraceparent, type TraceContext } from './trace-context.ts'
import { tracedSender } from './traced-sender.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const callerSpan = 'b7ad6b7169203331'
const traceparent = `00-${traceId}-${callerSpan}-01`

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** A gateway with two routes of ours: one that sends two records to Kafka, and one that fails. */
async function openTracing(tracer?: Tracer) {
  const scope: TraceScope = new AsyncLocalStorage()
  const sent: OutgoingRecord[] = []
  const kafka = {
    send: async (records: readonly OutgoingRecord[]) => {
      sent.push(...records)
      return 'kafka' as const
    },
  }
  const sender = tracedSender(kafka, { scope, tracer })
  const record = { topic: 'events', partition: 0, key: null, value: Buffer.from('v'), timestamp: 1 }
  const test: TestApp = await openTestApp({ tracing: { scope, tracer } }, (app) => {
    app.post('/two', { config: { access: 'public' } }, async () => ({ to: await sender.send([record, record]) }))
    app.get('/fails', { config: { access: 'public' } }, async () => {
      throw new GatewayError('STORE_UNAVAILABLE', 'away')
    })
  })
  closers.push(() => test.close())
  const post = async (headers: Record<string, string>) => {
    const { length } = sent
    const answer = await test.app.inject({ method: 'POST', url: '/two', headers, payload: { a: 1 } })
    expect(answer.statusCode).toBe(200)
    return sent.slice(length).map((record) => (record.headers ?? []).map(({ key, value }) => [key, String(value)]))
  }
  return { ...test, post, record, sent }
}

/** Remembers spans; every one has an id of its own. */
function fakeTracer() {
  const spans: { name: string; parent: TraceContext | undefined; context: TraceContext; ended: unknown[] }[] = []
  const begin = (name: string, parent: TraceContext | undefined) => {
    const spanId = String(spans.length + 1).padStart(16, '0')
    const context = { traceId: parent?.traceId ?? 'f'.repeat(32), spanId, flags: 1, state: parent?.state }
    const span = { name, parent, context, ended: [] as unknown[] }
    spans.push(span)
    return { context, end: (...told: unknown[]) => void span.ended.push(told) }
  }
  const tracer: Tracer = { request: begin, send: begin, close: async () => {} }
  return { tracer, spans }
}

describe('the trace of a caller', () => {
  it('goes on in the records that the request wrote, when somebody keeps it', async () => {
    const { post } = await openTracing()
    const headers = [
      ['traceparent', traceparent],
      ['tracestate', 'vendor=1'],
    ]
    expect(await post({ traceparent, tracestate: 'vendor=1' })).toEqual([headers, headers])
    expect(await post({ traceparent })).toEqual([headers.slice(0, 1), headers.slice(0, 1)])
  })

  it('is not written where nobody keeps it, nor what is no trace', async () => {
    const { post, sent, record } = await openTracing()
    expect(await post({ traceparent: traceparent.replace(/1$/, '0') })).toEqual([[], []])
    expect(await post({ traceparent: 'made up' })).toEqual([[], []])
    expect(await post({})).toEqual([[], []])
    // As they were, without a copy.
    expect(sent.every((other) => other === record)).toBe(true)
  })

  it('is in the log; a request without one has its own id there', async () => {
    const { app, logLines } = await openTracing()
    await app.inject({ url: '/fails', headers: { traceparent } })
    const answer = await app.inject({ url: '/fails' })
    const ids = logLines.map((line) => JSON.parse(line).trace_id)
    expect(ids).toEqual([traceId, answer.json().request_id.replaceAll('-', '')])
  })
})

describe('spans', () => {
  it('are of the request and of what it sends, one below the other', async () => {
    const { tracer, spans } = fakeTracer()
    const { post } = await openTracing(tracer)
    const [first] = await post({ traceparent, tracestate: 'vendor=1' })
    expect(spans.map(({ name }) => name)).toEqual(['POST /two', 'send events'])
    const [request, send] = spans
    expect(request?.parent && formatTraceparent(request.parent)).toBe(traceparent)
    expect(send?.parent).toEqual(request?.context)
    expect(first?.[0]).toEqual(['traceparent', send && formatTraceparent(send.context)])
    expect(request?.ended).toEqual([[{ 'http.response.status_code': 200 }, undefined]])
    expect(send?.ended).toEqual([[{ 'millrace.durability': 'kafka' }]])
  })

  it('begin a trace where the caller has none, say what failed, and leave probes out', async () => {
    const { tracer, spans } = fakeTracer()
    const { app, logLines } = await openTracing(tracer)
    await app.inject({ url: '/fails' })
    await app.inject({ url: '/livez' })
    expect(spans).toHaveLength(1)
    expect(spans[0]?.parent).toBeUndefined()
    expect(spans[0]?.ended).toEqual([[{ 'http.response.status_code': 503 }, { type: 'STORE_UNAVAILABLE' }]])
    expect(JSON.parse(logLines[0] ?? '')).toMatchObject({ trace_id: 'f'.repeat(32), span_id: '0000000000000001' })
  })
})

describe('OpenTelemetry', () => {
  it('brings the spans to the receiver before it closes', async () => {
    const receiver = await openReceiver()
    const tracer = openTracer({ ...receiver.options, ratio: 1 })
    const { post } = await openTracing(tracer)
    const [headers] = await post({ traceparent, tracestate: 'vendor=1' })
    await tracer.close()
    await tracer.close()

    expect(receiver.requests.map(({ url, headers }) => [url, headers['content-type']])).toEqual([
      ['/v1/traces', 'application/x-protobuf'],
    ])
    const spans = receiver.requests.flatMap(({ body }) => spansIn(body))
    const request = spans.find(({ name }) => name === 'POST /two')
    const send = spans.find(({ name }) => name === 'send events')
    expect(spans).toHaveLength(2)
    expect(request).toMatchObject({ traceId, parentId: callerSpan, state: 'vendor=1', kind: 2 })
    expect(send).toMatchObject({ traceId, parentId: request?.spanId, state: 'vendor=1', kind: 4 })
    expect(headers).toEqual([
      ['traceparent', `00-${traceId}-${send?.spanId}-01`],
      ['tracestate', 'vendor=1'],
    ])
    expect(String(receiver.requests[0]?.body)).toContain('a-gateway')
    expect(receiver.arrivals).toEqual([])
  })

  it('keeps the part of the traces that it is told to, and those that a caller keeps', async () => {
    const receiver = await openReceiver()
    const tracer = openTracer({ ...receiver.options, ratio: 0 })
    const { post } = await openTracing(tracer)
    expect(await post({})).toEqual([[], []])
    expect((await post({ traceparent })).flat()).toHaveLength(2)
    await tracer.close()
    expect(receiver.requests.flatMap(({ body }) => spansIn(body))).toHaveLength(2)
  })

  it('says that spans do not arrive, and fails no request', async () => {
    const receiver = await openReceiver(400)
    const tracer = openTracer({ ...receiver.options, ratio: 1 })
    const { post } = await openTracing(tracer)
    await post({})
    await tracer.close()
    expect(receiver.arrivals).toHaveLength(1)
    expect(receiver.arrivals[0]).toBeInstanceOf(Error)
  })
})

/** The little of an OTLP/HTTP receiver that is needed here. */
async function openReceiver(status = 200) {
  const requests: { url: string | undefined; headers: IncomingHttpHeaders; body: Buffer }[] = []
  const arrivals: (Error | undefined)[] = []
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part) => parts.push(part))
    request.on('end', () => {
      requests.push({ url: request.url, headers: request.headers, body: Buffer.concat(parts) })
      response.writeHead(status, { 'content-type': 'application/x-protobuf' }).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(async () => server.close())
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const options = {
    endpoint: `http://127.0.0.1:${port}`,
    service: 'a-gateway',
    version: '0.0.0',
    onArrival: (error: Error | undefined) => void arrivals.push(error),
  }
  return { requests, arrivals, options }
}

/** The spans of an ExportTraceServiceRequest: resource_spans (1) · scope_spans (2) · spans (2). */
function spansIn(body: Buffer) {
  const spans = fieldsOf(body)
    .filter(({ number }) => number === 1)
    .flatMap(({ bytes }) => fieldsOf(bytes).filter(({ number }) => number === 2))
    .flatMap(({ bytes }) => fieldsOf(bytes).filter(({ number }) => number === 2))
  return spans.map(({ bytes }) => {
    const fields = fieldsOf(bytes)
    const bytesOf = (wanted: number) => fields.find(({ number }) => number === wanted)?.bytes ?? Buffer.alloc(0)
    return {
      traceId: bytesOf(1).toString('hex'),
      spanId: bytesOf(2).toString('hex'),
      state: bytesOf(3).toString(),
      parentId: bytesOf(4).toString('hex'),
      name: bytesOf(5).toString(),
      kind: fields.find(({ number }) => number === 6)?.value,
    }
  })
}

/** Protobuf on the wire: a tag with number and type, then a varint, eight bytes, bytes with their length, or four bytes. */
function fieldsOf(message: Buffer) {
  const fields: { number: number; value: number; bytes: Buffer }[] = []
  let at = 0
  const varint = () => {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = message[at++] ?? 0
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
  }
  while (at < message.length) {
    const tag = varint()
    const type = tag & 7
    const value = type === 0 || type === 2 ? varint() : 0
    const length = type === 2 ? value : type === 1 ? 8 : type === 5 ? 4 : 0
    fields.push({ number: tag >> 3, value, bytes: message.subarray(at, at + length) })
    at += length
  }
  return fields
}
