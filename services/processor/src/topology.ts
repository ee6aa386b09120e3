import { type EventStats, statsIntervalNames, statsIntervals, statsKey } from '@millrace/schemas'
import {
  internedUtf8,
  partitionOfKey,
  type Serde,
  StreamsBuilder,
  type Topology,
  tumblingWindows,
  utf8,
} from '@millrace/streams'
import type { CountedEvent } from './counted-event.ts'
import { eventStatistics } from './event-statistics.ts'

/** What the program needs besides itself. */
export interface StatisticsOptions {
  readonly events: Serde<CountedEvent>
  readonly stats: Serde<EventStats>
  /** A window is final when nothing has arrived for it for this long after its end. */
  readonly graceMs: number
  /** A window is kept for this long after its last event has arrived. */
  readonly retentionMs: number
  /** Where results go; default `stats`. Another one for a processor that computes history anew, whose results nobody must take for the present. */
  readonly statsTopic?: string
}

/**
 * The program: events to statistics per event type, in every interval, updated at each commit and final when a window has come to rest.
 * Records' timestamps are the times at which events arrived; their own times choose the windows (docs/decisions/0004).
 */
export function buildTopology({
  events,
  stats,
  graceMs,
  retentionMs,
  statsTopic = 'stats',
}: StatisticsOptions): Topology {
  const builder = new StreamsBuilder()
  const partials = builder
    .stream('events', { key: utf8, value: events, arrivalTime: true })
    .groupBy((event) => event.event_type, { key: internedUtf8() })
    .preAggregate({
      name: 'events-by-type',
      windowSizeMs: statsIntervals['10s'],
      windowTimeOf: (event) => event.timestamp,
      aggregator: eventStatistics,
    })
  for (const interval of statsIntervalNames) {
    partials
      .windowedBy(tumblingWindows({ sizeMs: statsIntervals[interval], graceMs }))
      .mergeByArrival({ store: `stats-${interval}`, retentionMs })
      .results()
      .map<string, EventStats>(
        ({ result, final, updatedAtMs }, { key: event_type, startMs: window_start, endMs: window_end }) => ({
          key: statsKey(event_type, interval, window_start),
          value: { event_type, interval, window_start, window_end, ...result, final, updated_at: updatedAtMs },
        }),
      )
      .to(statsTopic, {
        key: utf8,
        value: stats,
        partitionOf: ({ value }, partitions) => partitionOfKey(Buffer.from(value.event_type), partitions),
      })
  }
  return builder.build()
}
