import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { BenchError } from '../bench-error.ts'
import { drawEvents } from '../gateway/event-bodies.ts'
import type { GatewayServers } from '../gateway/servers.ts'
import { startGateway } from '../gateway/sides.ts'
import { openLoad } from '../open-load.ts'
import type { Percentiles } from '../streams/percentiles.ts'
import { startSink, type Way } from './sides.ts'
import type { MeasuredStore } from './stores.ts'

/** How the gateway answered alone, and while the sink stored what it had missed. */
export interface CatchUp {
  readonly alone: Percentiles
  readonly meanwhile: Percentiles
  /** While requests came in. */
  readonly recordsPerSecond: number
  /** The sink had everything before the requests had ended: then `meanwhile` is too good. */
  readonly wasDone: boolean
}

/** Requests of 50 events: 5,000 events a second, a fraction of what the gateway takes. */
const eventsPerRequest = 50
const requestsPerSecond = 100
const warmUpMs = 5_000
const startDeadlineMs = 120_000
const pollMs = 200

/**
 * Sends events to the gateway at a rate, first alone, then while the sink stores the `records` that are in Kafka: as after an outage of ClickHouse. Throws a `BenchError`
 * when the sink stores nothing.
 */
export async function catchUp(
  way: Way,
  options: {
    readonly servers: GatewayServers
    readonly environment: Readonly<Record<string, string | undefined>>
    readonly store: MeasuredStore
    readonly records: number
    readonly durationMs: number
    readonly signal: AbortSignal
  },
): Promise<CatchUp> {
  const { servers, environment, store, records, durationMs, signal } = options
  await store.empty()
  const gateway = await startGateway({ servers, environment, profileFolder: undefined, job: 'catch-up' })
  try {
    const { port, headers } = gateway
    const load = { port, path: '/api/v1/events', headers, status: 202, perSecond: requestsPerSecond, signal }
    const body = () => JSON.stringify(drawEvents(eventsPerRequest, randomUUID().slice(0, 8)))
    await openLoad({ ...load, durationMs: warmUpMs, body })
    const { latencyMs: alone } = await openLoad({ ...load, durationMs, body })
    const group = `bench-catch-up-${Date.now()}`
    const variables = { ...environment, ...servers.variables }
    const sink = startSink(way, { group, environment: variables, profileFile: undefined })
    try {
      const before = await firstStored(store, signal)
      const startedMs = performance.now()
      const { latencyMs: meanwhile } = await openLoad({ ...load, durationMs, body })
      const stored = await store.stored()
      const recordsPerSecond = ((stored - before) / (performance.now() - startedMs)) * 1_000
      return { alone, meanwhile, recordsPerSecond, wasDone: stored >= records }
    } finally {
      await sink.stop()
    }
  } finally {
    await gateway.stop()
  }
}

async function firstStored(store: MeasuredStore, signal: AbortSignal): Promise<number> {
  const startedMs = performance.now()
  for (;;) {
    signal.throwIfAborted()
    const stored = await store.stored()
    if (stored > 0) return stored
    if (performance.now() - startedMs > startDeadlineMs)
      throw new BenchError(`The sink stored nothing in ${startDeadlineMs / 1_000} s.`)
    await delay(pollMs)
  }
}
