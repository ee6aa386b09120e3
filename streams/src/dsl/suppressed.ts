import { StreamsError } from '../core/errors.ts'
import { limits } from '../core/limits.ts'
import type { WhenFull } from '../processor/suppress.ts'

/** How much a suppression holds back at most, in each task's memory. */
export interface SuppressBounds {
  readonly recordsMax?: number
  /** Of keys and values, as they are stored. */
  readonly bytesMax?: number
}

/** Holds a row's changes back for a time. */
export interface UntilTimeLimit {
  readonly until: 'time-limit'
  readonly limitMs: number
  readonly recordsMax: number
  readonly bytesMax: number
  readonly whenFull: WhenFull
}

/** Holds the results of a window back until it is closed. */
export interface UntilWindowCloses {
  readonly until: 'window-closes'
  readonly recordsMax: number
  readonly bytesMax: number
  readonly whenFull: 'shut-down'
}

/**
 * Each row's changes are held back until stream time has passed the first of them by `limitMs`; then the last of them is handed on. Above the
 * bounds, by default 100,000 records and 64 MiB, the oldest leave early, or the application stops.
 * Throws `INVALID_TOPOLOGY` unless `limitMs` is a whole number from 0 on and bounds are whole numbers above 0.
 */
export function untilTimeLimit(
  of: { readonly limitMs: number; readonly whenFull?: WhenFull } & SuppressBounds,
): UntilTimeLimit {
  const { limitMs, whenFull = 'emit-early' } = of
  const faults = boundFaults(of)
  if (!Number.isSafeInteger(limitMs) || limitMs < 0)
    faults.push(`limitMs must be a whole number from 0 on, not ${limitMs}`)
  throwFaults('untilTimeLimit', faults)
  const recordsMax = of.recordsMax ?? limits.suppressRecordsMax
  const bytesMax = of.bytesMax ?? limits.suppressBytesMax
  return Object.freeze({ until: 'time-limit', limitMs, recordsMax, bytesMax, whenFull })
}

/**
 * Each window's result is handed on once, when stream time has passed the window's end by its grace; rows that were deleted by then give
 * nothing. Unbounded unless it is told otherwise, as in Kafka Streams; above a bound the application stops with `BUFFER_FULL`, since a
 * result that leaves early would not be the last one. `emit: 'close'` gives the same results and holds nothing in memory.
 * Throws `INVALID_TOPOLOGY` unless bounds are whole numbers above 0.
 */
export function untilWindowCloses(of: SuppressBounds = {}): UntilWindowCloses {
  throwFaults('untilWindowCloses', boundFaults(of))
  const { recordsMax = Number.POSITIVE_INFINITY, bytesMax = Number.POSITIVE_INFINITY } = of
  return Object.freeze({ until: 'window-closes', recordsMax, bytesMax, whenFull: 'shut-down' })
}

function boundFaults(of: SuppressBounds): string[] {
  const faults: string[] = []
  for (const field of ['recordsMax', 'bytesMax'] as const) {
    const bound = of[field]
    if (bound !== undefined && (!Number.isSafeInteger(bound) || bound <= 0))
      faults.push(`${field} must be a whole number above 0, not ${bound}`)
  }
  return faults
}

function throwFaults(what: string, faults: readonly string[]): void {
  if (faults.length > 0) throw new StreamsError('INVALID_TOPOLOGY', `${what}: ${faults.join('; ')}`)
}
