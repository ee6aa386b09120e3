import { GatewayError } from '../errors.ts'

/** Lets few through at a time: each costs much memory or processor time. */
export interface Turnstile {
  /** Runs `work` when there is a place. Throws `OVERLOADED` when too many wait already. */
  pass<T>(work: () => Promise<T>): Promise<T>
}

/** Makes a turnstile for `concurrentMax` at a time with `waitingMax` waiting, first come first served. */
export function createTurnstile(bounds: { readonly concurrentMax: number; readonly waitingMax: number }): Turnstile {
  const waiting: (() => void)[] = []
  let inside = 0

  function leave(): void {
    const next = waiting.shift()
    if (next === undefined) inside--
    else next()
  }

  return {
    async pass(work) {
      if (inside < bounds.concurrentMax) inside++
      else if (waiting.length >= bounds.waitingMax) {
        throw new GatewayError('OVERLOADED', 'Too many logins at the same time.', { retryAfterSeconds: 2 })
      } else await new Promise<void>((resolve) => waiting.push(resolve))
      try {
        return await work()
      } finally {
        leave()
      }
    },
  }
}
