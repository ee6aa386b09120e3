import type { StreamRecord } from '../core/record.ts'
import type { Processor, ProcessorContext } from './processor.ts'

/** Stands before a repartition topic, which cannot place records without a key: drops and counts them. */
export class KeyedFilterProcessor<K, V> implements Processor<K | null, V, K, V> {
  #context: ProcessorContext<K, V> | undefined

  init(context: ProcessorContext<K, V>): void {
    this.#context = context
  }

  process(record: StreamRecord<K | null, V>): void {
    if (isKeyed(record)) this.#context?.forward(record)
    else this.#context?.dropped('null-key-repartition', 1)
  }
}

/** Tells records with a key from those without. */
export function isKeyed<K, V>(record: StreamRecord<K | null, V>): record is StreamRecord<K, V> {
  return record.key !== null && record.key !== undefined
}
