import type { EventStats } from '@millrace/schemas'
import type { StatsRepository, StoredStats } from '@millrace/storage/clickhouse'
import type { StatsHistory } from './ports.ts'

/** The event store's windows as the gateway's history. */
export function createStatsStore(repository: StatsRepository): StatsHistory {
  return {
    async range(range) {
      return (await repository.range(range)).map(toEventStats)
    },
  }
}

function toEventStats(stored: StoredStats): EventStats {
  return {
    event_type: stored.eventType,
    interval: stored.interval,
    window_start: stored.windowStartMs,
    window_end: stored.windowEndMs,
    count: stored.count,
    value_count: stored.valueCount,
    sum: stored.sum,
    avg: stored.avg,
    min: stored.min,
    max: stored.max,
    final: stored.final,
    updated_at: stored.updatedAtMs,
  }
}
