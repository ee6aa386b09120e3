import { type BackoffOptions, retry } from './backoff.ts'
import { KitError } from './errors.ts'
import { dependencyDeadlineMsDefault, waitProgressMs } from './limits.ts'
import type { Logger } from './logger.ts'

/**
 * Waits until a server that this service depends on answers `connect`, and returns what `connect` returned. Says in the log
 * what it waits for. Throws `DEPENDENCY_UNAVAILABLE` with the last cause once `deadlineMs` has passed, `ABORTED` when
 * `signal` aborts; an error that `isRetryable` refuses (wrong password, missing topic) is thrown at once, as it came.
 */
export async function waitFor<T>(
  dependency: string,
  connect: () => Promise<T>,
  options: BackoffOptions & {
    readonly logger: Logger
    readonly deadlineMs?: number
    readonly signal?: AbortSignal
    readonly isRetryable?: (error: unknown) => boolean
    readonly nowMs?: () => number
    readonly wait?: (ms: number, signal?: AbortSignal) => Promise<void>
  },
): Promise<T> {
  const { logger, deadlineMs = dependencyDeadlineMsDefault, isRetryable = () => true, nowMs = Date.now } = options
  const startedMs = nowMs()
  // A client may try for long before its first error: say meanwhile what is waited for.
  const progress = setInterval(() => {
    logger.warn({ dependency, waited_ms: nowMs() - startedMs }, `${dependency} does not answer yet: waiting`)
  }, waitProgressMs)
  try {
    return await retry(connect, {
      maxMs: 2_000,
      ...options,
      deadlineMs,
      onRetry: ({ attempt, delayMs, error }) => {
        const fields = { dependency, attempt, delay_ms: delayMs, waited_ms: nowMs() - startedMs, err: error }
        logger.warn(fields, `${dependency} does not answer yet: waiting`)
      },
    })
  } catch (cause) {
    if (cause instanceof KitError && cause.code === 'ABORTED') throw cause
    if (!isRetryable(cause)) throw cause
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new KitError('DEPENDENCY_UNAVAILABLE', `${dependency} did not answer within ${deadlineMs} ms: ${reason}`, {
      cause,
    })
  } finally {
    clearInterval(progress)
  }
}
