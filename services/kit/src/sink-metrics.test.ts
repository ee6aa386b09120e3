import { expect, it } from 'vitest'
import { createMetrics } from './metrics.ts'
import { createSinkMetrics, exposeSinkLag, type StoredPartition } from './sink-metrics.ts'

it('shows what was stored, repeated and refused, and the lag of the partitions that are held now', async () => {
  const registry = createMetrics({ service: 'sink', processMetrics: false })
  const metrics = createSinkMetrics(registry)('events')
  metrics.onWritten({ rows: 3, bytes: 200, durationMs: 40 })
  metrics.onRetry()
  metrics.onDeadLetters('UNDECODABLE', 2)
  metrics.onGap({ fromOffset: 5, toOffset: 9 })
  const partition = { topic: 'events', partition: 1, writtenOffset: 10, endOffset: 10, bufferedBytes: 7 }
  let partitions: readonly StoredPartition[] = [{ ...partition, oldestPendingMs: 1_000 }]
  exposeSinkLag({
    registry,
    partitions: () => partitions,
    refresh: async () => {
      partitions = partitions.map((of) => ({ ...of, endOffset: 25 }))
    },
    nowMs: () => 3_500,
  })

  const lines = (await registry.metrics()).split('\n')
  for (const line of [
    'millrace_sink_rows_total{topic="events",service="sink"} 3',
    'millrace_sink_bytes_total{topic="events",service="sink"} 200',
    'millrace_sink_retries_total{topic="events",service="sink"} 1',
    'millrace_sink_dead_letters_total{topic="events",reason="UNDECODABLE",service="sink"} 2',
    'millrace_sink_lost_offsets_total{topic="events",service="sink"} 4',
    'millrace_sink_lag_records{topic="events",partition="1",service="sink"} 15',
    'millrace_sink_lag_seconds{topic="events",partition="1",service="sink"} 2.5',
    'millrace_sink_buffered_bytes{topic="events",partition="1",service="sink"} 7',
  ]) {
    expect(lines).toContain(line)
  }

  partitions = []
  expect(await registry.metrics()).not.toContain('partition="1"')
})
