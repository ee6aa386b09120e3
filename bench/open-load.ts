import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { BenchError } from './bench-error.ts'
import { type Percentiles, percentilesOf } from './streams/percentiles.ts'

/** Requests that are sent at a rate, however long the answers take. */
export interface OpenLoadOptions {
  readonly port: number
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** What every answer must have. */
  readonly status: number
  readonly perSecond: number
  readonly durationMs: number
  /** JSON. */
  readonly body: () => string
  readonly signal: AbortSignal
}

/** Sockets at the same time: half a second of the highest rate. */
const socketsMax = 250
const answerDeadlineMs = 30_000

/** Sends each request when its time has come, and measures from that time to its answer. Throws a `BenchError` for an answer with another status. */
export async function openLoad(
  options: OpenLoadOptions,
): Promise<{ readonly sent: number; readonly latencyMs: Percentiles }> {
  const { perSecond, durationMs, signal } = options
  const agent = new Agent({ keepAlive: true, maxSockets: socketsMax })
  const count = Math.round((perSecond * durationMs) / 1_000)
  const startMs = performance.now()
  const latencies: number[] = []
  const under: Promise<void>[] = []
  let failure: unknown
  try {
    for (let index = 0; index < count && failure === undefined; index++) {
      const dueMs = startMs + (index * 1_000) / perSecond
      while (performance.now() < dueMs) await sleep(Math.max(1, dueMs - performance.now()))
      signal.throwIfAborted()
      const sent = post(agent, options).then(
        () => void latencies.push(performance.now() - dueMs),
        (error: unknown) => {
          failure ??= error
        },
      )
      under.push(sent)
    }
    await Promise.all(under)
  } finally {
    agent.destroy()
  }
  if (failure !== undefined) throw failure
  return { sent: count, latencyMs: percentilesOf(latencies) }
}

function post(agent: Agent, { port, path, headers, status, body }: OpenLoadOptions): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const bytes = Buffer.from(body())
  const asked = request({
    agent,
    port,
    host: '127.0.0.1',
    method: 'POST',
    path,
    headers: { ...headers, 'content-type': 'application/json', 'content-length': bytes.length },
    timeout: answerDeadlineMs,
  })
  asked.on('response', (response) => {
    const { statusCode } = response
    const chunks: Buffer[] = []
    response.on('data', (chunk: Buffer) => chunks.push(chunk))
    response.on('end', () => {
      if (statusCode === status) resolve()
      else reject(new BenchError(`${path} was answered ${statusCode}: ${Buffer.concat(chunks)}`))
    })
  })
  asked.on('timeout', () => asked.destroy(new BenchError(`${path} was not answered`)))
  asked.on('error', reject)
  asked.end(bytes)
  return promise
}
