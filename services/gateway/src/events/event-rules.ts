import { isUtf8 } from 'node:buffer'
import {
  eventFutureMsMax,
  eventIdCharsMax,
  eventTypeCharsMax,
  metadataBytesMax,
  timestampMillisFrom,
  userIdCharsMax,
} from '../limits.ts'
import type { TextBytes } from './event-encoder.ts'
import { eventTypePattern, idPattern } from './event-schema.ts'

/** What is wrong with one field. */
export interface FieldFault {
  readonly code: 'WRONG_LENGTH' | 'BAD_CHARACTERS' | 'OUT_OF_RANGE'
  readonly detail: string
}

/** A rule for a text: its length in characters as JavaScript counts them, and what it may hold. */
export interface TextRule {
  readonly charsMax: number
  readonly allowed: RegExp
  readonly detail: string
  /** By ASCII character, the places where it may stand: any of `first`, `inside`, `last`. */
  readonly places: Uint8Array
}

const first = 1
const inside = 2
const last = 4
const anywhere = first | inside | last

const idCharacters = { allowed: new RegExp(idPattern), detail: 'must not hold control characters' }
const idPlaces = placesOf((code) => (code >= 0x20 && code !== 0x7f ? anywhere : 0))

/** Said of texts of binary bodies. */
export const notUtf8 = 'is not valid UTF-8'

/** `event_id`. */
export const eventIdRule: TextRule = { charsMax: eventIdCharsMax, ...idCharacters, places: idPlaces }

/** `user_id`. */
export const userIdRule: TextRule = { charsMax: userIdCharsMax, ...idCharacters, places: idPlaces }

/** `event_type`. */
export const eventTypeRule: TextRule = {
  charsMax: eventTypeCharsMax,
  allowed: new RegExp(eventTypePattern),
  detail: 'may hold letters, digits and _ $ . : / -, and spaces between them',
  places: placesOf((code) => {
    const character = String.fromCharCode(code)
    if (/[A-Za-z0-9_$]/.test(character)) return anywhere
    if (/[.:/-]/.test(character)) return inside | last
    return character === ' ' ? inside : 0
  }),
}

/**
 * What is wrong with a text. ASCII, which nearly all ids and types are, is looked up byte by byte; for everything else, and to say what is wrong,
 * the text is decoded. A test holds the table to the pattern.
 */
export function textFault(text: TextBytes, rule: TextRule): FieldFault | undefined {
  return isGoodAscii(text, rule) ? undefined : slowTextFault(text, rule)
}

/** What is wrong with a time; `timeMs` is what `eventTimeMs` made of it. */
export function timeFault(timeMs: number, nowMs: number): FieldFault | undefined {
  if (!Number.isInteger(timeMs) || timeMs < 0) {
    const detail = 'must be a whole number, 0 or more: UNIX seconds, or milliseconds from 10^11 on'
    return { code: 'OUT_OF_RANGE', detail }
  }
  if (timeMs <= nowMs + eventFutureMsMax) return undefined
  const detail = `must be at most ${eventFutureMsMax / 60_000} minutes in the future, for it would close every window before it`
  return { code: 'OUT_OF_RANGE', detail }
}

/** UNIX milliseconds of a time in seconds or milliseconds; not whole and not positive when that was not. */
export function eventTimeMs(time: number): number {
  return time >= timestampMillisFrom || !Number.isInteger(time) ? time : time * 1_000
}

/** What is wrong with the size of metadata. */
export function metadataFault(bytes: number): FieldFault | undefined {
  if (bytes <= metadataBytesMax) return undefined
  return { code: 'WRONG_LENGTH', detail: `must have at most ${metadataBytesMax} bytes; it has ${bytes}` }
}

function isGoodAscii({ bytes, start, end }: TextBytes, { charsMax, places }: TextRule): boolean {
  const length = end - start
  if (length === 0 || length > charsMax) return false
  let place = first
  for (let at = start; at < end; at++) {
    const allowed = places[bytes[at] ?? 0] ?? 0
    if ((allowed & place) === 0) return false
    place = inside
  }
  return length === 1 || ((places[bytes[end - 1] ?? 0] ?? 0) & last) !== 0
}

function slowTextFault(
  { bytes, start, end }: TextBytes,
  { charsMax, allowed, detail }: TextRule,
): FieldFault | undefined {
  // A JSON body has been checked as a whole; the texts of a binary one have not.
  if (!isUtf8(bytes.subarray(start, end))) return { code: 'BAD_CHARACTERS', detail: notUtf8 }
  const text = bytes.toString('utf8', start, end)
  if (text.length === 0 || text.length > charsMax) {
    const length = `must have 1 to ${charsMax} characters; it has ${text.length}`
    return { code: 'WRONG_LENGTH', detail: length }
  }
  return allowed.test(text) ? undefined : { code: 'BAD_CHARACTERS', detail }
}

/** Bytes from 128 on have no place: they are not ASCII. */
function placesOf(placeOf: (code: number) => number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => (code < 128 ? placeOf(code) : 0))
}
