import type { Clock } from '../core/clock.ts'

/** A clock that only moves when it is told to. */
export class ManualClock implements Clock {
  #nowMs: number

  constructor(nowMs = 0) {
    this.#nowMs = nowMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  advance(byMs: number): void {
    this.#nowMs += byMs
  }
}
