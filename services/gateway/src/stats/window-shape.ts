import type { EventStats } from '@millrace/schemas'
import { type Static, Type } from 'typebox'

const nullableNumber = (description: string) => Type.Unsafe<number | null>({ type: ['number', 'null'], description })

/** One window as the API gives it out. */
export const StatsWindow = Type.Object(
  {
    event_type: Type.String(),
    window_start: Type.Integer({ description: 'UNIX milliseconds, inclusive.' }),
    window_end: Type.Integer({ description: 'UNIX milliseconds, exclusive.' }),
    count: Type.Integer({ description: 'Events in the window.' }),
    value_count: Type.Integer({ description: 'Events in the window that had a number in metadata.value.' }),
    sum: nullableNumber('null when it is beyond a 64-bit number.'),
    avg: nullableNumber('sum / value_count; null without values.'),
    min: nullableNumber('null without values.'),
    max: nullableNumber('null without values.'),
    final: Type.Boolean({
      description: 'The window has come to rest. It changes, and is final again, only when more events arrive for it.',
    }),
    updated_at: Type.Integer({ description: 'When the processor last wrote it, UNIX milliseconds.' }),
  },
  { title: 'StatsWindow' },
)

/** One, for the API's document. */
export const exampleWindow = {
  event_type: 'purchase',
  window_start: 1_764_000_000_000,
  window_end: 1_764_000_060_000,
  count: 1,
  value_count: 1,
  sum: 12.5,
  avg: 12.5,
  min: 12.5,
  max: 12.5,
  final: false,
  updated_at: 1_764_000_001_000,
}
export type StatsWindow = Static<typeof StatsWindow>

/** A record of the topic as the API gives it out. */
export function toStatsWindow(stats: EventStats): StatsWindow {
  return {
    event_type: stats.event_type,
    window_start: stats.window_start,
    window_end: stats.window_end,
    count: stats.count,
    value_count: stats.value_count,
    sum: finite(stats.sum),
    avg: finite(stats.avg),
    min: finite(stats.min),
    max: finite(stats.max),
    final: stats.final,
    updated_at: stats.updated_at,
  }
}

/** JSON has no word for infinity, to which sums of very large values come. */
function finite(number: number | null): number | null {
  return number !== null && Number.isFinite(number) ? number : null
}
