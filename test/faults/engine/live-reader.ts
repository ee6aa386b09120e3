import { type Broker, type Fetcher, hasCode, RecordCursor } from '@millrace/streams'
import { partitions } from './limits.ts'
import type { ReadRecord } from './topic-log.ts'
import { resultsTopic } from './topology.ts'

const pollMs = 200

/**
 * A subscriber of the results, under read_committed, that reads while things break, and keeps what it saw. Not kafkajs, whose filter hands on the
 * first record of an aborted transaction when a fetch begins within another one: it takes one entry of the broker's list per record.
 */
export class LiveReader {
  /** What was seen, by partition, in the order in which it came. */
  readonly seen: readonly ReadRecord[][] = Array.from({ length: partitions }, () => [])
  /** The error that ended it; never resolves otherwise. */
  readonly failed: Promise<unknown>
  readonly #fetcher: Fetcher
  readonly #fail: (error: unknown) => void
  #ended = false
  #running: Promise<void> | undefined

  static async open(broker: Broker, isolation: 'committed' | 'uncommitted'): Promise<LiveReader> {
    return new LiveReader(await broker.openFetcher({ clientId: 'subscriber', isolation }))
  }

  private constructor(fetcher: Fetcher) {
    this.#fetcher = fetcher
    const { promise, resolve } = Promise.withResolvers<unknown>()
    this.failed = promise
    this.#fail = resolve
  }

  start(): void {
    this.#fetcher.assign(this.seen.map((_, partition) => ({ topic: resultsTopic, partition, offset: 0 })))
    this.#running ??= this.#run().catch((error: unknown) => this.#fail(error))
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    this.#ended = true
    await this.#running
    await this.#fetcher.close()
  }

  async #run(): Promise<void> {
    const cursor = new RecordCursor()
    while (!this.#ended) {
      for (const fetched of await this.#poll()) {
        cursor.reset(fetched)
        while (cursor.next()) this.seen[fetched.partition]?.push(readRecord(cursor))
      }
    }
  }

  /** A broker that is away is waited for. */
  async #poll(): ReturnType<Fetcher['poll']> {
    try {
      return await this.#fetcher.poll(pollMs)
    } catch (error) {
      if (hasCode(error, 'BROKER_UNAVAILABLE')) return []
      throw error
    }
  }
}

/** The cursor's present record, as text. */
export function readRecord({ bytes, offset, keyStart, keyEnd, valueStart, valueEnd }: RecordCursor): ReadRecord {
  return { offset, key: bytes.toString('utf8', keyStart, keyEnd), value: bytes.toString('utf8', valueStart, valueEnd) }
}
