import type { Event } from '@millrace/schemas'
import { GatewayError } from '../errors.ts'
import { JsonCursor, jsonFaultCodes } from '../json/json-cursor.ts'
import { pointerStep } from '../json/json-pointer.ts'
import { requireUtf8 } from '../json/strict-json.ts'
import {
  eventFutureMsMax,
  eventIdCharsMax,
  eventsPerRequestMax,
  eventTypeCharsMax,
  metadataBytesMax,
  rejectionsMax,
  timestampMillisFrom,
  userIdCharsMax,
} from '../limits.ts'
import { eventTypePattern, idPattern } from './event-schema.ts'

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

/** One fault of one item: `index` is its place in the array, or its line in NDJSON, from 0; `pointer` starts at the body. */
export interface Rejection {
  readonly index: number
  readonly code: RejectionCode
  readonly pointer: string
  readonly detail: string
}

/** What a body of events held. */
export interface EventBatch {
  readonly events: readonly Event[]
  readonly rejected: readonly Rejection[]
  /** Items with at least one fault: each is in `rejected`. */
  readonly rejectedItems: number
}

/** How the body is written: one event or an array of them, or one event per line. */
export type EventFormat = 'json' | 'ndjson'

/** What every event of a request gets from the gateway. */
export interface Reception {
  readonly receivedAtMs: number
  /** The principal that sent it. */
  readonly source: string
}

const eventIdKey = Buffer.from('event_id')
const userIdKey = Buffer.from('user_id')
const eventTypeKey = Buffer.from('event_type')
const timestampKey = Buffer.from('timestamp')
const metadataKey = Buffer.from('metadata')
const valueKey = Buffer.from('value')

const idCharacters = new RegExp(idPattern)
const eventTypeCharacters = new RegExp(eventTypePattern)

const lineFeed = 0x0a
const noBytes = Buffer.alloc(0)

/**
 * Reads the bodies of `POST /events`, one at a time, without building them as objects first: the fields are taken from the bytes, and
 * metadata stays the text that was sent. Keep one reader: its state is reused.
 */
export class EventReader {
  readonly #cursor = new JsonCursor()
  #reception: Reception = { receivedAtMs: 0, source: '' }
  #events: Event[] = []
  #rejected: Rejection[] = []
  #rejectedItems = 0
  #index = 0
  /** Whether the item that is being read has a fault already. */
  #faulty = false

  #eventId = ''
  #userId = ''
  #eventType = ''
  #timestamp = 0
  #metadata = ''
  #value: number | null = null

  /**
   * Takes every valid event of the body and names every fault of the others. Throws when the body as a whole cannot be read:
   * `INVALID_JSON`, `INVALID_BODY` (no event, no list of events), `BODY_TOO_LARGE` (too many events).
   */
  read(bytes: Buffer, format: EventFormat, reception: Reception): EventBatch {
    requireUtf8(bytes)
    this.#reception = reception
    this.#events = []
    this.#rejected = []
    this.#rejectedItems = 0
    this.#index = -1
    try {
      if (format === 'ndjson') this.#readLines(bytes)
      else this.#readJson(bytes)
      return { events: this.#events, rejected: this.#rejected, rejectedItems: this.#rejectedItems }
    } finally {
      this.#cursor.open(noBytes, { start: 0, end: 0 })
    }
  }

  #readJson(bytes: Buffer): void {
    const cursor = this.#cursor
    cursor.open(bytes, { start: 0, end: bytes.length })
    const kind = cursor.kind()
    if (kind === 'object') {
      this.#nextItem()
      this.#readItem('')
    } else if (kind === 'array') {
      cursor.enter()
      while (cursor.item()) {
        this.#nextItem()
        this.#readItem(`/${this.#index}`)
      }
    } else throw invalidBody(`must be an event, or an array of events; it is ${article(kind)}`)
    cursor.finish()
    if (this.#index < 0) throw invalidBody('must hold at least one event')
  }

  #readLines(bytes: Buffer): void {
    let items = 0
    for (let start = 0, line = 0; start < bytes.length; line++) {
      const found = bytes.indexOf(lineFeed, start)
      const end = found < 0 ? bytes.length : found
      if (!isBlank(bytes, start, end)) {
        if (++items > eventsPerRequestMax) throw tooMany()
        this.#index = line
        this.#readLine(bytes, start, end)
      }
      start = end + 1
    }
    if (items === 0) throw invalidBody('must hold at least one event')
  }

