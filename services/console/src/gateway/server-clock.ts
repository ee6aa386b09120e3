import { clockSkewToleratedMs } from '../limits.ts'

/** The present, in UNIX milliseconds. */
export interface Clock {
  nowMs(): number
}

/** A clock that follows the server's. */
export interface ServerClock extends Clock {
  /** Takes the Date header of an answer. */
  observe(dateHeader: string | null): void
}

/**
 * The present as the server has it. A computer whose clock is minutes wrong would else look for the newest windows in the wrong place
 * and show an empty chart.
 */
export function createServerClock(local: Clock): ServerClock {
  let skewMs = 0
  return {
    nowMs: () => local.nowMs() + skewMs,
    observe(dateHeader) {
      const serverMs = Date.parse(dateHeader ?? '')
      if (Number.isNaN(serverMs)) return
      // The header is cut to whole seconds: half a second later is the best guess.
      const observedMs = serverMs + 500 - local.nowMs()
      skewMs = Math.abs(observedMs) < clockSkewToleratedMs ? 0 : observedMs
    },
  }
}
