import type { Event } from '@millrace/schemas'

/** Windows of every job. */
export const windowSizeMs = 10_000

/** Users of the shapes that have few: every event of the input belongs to one of them. */
export const userCount = 100_000

/** Event types, the first ones more often. */
export const eventTypes: readonly string[] = [
  'click',
  'view',
  'purchase',
  'signup',
  'scroll',
  'search',
  'add_to_cart',
  'logout',
  'share',
  'login',
]

/** Ten events in each millisecond of event time: a 10 s window holds 100,000. */
const eventsPerMs = 10

/**
 * What an input looks like:
 * - `random-users`: each event of a random user, in order of time;
 * - `new-rows`: users in turn, so that each event makes a new row of user and window;
 * - `one-window`: each event of another user, all in one window.
 */
export const shapeNames = ['random-users', 'new-rows', 'one-window'] as const
export type ShapeName = (typeof shapeNames)[number]

/** One event of a shape, in the numbers it is made of. Reused: valid until the next one. */
export interface DrawnEvent {
  user: number
  type: number
  /** Since the input's start. */
  atMs: number
  value: number
}

/** Draws the same events, one after the other, for the same shape and count. */
export class EventDraw {
  readonly event: DrawnEvent = { user: 0, type: 0, atMs: 0, value: 0 }
  readonly #shape: ShapeName
  readonly #count: number
  readonly #random = seededRandom(0x6d696c6c)
  #drawn = 0

  constructor(shape: ShapeName, count: number) {
    this.#shape = shape
    this.#count = count
  }

  /** Draws the next; false when there are no more. */
  next(): boolean {
    const { event } = this
    if (this.#drawn === this.#count) return false
    const index = this.#drawn++
    event.type = Math.floor(this.#random() * this.#random() * eventTypes.length)
    event.value = this.#random() * 100
    event.atMs = Math.floor(index / eventsPerMs)
    if (this.#shape === 'random-users') event.user = Math.floor(this.#random() * userCount)
    else if (this.#shape === 'new-rows') event.user = index % userCount
    else {
      event.user = index
      event.atMs = Math.floor((index / this.#count) * windowSizeMs)
    }
    return true
  }
}

/** The time span of a shape's events, in whole windows. */
export function spanMs(shape: ShapeName, count: number): number {
  const span = shape === 'one-window' ? windowSizeMs : count / eventsPerMs
  return Math.ceil(span / windowSizeMs) * windowSizeMs
}

/** Writes a drawn event out in full. */
export function fullEvent(drawn: DrawnEvent, startMs: number, index: number): Event {
  const timestamp = startMs + drawn.atMs
  return {
    event_id: uuidOf(index),
    user_id: `user-${drawn.user}`,
    event_type: eventTypes[drawn.type] ?? '',
    timestamp,
    value: drawn.value,
    metadata: `{"page":"/pricing","ref":"google","value":${drawn.value.toFixed(2)}}`,
    received_at: timestamp,
    source: 'bench',
  }
}

/** Looks like one, and is the same every time. */
function uuidOf(index: number): string {
  const hex = (Math.imul(index + 1, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0')
  return `${hex}-0000-4000-8000-${index.toString(16).padStart(12, '0')}`
}

/** Mulberry32: small, fast, and good enough for made-up events. */
function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