  #readLine(bytes: Buffer, start: number, end: number): void {
    const root = `/${this.#index}`
    const accepted = this.#events.length
    try {
      this.#cursor.open(bytes, { start, end, root })
      this.#readItem(root)
      this.#cursor.finish()
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      // The line may have been taken before its end turned out to be wrong.
      this.#events.length = accepted
      this.#faulty = false
      this.#reject('NOT_JSON', root, error.detail)
    }
  }

  #nextItem(): void {
    if (++this.#index >= eventsPerRequestMax) throw tooMany()
  }

  #readItem(root: string): void {
    const cursor = this.#cursor
    this.#faulty = false
    const kind = cursor.kind()
    if (kind === 'object') this.#readFields(root)
    else {
      cursor.value()
      this.#reject('WRONG_TYPE', root, `must be an event object; it is ${article(kind)}`)
    }
    for (const fault of cursor.takeFaults()) this.#reject(fault.code, fault.pointer, fault.detail)
    if (this.#faulty) return
    this.#events.push({
      event_id: this.#eventId,
      user_id: this.#userId,
      event_type: this.#eventType,
      timestamp: this.#timestamp,
      value: this.#value,
      metadata: this.#metadata,
      received_at: this.#reception.receivedAtMs,
      source: this.#reception.source,
    })
  }

  #readFields(root: string): void {
    const cursor = this.#cursor
    let seen = 0
    cursor.enter()
    while (cursor.member()) {
      if (cursor.keyIs(eventIdKey)) {
        seen |= 1
        this.#eventId = this.#readText(eventIdCharsMax, idCharacters, 'must not hold control characters')
      } else if (cursor.keyIs(userIdKey)) {
        seen |= 2
        this.#userId = this.#readText(userIdCharsMax, idCharacters, 'must not hold control characters')
      } else if (cursor.keyIs(eventTypeKey)) {
        seen |= 4
        const allowed = 'may hold letters, digits and _ $ . : / -, and spaces between them'
        this.#eventType = this.#readText(eventTypeCharsMax, eventTypeCharacters, allowed)
      } else if (cursor.keyIs(timestampKey)) {
        seen |= 8
        this.#timestamp = this.#readTimestamp()
      } else if (cursor.keyIs(metadataKey)) {
        seen |= 16
        this.#readMetadata()
      } else {
        const detail = 'is not a field of an event: put it into "metadata"'
        this.#reject('UNKNOWN_FIELD', cursor.pointer(), detail)
        cursor.value()
      }
    }
    if (seen !== 31) this.#rejectMissing(seen, root)
  }

  #rejectMissing(seen: number, root: string): void {
    const keys = [eventIdKey, userIdKey, eventTypeKey, timestampKey, metadataKey]
    for (const [bit, key] of keys.entries()) {
      if ((seen & (1 << bit)) === 0) {
        this.#reject('MISSING_FIELD', root + pointerStep(key.toString()), 'is required')
      }
    }
  }

  #readText(charsMax: number, allowed: RegExp, rule: string): string {
    const cursor = this.#cursor
    const kind = cursor.value()
    if (kind !== 'string') {
      this.#reject('WRONG_TYPE', cursor.pointer(), `must be a string; it is ${article(kind)}`)
      return ''
    }
    const text = cursor.text()
    if (text.length === 0 || text.length > charsMax) {
      this.#reject('WRONG_LENGTH', cursor.pointer(), `must have 1 to ${charsMax} characters; it has ${text.length}`)
    } else if (!allowed.test(text)) this.#reject('BAD_CHARACTERS', cursor.pointer(), rule)
    return text
  }

  #readTimestamp(): number {
    const cursor = this.#cursor
    const kind = cursor.value()
    if (kind !== 'number') {
      this.#reject('WRONG_TYPE', cursor.pointer(), `must be a number; it is ${article(kind)}`)
      return 0
    }
    const time = cursor.number()
    if (!Number.isInteger(time) || time < 0) {
      const detail = 'must be a whole number, 0 or more: UNIX seconds, or milliseconds from 10^11 on'
      this.#reject('OUT_OF_RANGE', cursor.pointer(), detail)
      return 0
    }
    const timeMs = time >= timestampMillisFrom ? time : time * 1000
    if (timeMs > this.#reception.receivedAtMs + eventFutureMsMax) {
      const detail = `must be at most ${eventFutureMsMax / 60_000} minutes in the future, for it would close every window before it`
      this.#reject('OUT_OF_RANGE', cursor.pointer(), detail)
    }
    return timeMs
  }

  #readMetadata(): void {
    const cursor = this.#cursor
    this.#value = null
    const kind = cursor.kind()
    if (kind !== 'object') {
      this.#reject('WRONG_TYPE', cursor.pointer(), `must be an object; it is ${article(kind)}`)
      cursor.value()
      return
    }
    const start = cursor.at
    cursor.enter()
    while (cursor.member()) {
      const isValue = cursor.keyIs(valueKey)
      if (cursor.value() === 'number' && isValue) this.#value = cursor.number()
    }
    const bytes = cursor.at - start
    if (bytes > metadataBytesMax) {
      this.#reject('WRONG_LENGTH', cursor.pointer(), `must have at most ${metadataBytesMax} bytes; it has ${bytes}`)
    }
    this.#metadata = cursor.bytes.toString('utf8', start, cursor.at)
  }

  #reject(code: RejectionCode, pointer: string, detail: string): void {
    const first = !this.#faulty
    if (first) this.#rejectedItems++
    this.#faulty = true
    // Past the bound each item still gets its first fault: a client must learn of every item that was not taken.
    if (!first && this.#rejected.length >= rejectionsMax) return
    this.#rejected.push({ index: Math.max(this.#index, 0), code, pointer, detail })
  }
}

function isBlank(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    const byte = bytes[at]
    if (byte !== 0x20 && byte !== 0x0d && byte !== 0x09) return false
  }
  return true
}

function article(kind: string): string {
  return kind === 'null' ? 'null' : /^[aeiou]/.test(kind) ? `an ${kind}` : `a ${kind}`
}

function invalidBody(detail: string): GatewayError {
  return new GatewayError('INVALID_BODY', `The body ${detail}.`, { faults: [{ in: 'body', pointer: '', detail }] })
}

function tooMany(): GatewayError {
  const detail = `A request may hold at most ${eventsPerRequestMax} events: send them in several requests.`
  return new GatewayError('BODY_TOO_LARGE', detail)
}
