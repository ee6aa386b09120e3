import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '@millrace/kit'
import type { Lead } from '@millrace/schemas'
import {
  type LeadKey,
  LeafSource,
  type PlainLead,
  sealLead,
  type TreeStore,
  treesHeld,
} from '@millrace/storage/sealing'
import { GatewayError } from '../errors.ts'

/** What the sealer needs. */
export interface LeadSealerDeps {
  readonly trees: TreeStore
  readonly leadKey: LeadKey
  readonly logger: Pick<Logger, 'info' | 'warn'>
  /** Between two attempts; ends early when the signal does. */
  readonly pause: (signal: AbortSignal) => Promise<void>
}

/**
 * Seals leads, each with a key of its own, before they go anywhere. The keys come from trees that this gateway has put into the table of keys and that nobody else uses: one query for 16
 * million leads, made in advance, so that leads are taken while MySQL is away.
 */
export class LeadSealer {
  readonly #leadKey: LeadKey
  readonly #logger: LeadSealerDeps['logger']
  readonly #pause: LeadSealerDeps['pause']
  readonly #leaves: LeafSource
  readonly #closed = new AbortController()
  #refilling: Promise<void> | undefined

  constructor({ trees, leadKey, logger, pause }: LeadSealerDeps) {
    this.#leadKey = leadKey
    this.#logger = logger
    this.#pause = pause
    this.#leaves = new LeafSource(trees, leadKey)
  }

  /** Gets the first keys, for as long as a service may wait with its start; never rejects. */
  async begin(waitMs: number): Promise<void> {
    await Promise.race([this.#refill(), sleep(waitMs, undefined, { ref: false })])
  }

  /** Throws `NOT_READY` when there are no keys: MySQL has not answered since the start. */
  seal(lead: PlainLead): Lead {
    const key = this.#leaves.take()
    if (this.#leaves.trees < treesHeld) void this.#refill()
    if (key === undefined) {
      throw new GatewayError('NOT_READY', 'There are no keys yet to seal leads with: try again in a moment.')
    }
    return sealLead(lead, this.#leadKey, key)
  }

  /** For the health of the service: throws when there are no keys in reserve. */
  requireReserve(): void {
    if (this.#leaves.trees < treesHeld)
      throw new Error('keys to seal leads with could not be put into MySQL for a while')
  }

  /** Asks for no more keys; idempotent. */
  close(): void {
    this.#closed.abort()
  }

  #refill(): Promise<void> {
    this.#refilling ??= this.#hold().finally(() => {
      this.#refilling = undefined
    })
    return this.#refilling
  }

  /** A failure is told once, not every second of an outage. */
  async #hold(): Promise<void> {
    const { signal } = this.#closed
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        await this.#leaves.hold(treesHeld)
        if (attempt > 1) this.#logger.info('keys to seal leads with are in reserve again')
        return
      } catch (err) {
        if (attempt === 1) this.#logger.warn({ err }, 'keys to seal leads with cannot be put into MySQL: trying again')
        await this.#pause(signal).catch(() => {})
      }
    }
  }
}
