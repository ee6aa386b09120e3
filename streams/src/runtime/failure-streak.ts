import { hasCode, StreamsError, type StreamsErrorCode } from '../core/errors.ts'
import { failuresInARowMax, retryWaitMsMax, retryWaitMsMin } from './limits.ts'

/** Failures after which the work since the last commit is done again; everything else ends the application. */
const recoverable: readonly StreamsErrorCode[] = [
  'FENCED',
  'REBALANCED',
  'OUTCOME_UNKNOWN',
  'BROKER_UNAVAILABLE',
  'TIMED_OUT',
  'STORE_CORRUPT',
]

/** Of these, the ones that heal by waiting, however long. */
const awaited: readonly StreamsErrorCode[] = ['BROKER_UNAVAILABLE', 'TIMED_OUT', 'REBALANCED']

/** Counts failures between two commits, and says whether and when to try again. */
export class FailureStreak {
  #attempts = 0
  #unexplained = 0

  /** A commit went through. */
  end(): void {
    this.#attempts = 0
    this.#unexplained = 0
  }

  /** How long to wait before the next attempt; throws when there is to be none. */
  waitMsAfter(error: unknown): number {
    if (!hasCode(error, ...recoverable)) throw error
    if (!awaited.includes(error.code) && ++this.#unexplained > failuresInARowMax) {
      throw new StreamsError(
        error.code,
        `${this.#unexplained} failures in a row, the last one: ${error.message}. Is a copy of this state directory used elsewhere?`,
        { cause: error },
      )
    }
    return Math.min(retryWaitMsMin * 2 ** this.#attempts++, retryWaitMsMax)
  }
}
