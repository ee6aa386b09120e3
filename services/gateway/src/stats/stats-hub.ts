import type { EventStats, StatsInterval } from '@millrace/schemas'
import { GatewayError } from '../errors.ts'
import type { RecordPosition } from '../kafka/ports.ts'
import { statsRingUpdatesMax, statsStreamsMax } from '../limits.ts'
import { toStatsWindow } from './window-shape.ts'

/** Which updates a client wants; absent means all. */
export interface StatsFilter {
  readonly eventType: string | undefined
  readonly interval: StatsInterval | undefined
}

/** One connected client. */
export interface StatsSink {
  /** Takes one server-sent event, or says false: the client reads too slowly and is gone. */
  send(text: string): boolean
  /** Whether much more fits than live updates need: then what was missed may follow. */
  readonly hasRoom: boolean
  /** Called when there may be room again. */
  onRoom: (() => void) | undefined
  /** The hub is closing. */
  end(): void
}

interface Update extends RecordPosition {
  readonly stats: EventStats
  /** The position after this update, as the event's id. */
  readonly id: string
  text: string | undefined
}

interface Subscriber {
  readonly filter: StatsFilter
  readonly sink: StatsSink
  /** What it has missed, and has not been sent yet: everything newer goes behind it. Empty for nearly all. */
  missed: Update[]
}

/**
 * Spreads updates of the topic `stats` to the connected clients, and keeps the last ones for those that come back.
 *
 * The id of an event is the position in the topic after it: the next offset of every partition, joined by dots. So a client can go on with any
 * gateway, also after a restart, as long as that one still has everything from there on. When it has not, the client gets the event
 * `reset`, and should ask `GET /stats` again.
 */
export class StatsHub {
  readonly #ringMax: number
  readonly #streamsMax: number
  readonly #subscribers = new Set<Subscriber>()
  #ring: Update[] = []
  /** By partition: the next offset, and the first offset from which on nothing is missing in the ring. */
  #next: number[] = []
  #ringFrom: number[] = []

  constructor(options: { ringMax?: number; streamsMax?: number } = {}) {
    this.#ringMax = options.ringMax ?? statsRingUpdatesMax
    this.#streamsMax = options.streamsMax ?? statsStreamsMax
  }

  /** Connected clients. */
  get size(): number {
    return this.#subscribers.size
  }

  /** Starts over at these positions. Connected clients are told to begin anew. */
  restart(offsets: readonly number[]): void {
    this.#ring = []
    this.#next = [...offsets]
    this.#ringFrom = [...offsets]
    for (const subscriber of this.#subscribers) {
      subscriber.missed = []
      this.#send(subscriber, this.#control('reset'))
    }
  }

  /** Takes in an update and sends it to whoever wants it. What is not newer than what was taken in before is passed over. */
  publish(stats: EventStats, position: RecordPosition): void {
    const { partition, offset } = position
    if (offset < (this.#next[partition] ?? 0)) return
    this.#next[partition] = offset + 1
    const update: Update = { stats, partition, offset, id: this.#next.join('.'), text: undefined }
    this.#ring.push(update)
    // Cut in large pieces: shifting one by one would move the whole array each time.
    if (this.#ring.length >= this.#ringMax * 2) {
      for (const old of this.#ring.slice(0, this.#ringMax)) this.#ringFrom[old.partition] = old.offset + 1
      this.#ring = this.#ring.slice(this.#ringMax)
    }
    for (const subscriber of this.#subscribers) {
      if (!wants(subscriber.filter, stats)) continue
      if (subscriber.missed.length === 0) this.#send(subscriber, textOf(update))
      else this.#miss(subscriber, update)
    }
  }

  /**
   * Connects a client: sends it what it missed since `lastEventId`, or `reset` when that cannot be told, or `ready` when it asks for
   * nothing; and then every update. Returns what disconnects it. Throws `OVERLOADED` when there are too many clients.
   */
  subscribe(filter: StatsFilter, sink: StatsSink, lastEventId: string | undefined): () => void {
    if (this.#subscribers.size >= this.#streamsMax) {
      const detail = `There are ${this.#streamsMax} open streams, which is the most this gateway serves.`
      throw new GatewayError('OVERLOADED', detail, { retryAfterSeconds: 30 })
    }
    const subscriber: Subscriber = { filter, sink, missed: [] }
    this.#subscribers.add(subscriber)
    const from = lastEventId === undefined ? undefined : this.#parsePosition(lastEventId)
    if (from === undefined) this.#send(subscriber, this.#control(lastEventId === undefined ? 'ready' : 'reset'))
    else this.#replay(subscriber, from)
    return () => {
      this.#subscribers.delete(subscriber)
    }
  }

  /** Sends a comment to everyone, so that no proxy takes the streams for dead. */
  heartbeat(): void {
    for (const subscriber of this.#subscribers) this.#send(subscriber, ':\n\n')
  }

  /** Ends all streams. */
  close(): void {
    for (const { sink } of this.#subscribers) sink.end()
    this.#subscribers.clear()
  }

  /** What was missed may be more than a sink takes at once: it follows as the client reads, so that each connection brings it further. */
  #replay(subscriber: Subscriber, from: readonly number[]): void {
    this.#send(subscriber, ':\n\n')
    subscriber.missed = this.#ring.filter(
      ({ stats, partition, offset }) => offset >= (from[partition] ?? 0) && wants(subscriber.filter, stats),
    )
    subscriber.sink.onRoom = () => this.#catchUp(subscriber)
    this.#catchUp(subscriber)
  }

  #catchUp(subscriber: Subscriber): void {
    const { missed, sink } = subscriber
    let sent = 0
    for (const update of missed) {
      if (!sink.hasRoom || !this.#send(subscriber, textOf(update))) break
      sent++
    }
    if (sent > 0) subscriber.missed = missed.slice(sent)
  }

  /** The update goes behind what was missed; who falls behind as far as the ring reaches is asked to come back. */
  #miss(subscriber: Subscriber, update: Update): void {
    subscriber.missed.push(update)
    if (subscriber.missed.length <= this.#ringMax * 2) return
    this.#subscribers.delete(subscriber)
    subscriber.missed = []
    subscriber.sink.end()
  }

  /** The position that an id stands for; undefined when it is none of ours, or the ring does not reach back to it. */
  #parsePosition(id: string): readonly number[] | undefined {
    if (!/^\d{1,15}(\.\d{1,15})*$/.test(id)) return undefined
    const offsets = id.split('.').map(Number)
    if (offsets.length !== this.#next.length) return undefined
    const known = offsets.every(
      (offset, partition) => offset >= (this.#ringFrom[partition] ?? 0) && offset <= (this.#next[partition] ?? 0),
    )
    return known ? offsets : undefined
  }

  #control(event: 'ready' | 'reset'): string {
    return `id: ${this.#next.join('.')}\nevent: ${event}\ndata: {}\n\n`
  }

  #send(subscriber: Subscriber, text: string): boolean {
    const taken = subscriber.sink.send(text)
    if (!taken) this.#subscribers.delete(subscriber)
    return taken
  }
}

function wants(filter: StatsFilter, stats: EventStats): boolean {
  return (
    (filter.eventType === undefined || filter.eventType === stats.event_type) &&
    (filter.interval === undefined || filter.interval === stats.interval)
  )
}

/** Written once, however many clients get it. JSON has no line breaks, so one `data` line holds it. */
function textOf(update: Update): string {
  update.text ??= `id: ${update.id}\nevent: stats\ndata: ${JSON.stringify({ time_interval: update.stats.interval, ...toStatsWindow(update.stats) })}\n\n`
  return update.text
}
