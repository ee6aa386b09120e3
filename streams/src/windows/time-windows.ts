import { StreamsError } from '../core/errors.ts'
import { limits } from '../core/limits.ts'

/** Windows of one size, aligned to the epoch: `[start, start + size)`, a new one every `advanceMs`. A value: no clock, no state. */
export interface TimeWindows {
  readonly kind: 'tumbling' | 'hopping'
  readonly sizeMs: number
  readonly advanceMs: number
  /** How long after its end, in stream time, a window still takes records. */
  readonly graceMs: number
}

/**
 * Windows that follow one another without gap or overlap.
 * Throws `INVALID_TOPOLOGY` unless `sizeMs` is a whole number above 0 and `graceMs` one from 0 on.
 */
export function tumblingWindows(of: { readonly sizeMs: number; readonly graceMs: number }): TimeWindows {
  return checked({ kind: 'tumbling', sizeMs: of.sizeMs, advanceMs: of.sizeMs, graceMs: of.graceMs })
}

/**
 * Windows that overlap: a record falls into every window whose span covers it.
 * Throws `INVALID_TOPOLOGY` as `tumblingWindows` does, and unless `0 < advanceMs <= sizeMs`.
 */
export function hoppingWindows(of: {
  readonly sizeMs: number
  readonly advanceMs: number
  readonly graceMs: number
}): TimeWindows {
  return checked({ kind: 'hopping', sizeMs: of.sizeMs, advanceMs: of.advanceMs, graceMs: of.graceMs })
}

/** The start of the first window that `timestamp` falls into; the others follow every `advanceMs`, up to `timestamp`. */
export function firstWindowStart(windows: TimeWindows, timestamp: number): number {
  const earliest = timestamp - windows.sizeMs + windows.advanceMs
  return earliest <= 0 ? 0 : earliest - (earliest % windows.advanceMs)
}

/** The starts of all windows that `timestamp` falls into, ascending. For tests and tools; processors loop from `firstWindowStart`. */
export function windowStartsOf(windows: TimeWindows, timestamp: number): readonly number[] {
  const starts: number[] = []
  for (let start = firstWindowStart(windows, timestamp); start <= timestamp; start += windows.advanceMs)
    starts.push(start)
  return starts
}

/** The largest window start that is closed at this stream time: such a window takes no records any more. May be negative: none is. */
export function closedStartMax(windows: TimeWindows, streamTimeMs: number): number {
  return streamTimeMs - windows.graceMs - windows.sizeMs
}

/** A record falls into a window if and only if it is not late for it: the window's end lies after stream time − grace. */
export function isClosed(windows: TimeWindows, startMs: number, streamTimeMs: number): boolean {
  return startMs <= closedStartMax(windows, streamTimeMs)
}

function checked(windows: TimeWindows): TimeWindows {
  const { kind, sizeMs, advanceMs, graceMs } = windows
  const faults: string[] = []
  if (!Number.isSafeInteger(sizeMs) || sizeMs <= 0) faults.push(`sizeMs must be a whole number above 0, not ${sizeMs}`)
  if (!Number.isSafeInteger(advanceMs) || advanceMs <= 0 || advanceMs > sizeMs)
    if (kind === 'hopping')
      faults.push(`advanceMs must be a whole number from 1 to sizeMs (${sizeMs}), not ${advanceMs}`)
  if (!Number.isSafeInteger(graceMs) || graceMs < 0)
    faults.push(`graceMs must be a whole number from 0 on, not ${graceMs}`)
  if (faults.length === 0 && sizeMs / advanceMs > limits.windowsPerRecordMax)
    faults.push(
      `a record would fall into ${Math.ceil(sizeMs / advanceMs)} windows; at most ${limits.windowsPerRecordMax} are allowed: raise advanceMs`,
    )
  if (faults.length > 0) throw new StreamsError('INVALID_TOPOLOGY', `${kind}Windows: ${faults.join('; ')}`)
  return Object.freeze(windows)
}
