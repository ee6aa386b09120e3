import type { StreamRecord } from '../core/record.ts'
import type { Processor, ProcessorContext } from './processor.ts'

/** Lets records pass that the predicate accepts. */
export class FilterProcessor<K, V> implements Processor<K, V, K, V> {
  readonly #accepts: (value: V, key: K) => boolean
  #context: ProcessorContext<K, V> | undefined

  constructor(accepts: (value: V, key: K) => boolean) {
    this.#accepts = accepts
  }

  init(context: ProcessorContext<K, V>): void {
    this.#context = context
  }

  process(record: StreamRecord<K, V>): void {
    if (this.#accepts(record.value, record.key)) this.#context?.forward(record)
  }
}
