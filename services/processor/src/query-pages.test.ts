import { createLogger, createMetrics, type HealthServer, startHealthServer } from '@millrace/kit'
import { createCodec, type Event, type EventStats, SchemaError } from '@millrace/schemas'
import { memoryStores, partitionOfKey, type Serde } from '@millrace/streams'
import { FakeBroker } from '@millrace/streams/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { countedEvents } from './counted-event.ts'
import { Engine } from './engine.ts'
import { exposeEngine } from './engine-gauges.ts'
import { engineMetrics } from './engine-metrics.ts'
import { queryPages } from './query-pages.ts'
import { buildTopology } from './topology.ts'

const partitions = 2
const minuteMs = 60_000
const dayMs = 86_400_000
const startMs = Math.floor(Date.now() / dayMs) * dayMs
const [first = '', second = ''] = [0, 1].map((partition) =>
  ['click', 'view', 'order', 'login', 'search'].find(
    (type) => partitionOfKey(Buffer.from(type), partitions) === partition,
  ),
)

interface Processor {
  readonly server: HealthServer
  readonly engine: Engine
}

let broker: FakeBroker
let running: Processor[]

beforeEach(() => {
  broker = new FakeBroker()
  for (const topic of ['events', 'stats']) broker.createTopic(topic, partitions)
  broker.createTopic('events.dlq', 1)
  running = []
})
afterEach(async () => {
  for (const { server, engine } of running) {
    await server.close()
    await engine.close()
  }
})

/** A processor with its health server, as `main.ts` puts them together. */
async function start(name: string): Promise<Processor> {
  const registry = createMetrics({ service: 'processor', processMetrics: false })
  const logger = createLogger({ service: 'test', level: 'silent' })
  let engine: Engine | undefined
  const pages = queryPages(() => engine)
  const server = await startHealthServer({ host: '127.0.0.1', port: 0, version: '1', checks: [], registry, pages })
  exposeEngine(registry, () => engine)
  const starting = await fetch(`${server.url}/stores`)
  expect(starting.status).toBe(503)
  const stats = createCodec('event-stats', 4)
  const serde: Serde<EventStats> = {
    read: (bytes, start, end) => stats.decode(bytes.subarray(start, end)),
    write: (value) => stats.encode(value),
  }
  const events = createCodec('event', 1)
  engine = new Engine({
    topology: buildTopology({
      events: countedEvents(events),
      stats: serde,
      graceMs: 1_000,
      retentionMs: 2 * 86_400_000,
    }),
    broker,
    stores: memoryStores(name),
    events,
    registry: {
      async schemaById(id) {
        throw new SchemaError('NOT_REGISTERED', `no schema ${id}`)
      },
    },
    logger,
    probes: engineMetrics(registry, logger),
    settings: {
      applicationId: 'test',
      guarantee: 'exactly_once',
      commitIntervalMs: 5,
      idleMs: 100,
      sessionTimeoutMs: 10_000,
      replicationFactor: 1,
      stateBytesMax: 16 * 1024 * 1024,
      queryEndpoint: server.url,
    },
  })
  const processor = { server, engine }
  running.push(processor)
  await engine.start()
  return processor
}

function send(type: string, timestamp: number, value: number | null): void {
  const event: Event = {
    event_id: 'e',
    user_id: 'u',
    event_type: type,
    timestamp,
    value,
    metadata: '{}',
    received_at: timestamp,
    source: 'test',
  }
  const bytes = createCodec('event', 1).encode(event)
  broker.append([{ topic: 'events', partition: 0, key: Buffer.from('u'), value: bytes, timestamp: startMs }])
}

