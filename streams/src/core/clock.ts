/** Wall-clock time, passed in so that tests move it by hand. */
export interface Clock {
  /** Milliseconds since the UNIX epoch. */
  nowMs(): number
}

/** The machine's clock. */
export const systemClock: Clock = { nowMs: () => Date.now() }
