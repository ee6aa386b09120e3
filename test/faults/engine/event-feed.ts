import { setTimeout as delay } from 'node:timers/promises'
import { type Broker, noHeaders, type OutgoingRecord, type Producer } from '@millrace/streams'
import type { EventSource } from './event-source.ts'
import { deliveryTimeoutMs, eventsPerSecond, eventsPerSendMax, feedIntervalMs } from './limits.ts'

/** Sends the source's events at a steady rate, each once: an idempotent producer that outlives the broker's absence. */
export class EventFeed {
  /** The error that ended it; never resolves otherwise. */
  readonly failed: Promise<unknown>
  readonly #producer: Producer
  readonly #source: EventSource
  readonly #topic: string
  readonly #fail: (error: unknown) => void
  #ended = false
  #running: Promise<void> | undefined

  static async open(broker: Broker, source: EventSource, topic: string): Promise<EventFeed> {
    return new EventFeed(await broker.openProducer({ clientId: 'feed', deliveryTimeoutMs }), source, topic)
  }

  private constructor(producer: Producer, source: EventSource, topic: string) {
    this.#producer = producer
    this.#source = source
    this.#topic = topic
    const { promise, resolve } = Promise.withResolvers<unknown>()
    this.failed = promise
    this.#fail = resolve
  }

  start(): void {
    this.#running ??= this.#run().catch((error: unknown) => this.#fail(error))
  }

  /** Resolves when all that the source gave is acknowledged. Idempotent. */
  async stop(): Promise<void> {
    this.#ended = true
    await this.#running
    await this.#producer.close()
  }

  async #run(): Promise<void> {
    const startedMs = Date.now()
    while (!this.#ended) {
      const due = Math.floor(((Date.now() - startedMs) * eventsPerSecond) / 1_000) - this.#source.given
      if (due > 0) await this.#send(Math.min(due, eventsPerSendMax))
      await delay(feedIntervalMs)
    }
  }

  async #send(count: number): Promise<void> {
    const records: OutgoingRecord[] = []
    for (let sent = 0; sent < count; sent++) {
      const { partition, key, event } = this.#source.next()
      const value = Buffer.from(JSON.stringify(event))
      records.push({
        topic: this.#topic,
        partition,
        key: Buffer.from(key),
        value,
        timestamp: event.at,
        headers: noHeaders,
      })
    }
    await this.#producer.send(records)
  }
}
