import type { StreamRecord } from '../core/record.ts'
import type { Processor, ProcessorContext } from './processor.ts'

/** A key and a value. */
export interface KeyValue<K, V> {
  readonly key: K
  readonly value: V
}

/** Makes any number of records of each, with its timestamp and headers. */
export class FlatMapProcessor<KI, VI, KO, VO> implements Processor<KI, VI, KO, VO> {
  readonly #pairsOf: (value: VI, key: KI) => Iterable<KeyValue<KO, VO>>
  #context: ProcessorContext<KO, VO> | undefined

  constructor(pairsOf: (value: VI, key: KI) => Iterable<KeyValue<KO, VO>>) {
    this.#pairsOf = pairsOf
  }

  init(context: ProcessorContext<KO, VO>): void {
    this.#context = context
  }

  process(record: StreamRecord<KI, VI>): void {
    for (const { key, value } of this.#pairsOf(record.value, record.key))
      this.#context?.forward({ key, value, timestamp: record.timestamp, headers: record.headers })
  }
}
