import type { StreamRecord } from '../core/record.ts'
import type { Processor, ProcessorContext } from './processor.ts'

/** Makes one record of each; `mapValues`, `selectKey` and the way from a table to a stream are made of it. */
export class MapProcessor<KI, VI, KO, VO> implements Processor<KI, VI, KO, VO> {
  readonly #toKey: (value: VI, key: KI) => KO
  readonly #toValue: (value: VI, key: KI) => VO
  #context: ProcessorContext<KO, VO> | undefined

  constructor(toKey: (value: VI, key: KI) => KO, toValue: (value: VI, key: KI) => VO) {
    this.#toKey = toKey
    this.#toValue = toValue
  }

  init(context: ProcessorContext<KO, VO>): void {
    this.#context = context
  }

  process(record: StreamRecord<KI, VI>): void {
    this.#context?.forward({
      key: this.#toKey(record.value, record.key),
      value: this.#toValue(record.value, record.key),
      timestamp: record.timestamp,
      headers: record.headers,
    })
  }
}
