import type { LeadOutcome } from '@millrace/schemas'
import { GatewayError } from '../errors.ts'
import { leadWaitersMax } from '../limits.ts'

/** A request's wait for what became of its lead. */
export interface ExpectedOutcome {
  /** The outcome, or undefined when none came in time. Never rejects. */
  readonly outcome: Promise<LeadOutcome | undefined>
  /** Gives the wait up, for a lead that was not handed on after all; idempotent. */
  cancel(): void
}

/**
 * Joins the outcomes that the sink publishes with the requests that wait for them. Begin to wait before the lead is produced: an outcome that
 * nobody waits for is dropped, for every gateway sees all of them.
 */
export class LeadOutcomes {
  readonly #waitersMax: number
  readonly #waiting = new Map<string, (outcome: LeadOutcome | undefined) => void>()

  constructor(waitersMax: number = leadWaitersMax) {
    this.#waitersMax = waitersMax
  }

  /** Requests that wait. */
  get size(): number {
    return this.#waiting.size
  }

  /** Waits at most `timeoutMs` for the outcome of this request's lead. Throws `OVERLOADED` when too many wait. */
  expect(requestId: string, timeoutMs: number): ExpectedOutcome {
    if (this.#waiting.size >= this.#waitersMax) {
      const detail =
        'Too many leads wait for their outcome: use /lead/process-async, or send this again a little later.'
      throw new GatewayError('OVERLOADED', detail, { retryAfterSeconds: 1 })
    }
    const { promise, resolve } = Promise.withResolvers<LeadOutcome | undefined>()
    const timer = setTimeout(() => settle(undefined), timeoutMs)
    const settle = (outcome: LeadOutcome | undefined) => {
      clearTimeout(timer)
      this.#waiting.delete(requestId)
      resolve(outcome)
    }
    this.#waiting.set(requestId, settle)
    return { outcome: promise, cancel: () => settle(undefined) }
  }

  /** Takes in an outcome from the topic. */
  settle(outcome: LeadOutcome): void {
    this.#waiting.get(outcome.request_id)?.(outcome)
  }

  /** Ends every wait without an outcome: the service closes. */
  giveUp(): void {
    for (const settle of this.#waiting.values()) settle(undefined)
  }
}
