import type { Logger } from '@millrace/kit'
import { hasCode, type OutgoingRecord, type Producer, StreamsError } from '@millrace/streams'
import { GatewayError } from '../errors.ts'
import type { Durability, RecordSender } from '../kafka/ports.ts'
import { spillHandoverMsMax, spillRecordBytesMax } from '../limits.ts'
import type { SpillLog } from './spill-log.ts'
import type { TopicEnds } from './topic-ends.ts'

/**
 * Where records go.
 *
 *     direct ──a send is late, or fails──▶ spilling ──nearly replayed──▶ handover ──all replayed──▶ direct
 *                                              ▲                            │ it takes too long, or fails
 *                                              └────────────────────────────┘
 *
 * direct: to Kafka. spilling: to the log, whose replay finds out when Kafka is back. handover: nowhere, for a moment, so that the log
 * becomes empty although requests go on.
 */
type SpillState = 'direct' | 'spilling' | 'handover'

/** What a sender runs on. */
export interface SpillingSenderOptions {
  readonly producer: Pick<Producer, 'send'>
  readonly log: SpillLog
  readonly ends: TopicEnds
  /** True when it is known to be away: nothing is tried before the replay has got through to it. */
  readonly isAway?: boolean
  /** Kafka is taken for away when it has not answered for so long. */
  readonly afterMs: number
  readonly logger: Logger
  readonly counts: { spilled(records: number): void }
}

/** A send that Kafka has not answered yet. */
interface Flight {
  readonly sinceMs: number
  readonly giveUp: (error: StreamsError) => void
}

/**
 * Sends records to Kafka, or to the spill log while Kafka does not answer. One send that is late opens the way to the log for all others, which
 * therefore do not wait. Records of one partition keep their order: as long as anything is in the log, new records go behind it.
 */
export class SpillingSender implements RecordSender {
  readonly #producer: Pick<Producer, 'send'>
  readonly #log: SpillLog
  readonly #ends: TopicEnds
  readonly #afterMs: number
  readonly #logger: Logger
  readonly #counts: { spilled(records: number): void }
  #state: SpillState
  /** While spilling: whether the replay gets through to Kafka. */
  #isReachable = false
  /** In the order in which they were sent. */
  readonly #flights = new Set<Flight>()
  #timer: NodeJS.Timeout | undefined
  /** Sends that the producer has not finished, those that were given up here included. */
  #unsettled = 0
  #settled: (() => void)[] = []
  #opened = Promise.withResolvers<void>()
  #handover: Promise<void> = Promise.resolve()

  constructor(options: SpillingSenderOptions) {
    this.#producer = options.producer
    this.#log = options.log
    this.#ends = options.ends
    this.#afterMs = options.afterMs
    this.#logger = options.logger
    this.#counts = options.counts
    this.#state = 'direct'
    if (options.log.entries > 0 || options.isAway === true) this.#spill()
  }

  get state(): SpillState {
    return this.#state
  }

