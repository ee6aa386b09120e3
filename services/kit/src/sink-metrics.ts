import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** How far one partition of a topic is stored. */
export interface StoredPartition {
  readonly topic: string
  readonly partition: number
  /** Everything before it is stored. */
  readonly writtenOffset: number
  readonly endOffset: number
  /** Time of the oldest record that was read and is not stored. */
  readonly oldestPendingMs: number | undefined
  readonly bufferedBytes: number
}

/** Figures of one topic on its way into a store. */
export interface SinkMetrics {
  onWritten(batch: { readonly rows: number; readonly bytes: number; readonly durationMs: number }): void
  onRetry(): void
  onGap(gap: { readonly fromOffset: number; readonly toOffset: number }): void
  onDeadLetters(reason: string, count: number): void
}

/** Makes the metrics of sinks in one registry; the result makes those of one topic. */
export function createSinkMetrics(registry: Registry): (topic: string) => SinkMetrics {
  const registers = [registry]
  const labelNames = ['topic'] as const
  const rows = new Counter({ name: 'millrace_sink_rows_total', help: 'Records stored.', labelNames, registers })
  const bytes = new Counter({
    name: 'millrace_sink_bytes_total',
    help: 'Bytes of records stored.',
    labelNames,
    registers,
  })
  const batches = new Counter({ name: 'millrace_sink_batches_total', help: 'Batches stored.', labelNames, registers })
  const retries = new Counter({
    name: 'millrace_sink_retries_total',
    help: 'Writes and commits repeated.',
    labelNames,
    registers,
  })
  const lost = new Counter({
    name: 'millrace_sink_lost_offsets_total',
    help: 'Offsets that were deleted from the log before they could be stored.',
    labelNames,
    registers,
  })
  const letters = new Counter({
    name: 'millrace_sink_dead_letters_total',
    help: 'Records that went to the dead-letter topic.',
    labelNames: ['topic', 'reason'],
    registers,
  })
  const seconds = new Histogram({
    name: 'millrace_sink_batch_seconds',
    help: 'From announcing a batch to noting that it is stored, repetitions included.',
    labelNames,
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60],
    registers,
  })
  return (topic) => ({
    onWritten(batch) {
      rows.inc({ topic }, batch.rows)
      bytes.inc({ topic }, batch.bytes)
      batches.inc({ topic })
      seconds.observe({ topic }, batch.durationMs / 1_000)
    },
    onRetry: () => retries.inc({ topic }),
    onGap: ({ fromOffset, toOffset }) => lost.inc({ topic }, toOffset - fromOffset),
    onDeadLetters: (reason, count) => letters.inc({ topic, reason }, count),
  })
}

/**
 * Shows lag, per partition, whenever the registry is read. `refresh` may ask the cluster where the logs end; when it fails, the ends that were last seen
 * are shown.
 */
export function exposeSinkLag(options: {
  readonly registry: Registry
  readonly partitions: () => readonly StoredPartition[]
  readonly refresh: () => Promise<void>
  readonly nowMs: () => number
}): void {
  const { registry, partitions, refresh, nowMs } = options
  const expose = (
    gauge: { readonly name: string; readonly help: string; readonly prepare?: () => Promise<void> },
    figureOf: (partition: StoredPartition) => number,
  ) => {
    new Gauge({
      name: gauge.name,
      help: gauge.help,
      labelNames: ['topic', 'partition'],
      registers: [registry],
      async collect() {
        await gauge.prepare?.()
        // Partitions that were given up must not stay on show.
        this.reset()
        for (const of of partitions()) this.set({ topic: of.topic, partition: of.partition }, figureOf(of))
      },
    })
  }
  expose(
    {
      name: 'millrace_sink_lag_records',
      help: 'Offsets between what is stored and the end of the log.',
      prepare: refresh,
    },
    ({ endOffset, writtenOffset }) => Math.max(0, endOffset - writtenOffset),
  )
  expose(
    {
      name: 'millrace_sink_lag_seconds',
      help: 'Age of the oldest record that was read and is not stored; 0 when there is none.',
    },
    ({ oldestPendingMs }) => (oldestPendingMs === undefined ? 0 : Math.max(0, nowMs() - oldestPendingMs) / 1_000),
  )
  expose(
    { name: 'millrace_sink_buffered_bytes', help: 'Bytes of records held in memory.' },
    ({ bufferedBytes }) => bufferedBytes,
  )
}
