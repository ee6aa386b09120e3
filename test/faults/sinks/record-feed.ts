import { hash, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Event, Lead, RecordCodec } from '@millrace/schemas'
import type { PlainLead } from '@millrace/storage/sealing'
import type { Broker, OutgoingRecord, Producer } from '@millrace/streams'
import type { Random } from '../random.ts'
import {
  deliveryTimeoutMs,
  duplicateEvery,
  eventsPerSecond,
  feedIntervalMs,
  leadsPerSecond,
  partitions,
} from './limits.ts'

/** What was sent, for the comparison with what is stored. */
export interface Sent {
  readonly events: number
  /** Of all events; whole numbers, so that the sum is exact. */
  readonly values: number
  readonly metadataBytes: number
  readonly leads: number
  /** Of each lead the one that it is a duplicate of, by their ids; null of the others. */
  readonly duplicates: ReadonlyMap<string, string | null>
}

/** How the feed writes. */
export interface FeedCodecs {
  readonly event: RecordCodec<Event>
  readonly lead: RecordCodec<Lead>
  /** As the gateway does it. */
  readonly seal: (lead: PlainLead) => Lead
}

/** Sends events and leads at a steady rate, each once, with ids that no other has. */
export class RecordFeed {
  /** The error that ended it; never resolves otherwise. */
  readonly failed: Promise<unknown>
  readonly #producer: Producer
  readonly #codecs: FeedCodecs
  readonly #random: Random
  readonly #fail: (error: unknown) => void
  readonly #sent = { events: 0, values: 0, metadataBytes: 0, leads: 0 }
  readonly #duplicates = new Map<string, string | null>()
  /** The last leads of each partition, for those that come again. */
  readonly #people: { readonly leadId: string; readonly email: string }[] = []
  #ended = false
  #running: Promise<void> | undefined

  static async open(broker: Broker, codecs: FeedCodecs, random: Random): Promise<RecordFeed> {
    return new RecordFeed(await broker.openProducer({ clientId: 'feed', deliveryTimeoutMs }), codecs, random)
  }

  private constructor(producer: Producer, codecs: FeedCodecs, random: Random) {
    this.#producer = producer
    this.#codecs = codecs
    this.#random = random
    const { promise, resolve } = Promise.withResolvers<unknown>()
    this.failed = promise
    this.#fail = resolve
  }

  get sent(): Sent {
    return { ...this.#sent, duplicates: this.#duplicates }
  }

  start(): void {
    this.#running ??= this.#run().catch((error: unknown) => this.#fail(error))
  }

  /** Resolves when everything that was made is acknowledged. Idempotent. */
  async stop(): Promise<void> {
    this.#ended = true
    await this.#running
    await this.#producer.close()
  }

  async #run(): Promise<void> {
    let lastMs = Date.now()
    let [events, leads] = [0, 0]
    while (!this.#ended) {
      const nowMs = Date.now()
      // What a busy machine held up is not made up for: the rate is there to keep the sinks busy, not to be exact.
      const elapsedMs = Math.min(nowMs - lastMs, 500)
      lastMs = nowMs
      events += (elapsedMs * eventsPerSecond) / 1_000
      leads += (elapsedMs * leadsPerSecond) / 1_000
      const records: OutgoingRecord[] = []
      for (; events >= 1; events--) records.push(this.#event(nowMs))
      for (; leads >= 1; leads--) records.push(this.#lead(nowMs))
      if (records.length > 0) await this.#producer.send(records)
      await delay(feedIntervalMs)
    }
  }

  #event(nowMs: number): OutgoingRecord {
    const number = ++this.#sent.events
    const value = this.#random.int(0, 1_000)
    const metadata = `{"value":${value},"text":"${'ä'.repeat(this.#random.int(0, 20))}"}`
    this.#sent.values += value
    this.#sent.metadataBytes += Buffer.byteLength(metadata)
    const event: Event = {
      event_id: `e-${number}`,
      user_id: `u-${number % 997}`,
      event_type: `type-${number % 7}`,
      // Two months: every insert makes parts in two partitions of the table.
      timestamp: nowMs - (number % 2) * 40 * 86_400_000,
      value,
      metadata,
      received_at: nowMs,
      source: 'faults',
    }
    return recordOf('events', number % partitions, event.user_id, this.#codecs.event.encode(event), nowMs)
  }

  #lead(nowMs: number): OutgoingRecord {
    const number = ++this.#sent.leads
    const leadId = randomUUID()
    const partition = number % partitions
    // Of the same partition, so that their order, and with it who is first, is certain.
    const known = number % duplicateEvery === 0 ? this.#people[partition] : undefined
    const email = known?.email ?? `lead-${number}@example.com`
    if (known === undefined) this.#people[partition] = { leadId, email }
    this.#duplicates.set(leadId, known?.leadId ?? null)
    const lead: PlainLead = {
      lead_id: leadId,
      first_name: 'Ann',
      last_name: `Ö${number}`,
      email,
      phone: null,
      date_of_birth: null,
      address: null,
      city: null,
      postal_code: null,
      country: null,
      source: 'faults',
      campaign: null,
      consent: true,
      attributes: '{}',
      content_hash: hash('sha256', `${leadId} ${email}`),
      submitted_by: 'faults',
      request_id: randomUUID(),
      received_at: nowMs,
    }
    return recordOf('leads', partition, leadId, this.#codecs.lead.encode(this.#codecs.seal(lead)), nowMs)
  }
}

function recordOf(topic: string, partition: number, key: string, value: Buffer, timestamp: number): OutgoingRecord {
  return { topic, partition, key: Buffer.from(key), value, timestamp }
}
