import type { Partial } from '../aggregate/partial.ts'
import type { StreamRecord } from '../core/record.ts'
import { closedStartMax, firstWindowStart } from '../windows/time-windows.ts'
import type { Windowed } from '../windows/windowed.ts'
import type { Change } from './change.ts'
import { isKeyed } from './keyed-filter.ts'
import type { CommittedTimes, Processor, ProcessorContext, RowsOver } from './processor.ts'
import { WindowRows, type WindowRowsOptions, windowRowsOver } from './window-rows.ts'

/**
 * Merges partials, which come through a repartition topic with watermarks, into every window that holds theirs; sizes and advances are
 * multiples of the partials' window size. What is late is decided here, by the task's stream time, and counted in records.
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
    const { windows } = this.#options
    const partialMs = record.value.startMs
    const closedMax = closedStartMax(windows, this.#context.streamTimeMs())
    let isLoaded = true
    for (let start = firstWindowStart(windows, partialMs); start <= partialMs; start += windows.advanceMs)
      if (start > closedMax && !this.#rows.isLoaded(record.key, start)) isLoaded = false
    return isLoaded
  }

  process(record: StreamRecord<K | null, Partial<A>>): void {
    const partial = record.value
    if (!isKeyed(record)) {
      this.#context?.dropped('null-key', partial.records)
      return
    }
    const { windows } = this.#options
    const { key } = record
    const streamTimeMs = this.#context?.streamTimeMs() ?? -1
    const closedMax = closedStartMax(windows, streamTimeMs)
    for (
      let startMs = firstWindowStart(windows, partial.startMs);
      startMs <= partial.startMs;
      startMs += windows.advanceMs
    ) {
      if (startMs > closedMax) this.#rows?.update({ key, startMs }, partial.accumulator, record)
      else this.#context?.dropped('late', partial.records, { windowStartMs: startMs, streamTimeMs })
    }
  }

  async flush(): Promise<void> {
    await this.#rows?.flush(this.#context?.streamTimeMs() ?? -1)
  }

  times(): readonly number[] {
    return [this.#rows?.closedThroughMs ?? -1]
  }

  rowsOver({ times }: CommittedTimes): RowsOver | undefined {
    const [closedThroughMs = -1] = times
    return windowRowsOver(this.#options, closedThroughMs)
  }
}
