import { setTimeout as delay } from 'node:timers/promises'
import { KitError } from './errors.ts'
import { backoffBaseMsDefault, backoffMaxMsDefault } from './limits.ts'

/** How delays grow: doubled from `baseMs` to `maxMs`, and then drawn from the upper half, so that many clients spread out. */
export interface BackoffOptions {
  readonly baseMs?: number
  readonly maxMs?: number
  /** 0 to 1; Math.random unless a test decides. */
  readonly random?: () => number
}

/** The delay before attempt `attempt + 1`, when `attempt` (from 1) has failed. */
export function backoffMs(attempt: number, options: BackoffOptions = {}): number {
  const { baseMs = backoffBaseMsDefault, maxMs = backoffMaxMsDefault, random = Math.random } = options
  // 2^20 is far over any maximum; the bound keeps the power finite for endless retries.
  const grown = Math.min(maxMs, baseMs * 2 ** Math.min(attempt - 1, 20))
  return Math.round(grown / 2 + (grown / 2) * random())
}

/** Waits; throws `ABORTED` as soon as `signal` aborts. Does not keep the process alive by itself once aborted. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, signal === undefined ? {} : { signal })
  } catch (cause) {
    throw new KitError('ABORTED', 'The wait was given up because the service is closing', { cause })
  }
}

/** What `retry` needs to know. */
export interface RetryOptions extends BackoffOptions {
  /** Calls of the operation, the first included. Default: no bound but the deadline and the signal. */
  readonly attemptsMax?: number
  /** No attempt starts after this long. Default: no deadline. */
  readonly deadlineMs?: number
  readonly signal?: AbortSignal
  /** Whether an error is worth another attempt. Default: every error. */
  readonly isRetryable?: (error: unknown) => boolean
  /** Told before each wait. */
  readonly onRetry?: (failure: { attempt: number; delayMs: number; error: unknown }) => void
  readonly nowMs?: () => number
  /** Waits between attempts; `sleep` unless a test moves time. */
  readonly wait?: (ms: number, signal?: AbortSignal) => Promise<void>
}

/** Calls `operation` until it succeeds, a bound is reached or `signal` aborts. The last error is thrown as it came; an abort throws `ABORTED`. */
export async function retry<T>(operation: (attempt: number) => Promise<T>, options: RetryOptions = {}): Promise<T> {
  const { attemptsMax = Number.POSITIVE_INFINITY, deadlineMs, isRetryable = () => true } = options
  const { nowMs = Date.now, wait = sleep } = options
  const startedMs = nowMs()
  for (let attempt = 1; ; attempt++) {
    if (options.signal?.aborted === true) throw new KitError('ABORTED', 'Given up because the service is closing')
    try {
      return await operation(attempt)
    } catch (error) {
      const delayMs = backoffMs(attempt, options)
      const late = deadlineMs !== undefined && nowMs() - startedMs + delayMs > deadlineMs
      if (attempt >= attemptsMax || late || !isRetryable(error)) throw error
      options.onRetry?.({ attempt, delayMs, error })
      await wait(delayMs, options.signal)
    }
  }
}
