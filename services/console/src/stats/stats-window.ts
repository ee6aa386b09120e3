import { type JsonObject, numberAt, objectAt, optionalNumberAt, textAt } from '../gateway/json.ts'

/** The statistics of one event type in one window, as the page keeps them. */
export interface StatsWindow {
  readonly eventType: string
  readonly windowStartMs: number
  readonly windowEndMs: number
  readonly count: number
  /** Events that had a value; the average is `sum / valueCount`. */
  readonly valueCount: number
  readonly sum: number
  readonly min: number | null
  readonly max: number | null
  readonly final: boolean
  /** When the processor wrote it, if the gateway says so. */
  readonly updatedAtMs: number | null
}

/**
 * Reads one window of `GET /stats` or of the stream. `eventTypeAsked` stands in where the answer names its type once for all windows.
 * Throws a `bad_answer` that names the faulty member.
 */
export function parseStatsWindow(value: unknown, eventTypeAsked: string | null): StatsWindow {
  const object = objectAt(value, 'window')
  const count = numberAt(object, 'count')
  return {
    eventType:
      object.event_type === undefined && eventTypeAsked !== null ? eventTypeAsked : textAt(object, 'event_type'),
    windowStartMs: numberAt(object, 'window_start'),
    windowEndMs: numberAt(object, 'window_end'),
    count,
    valueCount: optionalNumberAt(object, 'value_count') ?? impliedValueCount(object, count),
    sum: optionalNumberAt(object, 'sum') ?? 0,
    min: optionalNumberAt(object, 'min'),
    max: optionalNumberAt(object, 'max'),
    final: object.final === true,
    updatedAtMs: optionalNumberAt(object, 'updated_at'),
  }
}

/**
 * Whether `incoming` should replace `existing`, two states of the same window. The stream may repeat older states after a reconnect, and
 * an answer with history may be older than what the stream brought meanwhile: the later write wins, and without that the larger count,
 * since a window's count only grows.
 */
export function supersedes(incoming: StatsWindow, existing: StatsWindow): boolean {
  const writtenLaterMs = (incoming.updatedAtMs ?? 0) - (existing.updatedAtMs ?? 0)
  if (incoming.updatedAtMs !== null && existing.updatedAtMs !== null && writtenLaterMs !== 0) return writtenLaterMs > 0
  return incoming.count >= existing.count
}

/** Without `value_count` the number of values follows from sum and average, unless both are zero: then every event counts. */
function impliedValueCount(object: JsonObject, count: number): number {
  const average = optionalNumberAt(object, 'avg')
  if (average === null) return 0
  const sum = optionalNumberAt(object, 'sum') ?? 0
  return average === 0 ? count : Math.round(sum / average)
}
