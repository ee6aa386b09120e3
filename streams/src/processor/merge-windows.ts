import type { Partial } from '../aggregate/partial.ts'
import type { StreamRecord } from '../core/record.ts'
import { closedStartMax } from '../windows/time-windows.ts'
import type { Windowed } from '../windows/windowed.ts'
import type { Change } from './change.ts'
import { isKeyed } from './keyed-filter.ts'
import type { Processor, ProcessorContext } from './processor.ts'
import { WindowRows, type WindowRowsOptions } from './window-rows.ts'

/**
 * Merges partials, which come through a repartition topic with watermarks, into tumbling windows whose size is a multiple of theirs. What
 * is late is decided here, by the task's stream time, and counted in records.
 */
export class MergeWindowsProcessor<K, A, R> implements Processor<K | null, Partial<A>, Windowed<K>, Change<R>> {
  readonly #options: WindowRowsOptions<K, A, A, R>
  #context: ProcessorContext<Windowed<K>, Change<R>> | undefined
  #rows: WindowRows<K, A, A, R> | undefined

  constructor(options: WindowRowsOptions<K, A, A, R>) {
    this.#options = options
  }

  async init(context: ProcessorContext<Windowed<K>, Change<R>>): Promise<void> {
    const [closedThroughMs = -1] = context.restoredTimes
    this.#context = context
    this.#rows = new WindowRows(this.#options, context)
    await this.#rows.restore(closedThroughMs)
  }

  reads(record: StreamRecord<K | null, Partial<A>>): boolean {
    if (this.#rows === undefined || this.#context === undefined || !isKeyed(record)) return true
    const startMs = this.#startOf(record.value)
    if (startMs <= closedStartMax(this.#options.windows, this.#context.streamTimeMs())) return true
    return this.#rows.isLoaded(record.key, startMs)
  }

  process(record: StreamRecord<K | null, Partial<A>>): void {
    const partial = record.value
    if (!isKeyed(record)) {
      this.#context?.dropped('null-key', partial.records)
      return
    }
    const streamTimeMs = this.#context?.streamTimeMs() ?? -1
    const startMs = this.#startOf(partial)
    if (startMs > closedStartMax(this.#options.windows, streamTimeMs))
      this.#rows?.update({ key: record.key, startMs }, partial.accumulator, record)
    else this.#context?.dropped('late', partial.records, { windowStartMs: startMs, streamTimeMs })
  }

  async flush(): Promise<void> {
    await this.#rows?.flush(this.#context?.streamTimeMs() ?? -1)
  }

  times(): readonly number[] {
    return [this.#rows?.closedThroughMs ?? -1]
  }

  #startOf(partial: Partial<A>): number {
    return partial.startMs - (partial.startMs % this.#options.windows.sizeMs)
  }
}
