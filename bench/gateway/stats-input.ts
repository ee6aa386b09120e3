import { type EventStats, openRegistry, topic } from '@millrace/schemas'
import { type Broker, partitionOfKey } from '@millrace/streams'

const minuteMs = 60_000
const windowCount = 60

/** Writes an hour of windows of one event type to the topic that the gateway keeps in memory. */
export async function fillStats(broker: Broker, registryUrl: string): Promise<void> {
  const codec = await openRegistry(registryUrl).codecFor('stats', 'event-stats')
  const { partitions } = topic('stats')
  const producer = await broker.openProducer({ clientId: 'bench-stats' })
  const endMs = Math.floor(Date.now() / minuteMs) * minuteMs
  try {
    const windows = Array.from({ length: windowCount }, (_, index) => statsOf(endMs - (windowCount - index) * minuteMs))
    await producer.send(
      windows.map((stats) => {
        const key = Buffer.from(`${stats.event_type}@${stats.interval}`)
        const value = codec.encode(stats)
        return { topic: 'stats', partition: partitionOfKey(key, partitions), key, value, timestamp: Date.now() }
      }),
    )
  } finally {
    await producer.close()
  }
}

function statsOf(startMs: number): EventStats {
  return {
    event_type: 'click',
    interval: '1m',
    window_start: startMs,
    window_end: startMs + minuteMs,
    count: 120_000,
    value_count: 118_000,
    sum: 5_900_000.5,
    avg: 50.004,
    min: 0.01,
    max: 99.99,
    final: true,
    updated_at: startMs + minuteMs,
  }
}
