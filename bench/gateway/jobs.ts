import { avroContainer, jsonArray, ndjson, ndjsonGzip, ndjsonZstd, type SentEvent } from './event-bodies.ts'

/** What one job sends. */
export interface Job {
  /** What `--only` takes. */
  readonly name: string
  /** For people. */
  readonly title: string
  readonly connections: number
  /** Events of a request; 0 for one that asks. */
  readonly events: number
  readonly path: string
  readonly status: number
  readonly mediaType?: string
  readonly encoding?: string
  readonly body?: (events: readonly SentEvent[]) => Buffer
  /** Where the naive server takes the same; it is not measured otherwise. */
  readonly peerPath?: string
  readonly targets: Targets
}

/** What is to be reached on one core, broker and load on the other. */
export interface Targets {
  /** CPU of the server's process, µs per event, or per request that asks. */
  readonly cpuMicros?: number
  /** Events, or requests that ask, per second. */
  readonly perSecond?: number
  readonly p99Ms?: number
}

const batch = { connections: 8, events: 500, path: '/events', status: 202 } as const

/** All of them, in the order in which they run. */
export const jobs: readonly Job[] = [
  {
    ...batch,
    name: 'array',
    title: 'JSON arrays of 500 events, 8 connections',
    mediaType: 'application/json',
    body: jsonArray,
    peerPath: '/events/batch',
    targets: { cpuMicros: 3.5, perSecond: 250_000 },
  },
  {
    ...batch,
    name: 'ndjson',
    title: '500 events, one per line',
    mediaType: 'application/x-ndjson',
    body: ndjson,
    targets: {},
  },
  {
    ...batch,
    name: 'ndjson-gzip',
    title: '500 events, one per line, gzip',
    mediaType: 'application/x-ndjson',
    encoding: 'gzip',
    body: ndjsonGzip,
    targets: { cpuMicros: 4.5 },
  },
  {
    ...batch,
    name: 'ndjson-zstd',
    title: '500 events, one per line, Zstandard',
    mediaType: 'application/x-ndjson',
    encoding: 'zstd',
    body: ndjsonZstd,
    targets: {},
  },
  {
    ...batch,
    name: 'avro',
    title: 'Avro containers of 500 events',
    mediaType: 'application/avro',
    body: avroContainer,
    targets: { cpuMicros: 1.5 },
  },
  {
    name: 'single',
    title: 'one event per request, 64 connections',
    connections: 64,
    events: 1,
    path: '/events',
    status: 202,
    mediaType: 'application/json',
    body: ([event]) => Buffer.from(JSON.stringify(event)),
    peerPath: '/events',
    targets: { perSecond: 15_000, p99Ms: 20 },
  },
  {
    name: 'stats',
    title: 'GET /stats of one type, from memory, 64 connections',
    connections: 64,
    events: 0,
    path: '/stats?event_type=click&time_interval=1m&limit=60',
    status: 200,
    targets: { perSecond: 15_000, p99Ms: 15 },
  },
]
