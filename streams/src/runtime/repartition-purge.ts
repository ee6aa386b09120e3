import { type Admin, type CommittedOffset, partitionKey, type TopicPartition } from '../core/broker.ts'
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import { purgeIntervalMs } from './limits.ts'

/**
 * Deletes records of repartition topics that are processed: those before the committed offsets, every half minute, as Kafka Streams does.
 * Their retention is for ever, so that nothing is deleted before. Runs beside the processing; a failure is logged and made up for by the next run.
 */
export class RepartitionPurge {
  readonly #admin: Admin
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #topics: ReadonlySet<string>
  readonly #processed = new Map<string, TopicPartition & { readonly offset: number }>()
  #lastMs: number
  #running: Promise<void> | undefined

  constructor(options: { admin: Admin; clock: Clock; logger: Logger; topics: ReadonlySet<string> }) {
    this.#admin = options.admin
    this.#clock = options.clock
    this.#logger = options.logger
    this.#topics = options.topics
    this.#lastMs = options.clock.nowMs()
  }

  /** Takes note of offsets that are committed, and begins to delete when it is time. */
  committed(offsets: readonly (TopicPartition & CommittedOffset)[]): void {
    for (const { topic, partition, offset } of offsets) {
      if (this.#topics.has(topic)) this.#processed.set(partitionKey({ topic, partition }), { topic, partition, offset })
    }
    const nowMs = this.#clock.nowMs()
    if (nowMs - this.#lastMs < purgeIntervalMs || this.#running !== undefined || this.#processed.size === 0) return
    this.#lastMs = nowMs
    this.#running = this.#purge().finally(() => {
      this.#running = undefined
    })
  }

  /** Waits for the deletion under way, which ends by itself when its admin is closed. */
  async settled(): Promise<void> {
    await this.#running
  }

  async #purge(): Promise<void> {
    const before = [...this.#processed.values()]
    this.#processed.clear()
    try {
      await this.#admin.deleteRecords(before)
    } catch (error) {
      this.#logger.warn(
        { err: error },
        'processed records of repartition topics could not be deleted; trying again later',
      )
    }
  }
}
