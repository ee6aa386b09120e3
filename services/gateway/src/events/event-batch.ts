import type { OutgoingRecord } from '@millrace/streams'
import { GatewayError } from '../errors.ts'
import { jsonFaultCodes } from '../json/json-cursor.ts'
import { eventsPerRequestMax, rejectionsMax } from '../limits.ts'
import { EventEncoder, EventFields, type EventTopic, type Reception } from './event-encoder.ts'
import { EventIds } from './event-id.ts'

/** Why one item of a batch was not taken. `docs/api.md` lists them. */
export const rejectionCodes = [
  'NOT_JSON',
  'MISSING_FIELD',
  'UNKNOWN_FIELD',
  'WRONG_TYPE',
  'WRONG_LENGTH',
  'BAD_CHARACTERS',
  'OUT_OF_RANGE',
  ...jsonFaultCodes,
] as const
export type RejectionCode = (typeof rejectionCodes)[number]

/** One fault of one item: `index` is its place in the array or container, or its line in NDJSON, from 0; `pointer` starts at the body. */
export interface Rejection {
  readonly index: number
  readonly code: RejectionCode
  readonly pointer: string
  readonly detail: string
}

/** The id that an event without one was given. */
export interface GivenId {
  readonly index: number
  readonly event_id: string
}

/** What a body of events held. */
export interface EventBatch {
  /** Of the accepted events, in their order. */
  readonly records: readonly OutgoingRecord[]
  readonly givenIds: readonly GivenId[]
  readonly rejected: readonly Rejection[]
  /** Items with at least one fault: each is in `rejected`. */
  readonly rejectedItems: number
}

/** Collects what becomes of the items of one body at a time. Whoever reads a body tells of each item: `next`, faults, `end`. */
export class EventCollector {
  /** Of the current item. Filled by the reader; whatever it held before is undefined. */
  readonly fields = new EventFields()
  readonly #encoder: EventEncoder
  readonly #ids = new EventIds()
  #receivedAtMs = 0
  #records: OutgoingRecord[] = []
  #givenIds: GivenId[] = []
  #rejected: Rejection[] = []
  #rejectedItems = 0
  #items = 0
  #index = 0
  #isFaulty = false
  /** How much there was before the current item. */
  readonly #before = { records: 0, givenIds: 0, rejected: 0 }

  constructor(topic: EventTopic) {
    this.#encoder = new EventEncoder(topic)
  }

  /** A new body. */
  begin(reception: Reception): void {
    this.#encoder.begin(reception)
    this.#receivedAtMs = reception.receivedAtMs
    this.#records = []
    this.#givenIds = []
    this.#rejected = []
    this.#rejectedItems = 0
    this.#items = 0
    this.#index = 0
  }

  get receivedAtMs(): number {
    return this.#receivedAtMs
  }

  /** The item that follows. Throws `BODY_TOO_LARGE` when there are too many. */
  next(index: number): void {
    if (++this.#items > eventsPerRequestMax) {
      const detail = `A request may hold at most ${eventsPerRequestMax} events: send them in several requests.`
      throw new GatewayError('BODY_TOO_LARGE', detail)
    }
    this.#index = index
    this.#isFaulty = false
    this.#before.records = this.#records.length
    this.#before.givenIds = this.#givenIds.length
    this.#before.rejected = this.#rejected.length
  }

  /** One fault of the current item. */
  reject(code: RejectionCode, pointer: string, detail: string): void {
    const isFirst = !this.#isFaulty
    if (isFirst) this.#rejectedItems++
    this.#isFaulty = true
    // Past the bound each item still gets its first fault: a client must learn of every item that was not taken.
    if (!isFirst && this.#rejected.length >= rejectionsMax) return
    this.#rejected.push({ index: this.#index, code, pointer, detail })
  }

  /** All fields of the current item are read: it is taken unless it has a fault. Without `hasId` it gets an id. */
  end(hasId: boolean): void {
    if (this.#isFaulty) return
    if (!hasId) {
      const id = this.#ids.next(this.#receivedAtMs)
      this.fields.eventId.set(id, 0, id.length)
      this.#givenIds.push({ index: this.#index, event_id: id.toString('latin1') })
    }
    this.#records.push(this.#encoder.encode(this.fields))
  }

  /** The current item turned out not to be one, whatever was said of it before. */
  retract(code: RejectionCode, pointer: string, detail: string): void {
    this.#records.length = this.#before.records
    this.#givenIds.length = this.#before.givenIds
    this.#rejected.length = this.#before.rejected
    if (this.#isFaulty) this.#rejectedItems--
    this.#isFaulty = false
    this.reject(code, pointer, detail)
  }

  /** What has become of the body. Throws `INVALID_BODY` when it held nothing. */
  finish(): EventBatch {
    if (this.#items === 0) throw invalidBody('must hold at least one event')
    return {
      records: this.#records,
      givenIds: this.#givenIds,
      rejected: this.#rejected,
      rejectedItems: this.#rejectedItems,
    }
  }
}

/** The error of a body that is no list of events. */
export function invalidBody(detail: string): GatewayError {
  return new GatewayError('INVALID_BODY', `The body ${detail}.`, { faults: [{ in: 'body', pointer: '', detail }] })
}
