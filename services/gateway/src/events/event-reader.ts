import { GatewayError } from '../errors.ts'
import { JsonCursor, type JsonKind } from '../json/json-cursor.ts'
import { pointerStep } from '../json/json-pointer.ts'
import { requireUtf8 } from '../json/strict-json.ts'
import { type EventBatch, EventCollector, invalidBody } from './event-batch.ts'
import type { EventTopic, Reception, TextBytes } from './event-encoder.ts'
import {
  eventIdRule,
  eventTimeMs,
  eventTypeRule,
  type FieldFault,
  metadataFault,
  type TextRule,
  textFault,
  timeFault,
  userIdRule,
} from './event-rules.ts'

const eventIdKey = Buffer.from('event_id')
const userIdKey = Buffer.from('user_id')
const eventTypeKey = Buffer.from('event_type')
const timestampKey = Buffer.from('timestamp')
const metadataKey = Buffer.from('metadata')
const valueKey = Buffer.from('value')

/** By the bits of `#seen`: an event may come without an id, and gets one then. */
const eventIdSeen = 1
const requiredKeys = [userIdKey, eventTypeKey, timestampKey, metadataKey] as const
const allRequiredSeen = 0b11110

const lineFeed = 0x0a
const noBytes = Buffer.alloc(0)

/**
 * Reads the JSON and NDJSON bodies of `POST /events`, one at a time, without building them as objects first: the fields are taken from the
 * bytes, and metadata stays the text that was sent. Keep one reader: its state is reused.
 */
export class EventReader {
  readonly #cursor = new JsonCursor()
  readonly #collector: EventCollector
  /** Where the current item is in the body: an index, or the body itself. */
  #root: number | undefined

  constructor(topic: EventTopic) {
    this.#collector = new EventCollector(topic)
  }

  /**
   * Takes every valid event of the body and names every fault of the others. Throws when the body as a whole cannot be read:
   * `INVALID_JSON`, `INVALID_BODY` (no event, no list of events), `BODY_TOO_LARGE` (too many events).
   */
  read(bytes: Buffer, format: 'json' | 'ndjson', reception: Reception): EventBatch {
    requireUtf8(bytes)
    this.#collector.begin(reception)
    try {
      if (format === 'ndjson') this.#readLines(bytes)
      else this.#readJson(bytes)
      return this.#collector.finish()
    } finally {
      this.#cursor.open(noBytes, { start: 0, end: 0 })
    }
  }

