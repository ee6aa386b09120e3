import { isUtf8 } from 'node:buffer'
import { AvroBytes, invalidAvro } from '../avro/avro-bytes.ts'
import { openContainer } from '../avro/avro-container.ts'
import { GatewayError } from '../errors.ts'
import { JsonCursor } from '../json/json-cursor.ts'
import { avroPlansMax } from '../limits.ts'
import { type AvroEventPlan, type EventFieldStep, isNull, planOf } from './avro-event-plan.ts'
import { type EventBatch, EventCollector } from './event-batch.ts'
import type { EventTopic, Reception, TextBytes } from './event-encoder.ts'
import {
  eventIdRule,
  eventTimeMs,
  eventTypeRule,
  type FieldFault,
  metadataFault,
  notUtf8,
  type TextRule,
  textFault,
  timeFault,
  userIdRule,
} from './event-rules.ts'

const valueKey = Buffer.from('value')
const noBytes = Buffer.alloc(0)

type FieldStep = Extract<EventFieldStep, { readonly shape: string }>

/**
 * Reads Avro object containers of events, one at a time. Texts are copied from the container to the record without being decoded; what an event
 * costs is mostly its metadata, which must be JSON. Keep one reader: its state is reused.
 */
export class AvroEventReader {
  readonly #bytes = new AvroBytes()
  readonly #cursor = new JsonCursor()
  readonly #collector: EventCollector
  readonly #plans = new Map<string, AvroEventPlan>()
  #index = 0

  constructor(topic: EventTopic) {
    this.#collector = new EventCollector(topic)
  }

  /**
   * Takes every valid event of the container and names every fault of the others. Throws when the container as a whole cannot be read:
   * `INVALID_AVRO`, `INVALID_BODY` (no event), `BODY_TOO_LARGE` (too many events).
   */
  read(body: Buffer, reception: Reception): EventBatch {
    this.#collector.begin(reception)
    this.#index = -1
    try {
      const container = openContainer(body)
      const plan = this.#planOf(container.schema)
      container.forEachBlock((data, count) => this.#readBlock(data, count, plan))
      return this.#collector.finish()
    } finally {
      this.#bytes.reset(noBytes)
      this.#cursor.open(noBytes, { start: 0, end: 0 })
    }
  }

  #planOf(schema: string): AvroEventPlan {
    const known = this.#plans.get(schema)
    if (known !== undefined) return known
    const plan = planOf(schema)
    if (this.#plans.size >= avroPlansMax) this.#plans.clear()
    this.#plans.set(schema, plan)
    return plan
  }

  #readBlock(data: Buffer, count: number, plan: AvroEventPlan): void {
    this.#bytes.reset(data)
    for (let left = count; left > 0; left--) {
      this.#collector.next(++this.#index)
      this.#readEvent(plan)
    }
    if (this.#bytes.left > 0) throw invalidAvro('A block holds more bytes than its values.')
  }

  #readEvent({ steps, timesAreMillis }: AvroEventPlan): void {
    const { fields } = this.#collector
    const bytes = this.#bytes
    let hasId = false
    let value: number | null = null
    for (const step of steps) {
      if (step.name === undefined) {
        step.skip(bytes, 1)
        continue
      }
      if (isNull(bytes, step)) {
        if (step.name !== 'event_id' && step.name !== 'value') this.#reject(step, 'MISSING_FIELD', 'is required')
        continue
      }
      switch (step.name) {
        case 'event_id':
          hasId = true
          this.#readText(step, fields.eventId, eventIdRule)
          break
        case 'user_id':
          this.#readText(step, fields.userId, userIdRule)
          break
        case 'event_type':
          this.#readText(step, fields.eventType, eventTypeRule)
          break
        case 'timestamp':
          this.#readTimestamp(step, timesAreMillis)
          break
        case 'value':
          value = this.#readValue(step)
          break
        case 'metadata':
          this.#readMetadata(step)
      }
    }
    // The metadata's own value counts, as in JSON; the field is for writers that keep it apart.
    fields.value ??= value
    this.#collector.end(hasId)
  }

  #readText(step: FieldStep, text: TextBytes, rule: TextRule): void {
    this.#takeText(text)
    this.#check(step, textFault(text, rule))
  }

  #readTimestamp(step: FieldStep, isMillis: boolean): void {
    const time = this.#bytes.long()
    const timeMs = isMillis ? time : eventTimeMs(time)
    this.#check(step, timeFault(timeMs, this.#collector.receivedAtMs))
    this.#collector.fields.timestampMs = timeMs
  }

  #readValue(step: FieldStep): number | null {
    const bytes = this.#bytes
    if (step.shape === 'long') {
      const value = bytes.long()
      if (Number.isSafeInteger(value)) return value
      this.#reject(step, 'NUMBER_NOT_EXACT', 'is an integer beyond ±(2^53−1), which is not exact as a number')
      return null
    }
    const value = step.shape === 'float' ? bytes.float() : bytes.double()
    if (Number.isFinite(value)) return value
    this.#reject(step, 'OUT_OF_RANGE', 'must be a finite number')
    return null
  }

  #readMetadata(step: FieldStep): void {
    const { fields } = this.#collector
    const cursor = this.#cursor
    const { metadata } = fields
    fields.value = null
    this.#takeText(metadata)
    this.#check(step, metadataFault(metadata.length))
    cursor.open(metadata.bytes, metadata)
    let notJson: GatewayError | undefined
    let isObject = true
    try {
      isObject = cursor.kind() === 'object'
      if (isObject) fields.value = this.#readObject()
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      notJson = error
    }
    // Asked last, and not of ASCII, which nearly all metadata is: the question takes a buffer of its own, a tenth of the time of an event.
    const isPlain = isObject && notJson === undefined && cursor.isAscii
    if (!isPlain && !isUtf8(metadata.bytes.subarray(metadata.start, metadata.end))) {
      cursor.takeFaults()
      this.#reject(step, 'BAD_CHARACTERS', notUtf8)
      return
    }
    if (notJson !== undefined) this.#reject(step, 'NOT_JSON', notJson.detail)
    else if (!isObject) this.#reject(step, 'WRONG_TYPE', 'must be the text of a JSON object')
    if (cursor.faults.length === 0) return
    for (const { code, pointer, detail } of cursor.takeFaults()) {
      this.#collector.reject(code, `/${this.#index}/metadata${pointer}`, detail)
    }
  }

  /** Checks that the cursor's text is one JSON object to its end, and answers the number in its member `value`. */
  #readObject(): number | null {
    const cursor = this.#cursor
    let value: number | null = null
    cursor.enter()
    while (cursor.member()) {
      const isValue = cursor.keyIs(valueKey)
      if (cursor.value() === 'number' && isValue) value = cursor.number()
    }
    cursor.finish()
    return value
  }

  #takeText(text: TextBytes): void {
    const length = this.#bytes.length()
    const start = this.#bytes.take(length)
    text.set(this.#bytes.bytes, start, start + length)
  }

  #check(step: FieldStep, fault: FieldFault | undefined): void {
    if (fault !== undefined) this.#reject(step, fault.code, fault.detail)
  }

  #reject({ name }: FieldStep, code: Parameters<EventCollector['reject']>[0], detail: string): void {
    this.#collector.reject(code, `/${this.#index}/${name}`, detail)
  }
}
