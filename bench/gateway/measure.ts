import { type Broker, partitionKey } from '@millrace/streams'
import { BenchError } from '../bench-error.ts'
import { drawEvents } from './event-bodies.ts'
import { type HttpLoadResult, httpLoad, requestBytes } from './http-load.ts'
import type { Job } from './jobs.ts'
import type { MeasuredServer } from './sides.ts'

/** What one run of a job has shown. */
export interface Measurement {
  /** Events, or requests that ask, per second. */
  readonly perSecond: number
  /** CPU of the server, µs per event or per request that asks. */
  readonly cpuMicros: number
  /** How much of one core the server used. */
  readonly cores: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** How long a job is measured, and warmed up before. */
export interface Durations {
  readonly warmUpMs: number
  readonly measuredMs: number
}

/** Different requests of a job: enough that no cache of the processor holds them all. */
const requestsOfJob = 16

/** Runs a job against a server. Throws a `BenchError` when an answer is not right, or when the topic does not hold exactly what was accepted. */
export async function measure(
  job: Job,
  server: MeasuredServer,
  of: { readonly broker: Broker; readonly path: string; readonly durations: Durations; readonly signal: AbortSignal },
): Promise<Measurement> {
  const { broker, path, durations, signal } = of
  const load = {
    port: server.port,
    requests: requestsOf(job, server, path),
    connections: job.connections,
    status: job.status,
    signal,
  }
  const before = job.events === 0 ? 0 : await countRecords(broker, server.topic)
  const warm = await httpLoad({ ...load, durationMs: durations.warmUpMs })
  const cpuBefore = await server.cpuMicros()
  const result = await httpLoad({ ...load, durationMs: durations.measuredMs })
  const cpuMicros = (await server.cpuMicros()) - cpuBefore
  if (job.events > 0) {
    const sent = (warm.requests + result.requests) * job.events
    const found = (await countRecords(broker, server.topic)) - before
    if (found !== sent)
      throw new BenchError(`${job.name}: ${sent} events were accepted, and ${found} are in the topic.`)
  }
  return measurementOf(result, cpuMicros, Math.max(1, job.events))
}

function measurementOf(
  { requests, seconds, latencyMs }: HttpLoadResult,
  cpuMicros: number,
  perRequest: number,
): Measurement {
  return {
    perSecond: (requests * perRequest) / seconds,
    cpuMicros: cpuMicros / (requests * perRequest),
    cores: cpuMicros / 1e6 / seconds,
    p50Ms: latencyMs.p50,
    p99Ms: latencyMs.p99,
  }
}

function requestsOf({ events, mediaType, encoding, body }: Job, { headers }: MeasuredServer, path: string): Buffer[] {
  if (body === undefined) return [requestBytes(`GET ${path}`, headers)]
  const drawn = drawEvents(requestsOfJob * events, String(Date.now()))
  const all = {
    ...headers,
    ...(mediaType === undefined ? {} : { 'content-type': mediaType }),
    ...(encoding === undefined ? {} : { 'content-encoding': encoding }),
  }
  return Array.from({ length: requestsOfJob }, (_, index) =>
    requestBytes(`POST ${path}`, all, body(drawn.slice(index * events, (index + 1) * events))),
  )
}

async function countRecords(broker: Broker, topic: string): Promise<number> {
  const admin = await broker.openAdmin()
  try {
    const partitions = (await admin.describeTopics([topic])).get(topic)?.partitions ?? 0
    const all = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
    const ends = await admin.listOffsets(all, 'latest')
    return all.reduce((sum, of) => sum + (ends.get(partitionKey(of)) ?? 0), 0)
  } finally {
    await admin.close()
  }
}