  /** All records are of one topic. Resolves when Kafka has them, or the log; throws also `SPILL_UNAVAILABLE` when neither takes them. */
  async send(records: readonly OutgoingRecord[]): Promise<Durability> {
    const topic = records[0]?.topic
    if (topic === undefined) return 'kafka'
    while (this.#is('handover')) await this.#handover
    if (this.#is('spilling')) {
      for (const record of records) requireFitting(record)
      await this.#log.append({ topic, records })
      this.#counts.spilled(records.length)
      return 'spooled'
    }
    const floors = this.#ends.of(topic)
    try {
      await this.#attempt(records)
      return 'kafka'
    } catch (error) {
      if (!isInDoubt(error)) throw error
      await this.#appendInDoubt({ topic, records, floors }, error)
    }
    this.#counts.spilled(records.length)
    return 'spooled'
  }

  /** For records that are of no use later: sends them to Kafka and nowhere else. Throws `KAFKA_UNAVAILABLE` at once while it is known to be away. */
  async sendNow(records: readonly OutgoingRecord[]): Promise<Durability> {
    if (!this.#is('direct') && !this.#isReachable) {
      throw new GatewayError('KAFKA_UNAVAILABLE', 'Kafka is away: nothing was taken. Send this again later.')
    }
    await this.#attempt(records)
    return 'kafka'
  }

  /** Resolves as soon as, and while, records go to the log. */
  async opened(): Promise<void> {
    await this.#opened.promise
  }

  /** Resolves when the producer has finished everything that it was given: answered, or given up. */
  async settled(): Promise<void> {
    if (this.#unsettled > 0) await new Promise<void>((resolve) => this.#settled.push(resolve))
  }

  /** The replay says whether it gets through to Kafka. */
  reached(isReachable: boolean): void {
    this.#isReachable = isReachable
  }

  /**
   * Makes requests wait while `drain` brings what is left of the log to Kafka, and then lets them go to Kafka themselves: true. Or lets them go
   * to the log again: false when it takes too long, and when `drain` throws, which is thrown on.
   */
  async handover(drain: () => Promise<void>): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#handover = promise
    this.#state = 'handover'
    const giveUp = () => {
      if (this.#is('handover')) this.#state = 'spilling'
      resolve()
    }
    const timer = setTimeout(giveUp, spillHandoverMsMax)
    try {
      await this.#log.flushed()
      await drain()
      if (!this.#is('handover')) return false
      this.#state = 'direct'
      this.#opened = Promise.withResolvers()
      return true
    } finally {
      clearTimeout(timer)
      giveUp()
    }
  }

  /** Stops looking for late sends. */
  close(): void {
    clearTimeout(this.#timer)
  }

  #is(state: SpillState): boolean {
    return this.#state === state
  }

  async #appendInDoubt(draft: Parameters<SpillLog['append']>[0], cause: unknown): Promise<void> {
    try {
      await this.#log.append(draft)
    } catch (error) {
      this.#logger.warn({ err: error }, 'records that Kafka did not answer for could not be kept')
      throw cause
    }
  }

  /** Resolves when Kafka has the records. Rejects with `BROKER_UNAVAILABLE` when that is not known in time: they may be there, or come to be. */
  #attempt(records: readonly OutgoingRecord[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const flight: Flight = {
        sinceMs: performance.now(),
        giveUp: (error) => {
          this.#flights.delete(flight)
          reject(error)
        },
      }
      this.#flights.add(flight)
      this.#unsettled++
      this.#timer ??= setTimeout(() => this.#look(), this.#afterMs)
      this.#producer.send(records).then(
        (batches) => {
          this.#ends.note(batches)
          this.#land(flight)
          resolve()
        },
        (error: unknown) => {
          this.#land(flight)
          reject(error)
          if (isInDoubt(error)) this.#open(error)
        },
      )
    })
  }

  #land(flight: Flight): void {
    this.#flights.delete(flight)
    this.#unsettled--
    if (this.#unsettled === 0) for (const resolve of this.#settled.splice(0)) resolve()
  }

  /** Looks whether the oldest send is late; the others are younger. */
  #look(): void {
    this.#timer = undefined
    const [oldest] = this.#flights
    if (oldest === undefined) return
    const leftMs = this.#afterMs - (performance.now() - oldest.sinceMs)
    if (leftMs > 0) {
      this.#timer = setTimeout(() => this.#look(), leftMs)
      return
    }
    // Answers may have arrived while this process was busy: they are read first.
    setImmediate(() => {
      if (this.#flights.has(oldest)) {
        this.#open(new StreamsError('BROKER_UNAVAILABLE', `no answer within ${this.#afterMs} ms`))
      } else if (this.#timer === undefined) this.#look()
    })
  }

  /** Kafka is away: whoever waits for it goes to the log, in the order of the sends. */
  #open(reason: StreamsError): void {
    this.#isReachable = false
    if (this.#is('direct')) {
      this.#logger.warn({ err: reason }, 'Kafka does not answer: records go to the spill log')
      this.#spill()
    }
    for (const flight of [...this.#flights]) flight.giveUp(reason)
  }

  #spill(): void {
    this.#state = 'spilling'
    this.#opened.resolve()
  }
}

/** Errors after which nobody knows whether Kafka has the records, or will have them. */
function isInDoubt(error: unknown): error is StreamsError {
  return hasCode(error, 'BROKER_UNAVAILABLE', 'TIMED_OUT', 'OUTCOME_UNKNOWN')
}

/** What Kafka would refuse later must not be accepted now. */
function requireFitting({ topic, partition, key, value }: OutgoingRecord): void {
  const bytes = (key?.length ?? 0) + (value?.length ?? 0)
  if (bytes <= spillRecordBytesMax) return
  const message = `a record of ${bytes} bytes is over the bound of ${spillRecordBytesMax}`
  throw new StreamsError('RECORD_TOO_LARGE', message, { topic, partition })
}
