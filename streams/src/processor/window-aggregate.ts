import type { StreamRecord } from '../core/record.ts'
import { closedStartMax, firstWindowStart } from '../windows/time-windows.ts'
import type { Windowed } from '../windows/windowed.ts'
import type { Change } from './change.ts'
import { isKeyed } from './keyed-filter.ts'
import type { CommittedTimes, Processor, ProcessorContext, RowsOver } from './processor.ts'
import { WindowRows, type WindowRowsOptions, windowRowsOver } from './window-rows.ts'

/** What a windowed aggregation is made of. */
export interface WindowAggregateOptions<K, V, A, R> extends WindowRowsOptions<K, V, A, R> {
  /**
   * Which stream time decides what is late and closed. `observed`, as in Kafka Streams: the largest timestamp this node has seen.
   * `task`: the task's, where the inputs carry watermarks.
   */
  readonly streamTime: 'observed' | 'task'
  /** Closed windows are looked for at most this often, by the wall clock; 0: at every commit. */
  readonly emitIntervalMs: number
}

/**
 * Aggregates records into every window they fall into. A record is late for a window whose end lies at or before stream time − grace, stream
 * time including the record itself; lateness is decided and counted per window. Records without a key are dropped and counted.
 */
export class WindowAggregateProcessor<K, V, A, R> implements Processor<K | null, V, Windowed<K>, Change<R>> {
  readonly #options: WindowAggregateOptions<K, V, A, R>
  #context: ProcessorContext<Windowed<K>, Change<R>> | undefined
  #rows: WindowRows<K, V, A, R> | undefined
  #observedMs = -1
  /** A record came since closed windows were last looked for, and the interval was over. */
  #closingIsDue = false
  #nextClosingMs = 0

  constructor(options: WindowAggregateOptions<K, V, A, R>) {
    this.#options = options
  }

  async init(context: ProcessorContext<Windowed<K>, Change<R>>): Promise<void> {
    const [observedMs = -1, closedThroughMs = -1] = context.restoredTimes
    this.#context = context
    this.#observedMs = observedMs
    this.#rows = new WindowRows(this.#options, context)
    await this.#rows.restore(closedThroughMs)
  }

  reads(record: StreamRecord<K | null, V>): boolean {
    if (this.#rows === undefined || !isKeyed(record)) return true
    const { windows } = this.#options
    const { key, timestamp } = record
    const closedMax = closedStartMax(windows, this.#streamTimeWith(timestamp))
    let isLoaded = true
    for (let start = firstWindowStart(windows, timestamp); start <= timestamp; start += windows.advanceMs)
      if (start > closedMax && !this.#rows.isLoaded(key, start)) isLoaded = false
    return isLoaded
  }

  process(record: StreamRecord<K | null, V>): void {
    if (!isKeyed(record)) {
      this.#context?.dropped('null-key', 1)
      return
    }
    const { windows } = this.#options
    const { key, timestamp } = record
    const streamTimeMs = this.#streamTimeWith(timestamp)
    if (streamTimeMs > this.#observedMs) this.#observe(streamTimeMs, record)
    const closedMax = closedStartMax(windows, streamTimeMs)
    for (let startMs = firstWindowStart(windows, timestamp); startMs <= timestamp; startMs += windows.advanceMs) {
      if (startMs > closedMax) this.#rows?.update({ key, startMs }, record.value, record)
      else this.#context?.dropped('late', 1, { windowStartMs: startMs, streamTimeMs })
    }
    this.#checkInterval()
  }

  async flush(): Promise<void> {
    const { streamTime, emitIntervalMs } = this.#options
    if (streamTime === 'task') {
      this.#observedMs = Math.max(this.#observedMs, this.#context?.streamTimeMs() ?? -1)
      this.#checkInterval()
    }
    const isDue = emitIntervalMs === 0 || this.#closingIsDue
    this.#closingIsDue = false
    await this.#rows?.flush(isDue ? this.#observedMs : (this.#rows?.closedThroughMs ?? -1))
  }

  times(): readonly number[] {
    return [this.#observedMs, this.#rows?.closedThroughMs ?? -1]
  }

  rowsOver({ times }: CommittedTimes): RowsOver | undefined {
    const [, closedThroughMs = -1] = times
    return windowRowsOver(this.#options, closedThroughMs)
  }

  #streamTimeWith(timestamp: number): number {
    if (this.#options.streamTime === 'task') return this.#context?.streamTimeMs() ?? -1
    return Math.max(this.#observedMs, timestamp)
  }

  #observe(streamTimeMs: number, record: StreamRecord<K, V>): void {
    this.#observedMs = streamTimeMs
    if (this.#rows !== undefined) this.#rows.closingHeaders = record.headers
  }

  #checkInterval(): void {
    const { emitIntervalMs } = this.#options
    if (emitIntervalMs === 0 || this.#context === undefined) return
    const nowMs = this.#context.nowMs()
    if (nowMs < this.#nextClosingMs) return
    this.#closingIsDue = true
    this.#nextClosingMs = nowMs + emitIntervalMs
  }
}
