import type { Aggregator } from '../aggregate/aggregator.ts'
import type { Partial } from '../aggregate/partial.ts'
import { StreamsError } from '../core/errors.ts'
import { limits } from '../core/limits.ts'
import { noHeaders, type StreamRecord } from '../core/record.ts'
import type { Serde } from '../core/serde.ts'
import { isKeyed } from './keyed-filter.ts'
import type { Processor, ProcessorContext } from './processor.ts'
import { rowId } from './row-id.ts'

/** What a pre-aggregation is made of. */
export interface PreAggregateOptions<K, V, A, R> {
  readonly keySerde: Serde<K>
  /** The windows of the partials; every window they are merged into must be a multiple of it. */
  readonly windowSizeMs: number
  readonly aggregator: Aggregator<V, A, R>
  /** The time that a record's window is chosen by; its timestamp when absent. */
  readonly windowTimeOf?: ((value: V) => number) | undefined
}

/** One key and window since the last commit. */
interface PartialRow<K, A> extends Partial<A> {
  readonly key: K
  records: number
  accumulator: A
  timestamp: number
}

/**
 * Aggregates before the repartition what one commit interval brings (map-side combine), so that the repartition carries one partial per key
 * and window instead of every record. Decides nothing about lateness: the partials are merged by the reader's stream time.
 */
export class PreAggregateProcessor<K, V, A, R> implements Processor<K | null, V, K, Partial<A>> {
  readonly #options: PreAggregateOptions<K, V, A, R>
  #byStart = new Map<number, Map<string | number, PartialRow<K, A>>>()
  #rows = 0
  /** Most records fall into the same window as the one before. */
  #lastStartMs = -1
  #lastByKey = new Map<string | number, PartialRow<K, A>>()
  #context: ProcessorContext<K, Partial<A>> | undefined

  constructor(options: PreAggregateOptions<K, V, A, R>) {
    this.#options = options
  }

  init(context: ProcessorContext<K, Partial<A>>): void {
    this.#context = context
  }

  process(record: StreamRecord<K | null, V>): void {
    if (!isKeyed(record)) {
      this.#context?.dropped('null-key', 1)
      return
    }
    const { keySerde, windowSizeMs, aggregator, windowTimeOf } = this.#options
    const { key, timestamp } = record
    const windowMs = windowTimeOf === undefined ? timestamp : windowTimeOf(record.value)
    if (windowMs < 0) {
      this.#context?.dropped('negative-timestamp', 1)
      return
    }
    if (!Number.isSafeInteger(windowMs))
      throw new StreamsError('INVALID_RECORD', `windowTimeOf must give a whole number of milliseconds, not ${windowMs}`)
    const startMs = windowMs - (windowMs % windowSizeMs)
    const byKey = startMs === this.#lastStartMs ? this.#lastByKey : this.#byKeyOf(startMs)
    const id = rowId(key, keySerde)
    const row = byKey.get(id)
    if (row === undefined) {
      const accumulator = aggregator.add(aggregator.init(), record.value, timestamp)
      byKey.set(id, { startMs, records: 1, accumulator, key, timestamp })
      if (++this.#rows >= limits.preAggregateRowsMax) this.flush()
      return
    }
    row.accumulator = aggregator.add(row.accumulator, record.value, timestamp)
    row.records++
    if (timestamp > row.timestamp) row.timestamp = timestamp
  }

  flush(): void {
    for (const byKey of this.#byStart.values())
      for (const row of byKey.values())
        this.#context?.forward({ key: row.key, value: row, timestamp: row.timestamp, headers: noHeaders })
    this.#byStart = new Map() // not cleared: see WindowRows
    this.#rows = 0
    this.#lastStartMs = -1
  }

  #byKeyOf(startMs: number): Map<string | number, PartialRow<K, A>> {
    let byKey = this.#byStart.get(startMs)
    if (byKey === undefined) {
      byKey = new Map()
      this.#byStart.set(startMs, byKey)
    }
    this.#lastStartMs = startMs
    this.#lastByKey = byKey
    return byKey
  }
}
