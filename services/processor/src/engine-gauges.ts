import { Counter, Gauge, type Registry } from '@millrace/kit'
import type { AppSnapshot, StoreSnapshot, TaskSnapshot } from '@millrace/streams'

/** What the figures are read from. */
export interface MeasuredEngine {
  snapshot(): AppSnapshot
  stores(): Promise<readonly StoreSnapshot[]>
}

/**
 * Figures that are read when somebody asks for them, and cost nothing while records flow. Each task, node, store and input is a label of its
 * own: as many as the program has, times the partitions that are here. Counters begin at 0 when a task is started anew, as after a restart.
 */
export function exposeEngine(registry: Registry, engine: () => MeasuredEngine | undefined): void {
  const snapshot = () => engine()?.snapshot()
  exposeProgress(registry, snapshot)
  exposeTasks(registry, () => snapshot()?.tasks ?? [])
  exposeStoreSizes(registry, engine)
}

function exposeProgress(registry: Registry, snapshot: () => AppSnapshot | undefined): void {
  gauge(registry, 'millrace_engine_running', {
    help: '1 while the engine processes, 0 while it starts, restores or closes.',
    labelNames: [],
    read: () => [{ labels: {}, value: snapshot()?.state === 'running' ? 1 : 0 }],
  })
  gauge(registry, 'millrace_tasks', {
    help: 'Tasks that run here.',
    labelNames: [],
    read: () => [{ labels: {}, value: snapshot()?.tasks.length ?? 0 }],
  })
  gauge(registry, 'millrace_standby_lag_records', {
    help: 'Offsets between a copy that is kept for another member and the end of its changelog.',
    labelNames: ['store', 'partition'],
    read: () =>
      (snapshot()?.standbys ?? []).map(({ store, partition, position, endOffset }) => ({
        labels: { store, partition },
        value: Math.max(0, endOffset - position),
      })),
  })
}

function exposeTasks(registry: Registry, tasks: () => readonly TaskSnapshot[]): void {
  gauge(registry, 'millrace_input_lag_records', {
    help: 'Offsets between what was processed and the end of each input, transaction markers included.',
    labelNames: ['topic', 'partition'],
    read: () =>
      tasks().flatMap(({ inputs }) =>
        inputs.map(({ topic, partition, position, highWatermark }) => ({
          labels: { topic, partition },
          value: Math.max(0, highWatermark - position),
        })),
      ),
  })
  gauge(registry, 'millrace_input_buffered_bytes', {
    help: 'Bytes that were fetched for a task and are not processed yet.',
    labelNames: ['task'],
    read: () => tasks().map(({ id, bufferedBytes }) => ({ labels: { task: id }, value: bufferedBytes })),
  })
  gauge(registry, 'millrace_stream_time_seconds', {
    help: 'Stream time of each task, seconds since the epoch.',
    labelNames: ['task'],
    read: () =>
      tasks()
        .filter(({ streamTimeMs }) => streamTimeMs >= 0)
        .map(({ id, streamTimeMs }) => ({ labels: { task: id }, value: streamTimeMs / 1_000 })),
  })
  counter(registry, 'millrace_node_records_total', {
    help: 'Records that came to each node of the topology.',
    labelNames: ['task', 'node'],
    read: () =>
      tasks().flatMap(({ id, nodes }) =>
        nodes.map(({ name, records }) => ({ labels: { task: id, node: name }, value: records })),
      ),
  })
  const ofStores = (value: (store: TaskSnapshot['stores'][number]) => number) => ({
    labelNames: ['task', 'store'],
    read: () =>
      tasks().flatMap(({ id, stores }) =>
        stores.map((store) => ({ labels: { task: id, store: store.name }, value: value(store) })),
      ),
  })
  gauge(registry, 'millrace_store_memory_rows', {
    help: 'Rows of a store in memory, changed and cached ones.',
    ...ofStores(({ rows }) => rows),
  })
  gauge(registry, 'millrace_store_memory_bytes', {
    help: 'What the rows of a store in memory take.',
    ...ofStores(({ bytes }) => bytes),
  })
  counter(registry, 'millrace_store_cache_hits_total', {
    help: 'Rows that were read from memory.',
    ...ofStores(({ reads, loads }) => Math.max(0, reads - loads)),
  })
  counter(registry, 'millrace_store_cache_misses_total', {
    help: 'Rows that had to be fetched from the disk before they were read.',
    ...ofStores(({ loads }) => loads),
  })
}

function exposeStoreSizes(registry: Registry, engine: () => MeasuredEngine | undefined): void {
  const ofStores = (value: (store: StoreSnapshot) => number) => ({
    labelNames: ['store'],
    read: async () => (await sizes(engine)).map((store) => ({ labels: { store: store.name }, value: value(store) })),
  })
  gauge(registry, 'millrace_store_rows', {
    help: 'About how many rows of a store are on this disk, all partitions together.',
    ...ofStores(({ rowsEstimate }) => rowsEstimate),
  })
  gauge(registry, 'millrace_store_bytes', {
    help: 'About how many bytes of a store are on this disk, all partitions together.',
    ...ofStores(({ bytesEstimate }) => bytesEstimate),
  })
}

/** None while the engine is being closed: the other figures must not fail with it. */
async function sizes(engine: () => MeasuredEngine | undefined): Promise<readonly StoreSnapshot[]> {
  try {
    return (await engine()?.stores()) ?? []
  } catch {
    return []
  }
}

interface Figures {
  readonly help: string
  readonly labelNames: readonly string[]
  /** Everything that there is now: labels that are not among it are forgotten. */
  read(): readonly Figure[] | Promise<readonly Figure[]>
}

interface Figure {
  readonly labels: Record<string, string | number>
  readonly value: number
}

function gauge(registry: Registry, name: string, { help, labelNames, read }: Figures): void {
  new Gauge({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    async collect() {
      const figures = await read()
      this.reset()
      for (const { labels, value } of figures) this.set(labels, value)
    },
  })
}

function counter(registry: Registry, name: string, { help, labelNames, read }: Figures): void {
  new Counter({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    async collect() {
      const figures = await read()
      this.reset()
      for (const { labels, value } of figures) this.inc(labels, value)
    },
  })
}