  #readJson(bytes: Buffer): void {
    const cursor = this.#cursor
    cursor.open(bytes, { start: 0, end: bytes.length })
    const kind = cursor.kind()
    if (kind === 'object') {
      this.#root = undefined
      this.#collector.next(0)
      this.#readItem()
    } else if (kind === 'array') {
      cursor.enter()
      for (let index = 0; cursor.item(); index++) {
        this.#root = index
        this.#collector.next(index)
        this.#readItem()
      }
    } else throw invalidBody(`must be an event, or an array of events; it is ${article(kind)}`)
    cursor.finish()
  }

  #readLines(bytes: Buffer): void {
    for (let start = 0, line = 0; start < bytes.length; line++) {
      const found = bytes.indexOf(lineFeed, start)
      const end = found < 0 ? bytes.length : found
      if (!isBlank(bytes, start, end)) {
        this.#root = line
        this.#collector.next(line)
        this.#readLine(bytes, start, end)
      }
      start = end + 1
    }
  }

  #readLine(bytes: Buffer, start: number, end: number): void {
    try {
      this.#cursor.open(bytes, { start, end, root: this.#root })
      this.#readItem()
      this.#cursor.finish()
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      // The line may have been taken before its end turned out to be wrong.
      this.#collector.retract('NOT_JSON', this.#rootPointer(), error.detail)
    }
  }

  #readItem(): void {
    const cursor = this.#cursor
    const kind = cursor.kind()
    let hasId = true
    if (kind === 'object') hasId = this.#readFields()
    else {
      cursor.value()
      const detail = `must be an event object; it is ${article(kind)}`
      this.#collector.reject('WRONG_TYPE', this.#rootPointer(), detail)
    }
    if (cursor.faults.length > 0) {
      for (const { code, pointer, detail } of cursor.takeFaults()) this.#collector.reject(code, pointer, detail)
    }
    this.#collector.end(hasId)
  }

  /** Answers whether the event has an id. */
  #readFields(): boolean {
    const cursor = this.#cursor
    const { fields } = this.#collector
    let seen = 0
    cursor.enter()
    while (cursor.member()) {
      if (cursor.keyIs(eventIdKey)) {
        seen |= eventIdSeen
        this.#readText(fields.eventId, eventIdRule)
      } else if (cursor.keyIs(userIdKey)) {
        seen |= 2
        this.#readText(fields.userId, userIdRule)
      } else if (cursor.keyIs(eventTypeKey)) {
        seen |= 4
        this.#readText(fields.eventType, eventTypeRule)
      } else if (cursor.keyIs(timestampKey)) {
        seen |= 8
        this.#readTimestamp()
      } else if (cursor.keyIs(metadataKey)) {
        seen |= 16
        this.#readMetadata()
      } else {
        const detail = 'is not a field of an event: put it into "metadata"'
        this.#collector.reject('UNKNOWN_FIELD', cursor.pointer(), detail)
        cursor.value()
      }
    }
    if ((seen & allRequiredSeen) !== allRequiredSeen) this.#rejectMissing(seen)
    return (seen & eventIdSeen) !== 0
  }

  #rejectMissing(seen: number): void {
    for (const [bit, key] of requiredKeys.entries()) {
      if ((seen & (2 << bit)) !== 0) continue
      this.#collector.reject('MISSING_FIELD', this.#rootPointer() + pointerStep(key.toString()), 'is required')
    }
  }

  #readText(text: TextBytes, rule: TextRule): void {
    const cursor = this.#cursor
    const kind = cursor.value()
    if (kind !== 'string') {
      this.#rejectType('a string', kind)
      return
    }
    if (cursor.isEscaped) {
      const decoded = Buffer.from(cursor.text())
      text.set(decoded, 0, decoded.length)
    } else text.set(cursor.bytes, cursor.start + 1, cursor.end - 1)
    this.#check(textFault(text, rule))
  }

  #readTimestamp(): void {
    const cursor = this.#cursor
    const kind = cursor.value()
    if (kind !== 'number') {
      this.#rejectType('a number', kind)
      return
    }
    const timeMs = eventTimeMs(cursor.number())
    this.#check(timeFault(timeMs, this.#collector.receivedAtMs))
    this.#collector.fields.timestampMs = timeMs
  }

  #readMetadata(): void {
    const cursor = this.#cursor
    const { fields } = this.#collector
    fields.value = null
    const kind = cursor.kind()
    if (kind !== 'object') {
      this.#rejectType('an object', kind)
      cursor.value()
      return
    }
    const start = cursor.at
    cursor.enter()
    while (cursor.member()) {
      const isValue = cursor.keyIs(valueKey)
      if (cursor.value() === 'number' && isValue) fields.value = cursor.number()
    }
    this.#check(metadataFault(cursor.at - start))
    fields.metadata.set(cursor.bytes, start, cursor.at)
  }

  #check(fault: FieldFault | undefined): void {
    if (fault !== undefined) this.#collector.reject(fault.code, this.#cursor.pointer(), fault.detail)
  }

  #rejectType(wanted: string, kind: JsonKind): void {
    this.#collector.reject('WRONG_TYPE', this.#cursor.pointer(), `must be ${wanted}; it is ${article(kind)}`)
  }

  /** Only for faults: events are many. */
  #rootPointer(): string {
    return this.#root === undefined ? '' : pointerStep(this.#root)
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
