import { hasCode, StreamsError } from '../core/errors.ts'
import { kafkaLimits } from './limits.ts'

/** When to stop retrying, and what is random about it. */
export interface RetryOptions {
  readonly what: string
  readonly deadlineMs: number
  readonly signal: AbortSignal
  readonly random: () => number
}

/**
 * Repeats `action` while it throws `BROKER_UNAVAILABLE`, with doubling, jittered waits, until `deadlineMs` have passed; then throws
 * `BROKER_UNAVAILABLE` with the last cause. Other errors pass at once. Throws `CLOSED` when the signal fires.
 */
export async function retrying<T>(options: RetryOptions, action: () => Promise<T>): Promise<T> {
  const startMs = performance.now()
  for (let attempt = 0; ; attempt++) {
    try {
      return await action()
    } catch (error) {
      if (!hasCode(error, 'BROKER_UNAVAILABLE')) throw error
      const waitMs = backoffMs(attempt, options.random)
      if (performance.now() - startMs + waitMs > options.deadlineMs) {
        throw new StreamsError(
          'BROKER_UNAVAILABLE',
          `${options.what} failed for ${options.deadlineMs} ms: ${error.message}`,
          { cause: error },
        )
      }
      await pause(waitMs, options.signal)
    }
  }
}

/** The wait before attempt `attempt + 1`: doubling from the minimum to the maximum, between half and all of it. */
export function backoffMs(attempt: number, random: () => number): number {
  const fullMs = Math.min(kafkaLimits.backoffMaxMs, kafkaLimits.backoffMinMs * 2 ** Math.min(attempt, 10))
  return fullMs * (0.5 + 0.5 * random())
}

/** Waits; throws `CLOSED` when the signal fires before. */
export async function pause(waitMs: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, waitMs)
  const wake = () => resolve()
  signal.addEventListener('abort', wake, { once: true })
  if (!signal.aborted) await promise
  clearTimeout(timer)
  signal.removeEventListener('abort', wake)
  if (signal.aborted) throw new StreamsError('CLOSED', 'closed while waiting for the next attempt')
}
