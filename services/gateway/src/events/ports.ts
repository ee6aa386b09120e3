import type { RecordSender } from '../kafka/ports.ts'
import type { EventTopic } from './event-encoder.ts'

/** Where events go. */
export interface EventIntake {
  readonly topic: EventTopic
  /** Throws `OVERLOADED` when too much waits already: then nothing was sent. */
  readonly sender: RecordSender
}

/** An event as the store keeps it. */
export interface KeptEvent {
  readonly eventId: string
  readonly userId: string
  readonly eventType: string
  readonly timestampMs: number
  readonly value: number | null
  /** A JSON object's text, as it was sent. */
  readonly metadata: string
}

/** Which events to read; every filter is optional. */
export interface EventListing {
  readonly userId?: string | undefined
  readonly eventType?: string | undefined
  readonly fromMs?: number | undefined
  readonly toMs?: number | undefined
  readonly limit: number
  readonly cursor?: string | undefined
  /** Aborted when the client has left: the store need not go on. */
  readonly signal: AbortSignal
}

/** What tells an event from every other, and when this service took it in last. */
export interface EventIdentity {
  readonly eventId: string
  readonly userId: string
  readonly eventType: string
  readonly timestampMs: number
  readonly receivedAtMs: number
}

/** Where the record of a stored event lies. */
export interface EventReceipt extends EventIdentity {
  readonly partition: number
  readonly offset: number
}

/** Where events can be read. Throws when the store does not answer, and for a cursor that is none of its own. */
export interface EventStore {
  /** Newest first. */
  page(listing: EventListing): Promise<{ readonly events: readonly KeptEvent[]; readonly nextCursor: string | null }>
  /** The rows of an id, the one received last first, at most `limit`. */
  receipts(eventId: string, limit: number): Promise<readonly EventReceipt[]>
  /** The events that are stored under one of the ids with a time of the range, both ends included; an id may be used by several users. */
  storedSince(range: {
    readonly eventIds: readonly string[]
    readonly fromMs: number
    readonly toMs: number
  }): Promise<readonly EventIdentity[]>
}