async function until<T>(what: () => Promise<T | undefined | false>): Promise<T> {
  const deadlineMs = Date.now() + 30_000
  for (;;) {
    const found = await what()
    if (found !== undefined && found !== false) return found
    if (Date.now() > deadlineMs) throw new Error(`not so within 30 s: ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

interface Answer {
  readonly status: number
  readonly type: string | null
  readonly location: string | null
  // What a page holds is what the tests are about.
  readonly body: Record<string, unknown>
}

async function get({ server }: Processor, path: string): Promise<Answer> {
  const response = await fetch(`${server.url}${path}`, { redirect: 'manual' })
  const { headers, status } = response
  const body: Record<string, unknown> = JSON.parse(await response.text())
  return { status, type: headers.get('content-type'), location: headers.get('location'), body }
}

const isRunning = async ({ engine }: Processor, tasks: number) => {
  const { state, tasks: found } = engine.snapshot()
  return state === 'running' && found.length === tasks
}

/** Both partitions of the subtopology with the stores, and both of the one that reads events. */
const allTasks = 4

describe('one processor', () => {
  let processor: Processor
  beforeEach(async () => {
    for (const [minute, value] of [1, 2, 4, null].entries()) send(first, startMs + minute * minuteMs, value)
    send(first, startMs, 5)
    processor = await start('one')
    await until(async () => {
      const { body } = await get(processor, `/stores/stats-1d/windows/${first}`)
      return JSON.stringify(body).includes('"count":5')
    })
  })

  it('gives the windows of a key, with count, sum, least, most and mean', async () => {
    const { status, body } = await get(processor, `/stores/stats-1m/windows/${first}`)
    expect(status).toBe(200)
    expect(body).toMatchObject({ store: 'stats-1m', next_cursor: null })
    expect(body.windows).toEqual([
      {
        window_start: startMs,
        window_end: startMs + minuteMs,
        key: first,
        timestamp: startMs,
        value: { count: 2, value_count: 2, sum: 6, avg: 3, min: 1, max: 5 },
      },
      expect.objectContaining({ window_start: startMs + minuteMs }),
      expect.objectContaining({ window_start: startMs + 2 * minuteMs }),
      expect.objectContaining({ value: { count: 1, value_count: 0, sum: 0, avg: null, min: null, max: null } }),
    ])
  })

  it('gives a range of them, in pages', async () => {
    const from = startMs + minuteMs
    const path = `/stores/stats-1m/windows/${first}?from=${from}&to=${startMs + 3 * minuteMs}&limit=2`
    const { body: page } = await get(processor, path)
    expect(page.windows).toMatchObject([{ window_start: from }, { window_start: from + minuteMs }])
    const { body: last } = await get(processor, `${path}&after=${encodeURIComponent(String(page.next_cursor))}`)
    expect(last).toMatchObject({ windows: [{ window_start: from + 2 * minuteMs }], next_cursor: null })
    const { body: all } = await get(processor, `/stores/stats-1m/windows?from=${from}&to=${from}`)
    expect(all.windows).toMatchObject([{ key: first, window_start: from }])
  })

  it('lists stores, tasks and owners', async () => {
    const { body } = await get(processor, '/stores')
    expect(body.stores).toContainEqual(
      expect.objectContaining({
        name: 'stats-10s',
        kind: 'window',
        window_size_ms: 10_000,
        partitions: [0, 1],
        standbys: [],
      }),
    )
    expect(await get(processor, `/stores/stats-10s/owner/${second}`)).toMatchObject({
      status: 200,
      body: { key: second, partition: 1, local: true, endpoint: processor.server.url, standbys: [] },
    })
    const { body: tasks } = await get(processor, '/tasks')
    expect(tasks).toMatchObject({ state: 'running', restore: null, standbys: [] })
    expect(tasks.tasks).toHaveLength(allTasks)
    expect(tasks.tasks).toContainEqual(
      expect.objectContaining({
        task: '0_0',
        lag: 0,
        inputs: [{ topic: 'events', partition: 0, position: 5, high_watermark: 5, lag: 0 }],
      }),
    )
  })

  it('exposes what the engine does to Prometheus', async () => {
    const text = await (await fetch(`${processor.server.url}/metrics`)).text()
    const figure = (name: string, labels: string) =>
      Number(new RegExp(`^${name}\\{${labels.replaceAll(',', '.*')}[^}]*\\} (\\S+)$`, 'm').exec(text)?.[1])
    expect(figure('millrace_engine_running', '')).toBe(1)
    expect(figure('millrace_tasks', '')).toBe(allTasks)
    expect(figure('millrace_input_lag_records', 'topic="events",partition="0"')).toBe(0)
    expect(figure('millrace_records_processed_total', 'task="0_0"')).toBe(5)
    expect(figure('millrace_node_records_total', 'task="0_0",node="events-by-type-pre-aggregate"')).toBe(5)
    expect(figure('millrace_store_rows', 'store="stats-1m"')).toBe(4)
    expect(figure('millrace_store_bytes', 'store="stats-1m"')).toBeGreaterThan(0)
    expect(text).toMatch(/^millrace_store_cache_hits_total\{task="1_\d",store="stats-1m"/m)
    expect(text).toMatch(/^millrace_commit_seconds_count\{[^}]*\} [1-9]/m)
  })

  it.each([
    ['/stores/none/windows/a', 404, 'STORE_UNKNOWN'],
    ['/stores/stats-1m/keys/a', 400, 'INVALID_QUERY'],
    ['/stores/stats-1m/windows/a?from=soon', 400, 'INVALID_QUERY'],
    ['/stores/stats-1m/windows/a?from=2&to=1', 400, 'INVALID_QUERY'],
    ['/stores/stats-1m/windows/a?limit=0', 400, 'INVALID_QUERY'],
    ['/stores/stats-1m/windows/a?limit=1001', 400, 'INVALID_QUERY'],
    ['/stores/stats-1m/windows/a?after=there', 400, 'INVALID_QUERY'],
    ['/stores/stats-1m/windows/a?form=1', 400, 'INVALID_QUERY'],
    ['/stores/stats-1m/windows/a?from=1&from=2', 400, 'INVALID_QUERY'],
    ['/stores/stats-1m/windows/a?stale_ok=maybe', 400, 'INVALID_QUERY'],
    ['/stores/stats-1m/windows/%ff', 400, 'INVALID_QUERY'],
    [`/stores/stats-1m/windows/${'a'.repeat(5_000)}`, 400, 'INVALID_QUERY'],
    ['/stores/stats-1m/windows?partition=9', 400, 'INVALID_QUERY'],
  ])('refuses %s', async (path, status, code) => {
    const answer = await get(processor, path)
    expect(answer).toMatchObject({
      status,
      type: 'application/problem+json',
      body: { status, code, instance: path.split('?')[0] },
    })
    expect(answer.body.detail).not.toContain('[')
  })

  it('has nothing else', async () => {
    for (const path of [
      '/stores/stats-1m',
      '/stores/stats-1m/other/a',
      '/stores/stats-1m/windows/a/b',
      '/tasks/0_0',
      '/stores/',
    ])
      expect((await get(processor, path)).status, path).toBe(404)
  })
})

describe('two processors', () => {
  it('send those who ask for a key of the other one there, once', async () => {
    for (const type of [first, second]) send(type, startMs, 1)
    const one = await start('one')
    const other = await start('other')
    await until(async () => (await isRunning(one, 2)) && (await isRunning(other, 2)))
    const path = (type: string) => `/stores/stats-1d/windows/${type}`
    const [answer, elsewhere] = await Promise.all([get(one, path(first)), get(one, path(second))])
    const [owner, redirect] = answer.status === 200 ? [answer, elsewhere] : [elsewhere, answer]
    expect(owner).toMatchObject({ status: 200 })
    const type = redirect === elsewhere ? second : first
    expect(redirect).toMatchObject({
      status: 307,
      location: `${other.server.url}${path(type)}?redirected=true`,
      body: { code: 'STORE_ELSEWHERE' },
    })
    const followed = await until(async () => {
      const response = await fetch(`${one.server.url}${path(type)}`)
      const { windows = [] }: { windows?: readonly unknown[] } = JSON.parse(await response.text())
      return windows.length > 0 && { url: response.url, windows }
    })
    expect(followed.url).toContain(other.server.url)
    expect(followed.windows).toMatchObject([{ key: type, value: { count: 1 } }])
    // Whoever comes from another member is told to wait, and not sent on.
    const back = await get(one, `${path(type)}?redirected=true`)
    expect(back).toMatchObject({ status: 503, location: null, body: { code: 'STORE_ELSEWHERE' } })
    expect(await get(one, `/stores/stats-1d/owner/${type}`)).toMatchObject({
      body: { local: false, endpoint: other.server.url },
    })
  })
})
