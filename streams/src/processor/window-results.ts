import type { StreamRecord } from '../core/record.ts'
import type { Change } from './change.ts'
import type { Processor, ProcessorContext } from './processor.ts'

/** A result of a window. */
export interface WindowResult<R> {
  readonly result: R
  /** The window is closed: this is its last result. */
  readonly final: boolean
  /** The wall clock when it was handed on. */
  readonly updatedAtMs: number
}

/** From the changes of a windowed table to results with their marks. */
export class WindowResultsProcessor<K, R> implements Processor<K, Change<R>, K, WindowResult<R>> {
  #context: ProcessorContext<K, WindowResult<R>> | undefined

  init(context: ProcessorContext<K, WindowResult<R>>): void {
    this.#context = context
  }

  process(record: StreamRecord<K, Change<R>>): void {
    const context = this.#context
    if (context === undefined) return
    const { key, timestamp, headers } = record
    const { value: result, final } = record.value
    context.forward({ key, value: { result, final, updatedAtMs: context.nowMs() }, timestamp, headers })
  }
}
