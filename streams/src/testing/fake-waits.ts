import { type Clock, systemClock } from '../core/clock.ts'

interface Waiter {
  readonly deadlineMs: number
  readonly check: () => boolean
  readonly wake: () => void
}

/**
 * Waits of the fakes: until something is so, or the clock has passed a deadline. With the machine's clock the deadline is a timer; with any
 * other clock whoever moves it calls `recheck`.
 */
export class FakeWaits {
  readonly clock: Clock
  readonly #waiters = new Set<Waiter>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** Resolves once `check` is true (then with true) or `waitMs` have passed (then with false). */
  async until(check: () => boolean, waitMs: number): Promise<boolean> {
    if (check()) return true
    const deadlineMs = this.clock.nowMs() + waitMs
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#waiters.add({ deadlineMs, check, wake: resolve })
      if (this.clock === systemClock) timer = setTimeout(() => this.recheck(), waitMs + 1)
    })
    clearTimeout(timer)
    return check()
  }

  /** Something happened, or time went on: those whose wait is over go on. */
  recheck(): void {
    for (const waiter of [...this.#waiters]) {
      if (this.clock.nowMs() < waiter.deadlineMs && !waiter.check()) continue
      this.#waiters.delete(waiter)
      waiter.wake()
    }
  }
}
