import type { StreamRecord } from '../core/record.ts'
import type { Processor, ProcessorContext } from './processor.ts'

/** Shows each record to a function and passes it on; without a function it only passes on, as a merge does. */
export class PeekProcessor<K, V> implements Processor<K, V, K, V> {
  readonly #look: ((record: StreamRecord<K, V>) => void) | undefined
  #context: ProcessorContext<K, V> | undefined

  constructor(look?: (record: StreamRecord<K, V>) => void) {
    this.#look = look
  }

  init(context: ProcessorContext<K, V>): void {
    this.#context = context
  }

  process(record: StreamRecord<K, V>): void {
    this.#look?.(record)
    this.#context?.forward(record)
  }
}
