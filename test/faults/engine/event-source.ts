import { Random } from '../random.ts'
import { disorderMs, eventsPerSecond, eventTimeSpeed, partitions, windowSizeMs } from './limits.ts'
import type { FaultEvent, Totals } from './topology.ts'

const types = Array.from({ length: 40 }, (_, index) => `type-${String(index).padStart(2, '0')}`)
const valueMax = 1_000
const usersMax = 5_000

/** An event with its place in the input. */
export interface PlacedEvent {
  readonly partition: number
  readonly key: string
  readonly event: FaultEvent
}

/**
 * The input, event after event, from `firstMs` on: the same for the same seed. Few types are frequent and many are rare; one event in five comes out of order. Keeps
 * the totals of what it gave, to be compared with what is in the topic.
 */
export class EventSource {
  readonly totals = new Map<string, { count: number; sum: number }>()
  given = 0
  readonly #random: Random
  readonly #firstMs: number
  readonly #newestMs = new Float64Array(partitions)

  constructor(seed: number, firstMs: number) {
    this.#random = new Random(seed)
    this.#firstMs = firstMs
  }

  next(): PlacedEvent {
    const random = this.#random
    const newest = this.#firstMs + Math.floor((this.given * 1_000 * eventTimeSpeed) / eventsPerSecond)
    const at = random.next() < 0.2 ? newest - random.int(0, disorderMs) : newest
    const type = types[Math.floor(random.next() ** 2 * types.length)] ?? ''
    const partition = random.int(0, partitions)
    const event = { type, at, value: random.int(0, valueMax) }
    this.given++
    this.#newestMs[partition] = Math.max(this.#newestMs[partition] ?? 0, at)
    this.#add(event)
    return { partition, key: `user-${random.int(0, usersMax)}`, event }
  }

  /** Stream time when all of it is read: the smallest of the partitions' newest times. */
  get streamTimeMs(): number {
    return Math.min(...this.#newestMs)
  }

  #add({ type, at, value }: FaultEvent): void {
    const window = windowOf(type, at)
    const totals = this.totals.get(window) ?? { count: 0, sum: 0 }
    totals.count++
    totals.sum += value
    this.totals.set(window, totals)
  }
}

/** `<type>@<start>` of the window that an event belongs to. */
export function windowOf(type: string, at: number): string {
  return `${type}@${at - (at % windowSizeMs)}`
}

/** Totals by window. */
export type WindowTable = ReadonlyMap<string, Totals>
