import type { StreamRecord } from '../core/record.ts'
import type { KeyValue } from './flat-map.ts'
import type { Processor, ProcessorContext } from './processor.ts'

/** Makes one record of each, key and value in one go. */
export class MapPairProcessor<KI, VI, KO, VO> implements Processor<KI, VI, KO, VO> {
  readonly #pairOf: (value: VI, key: KI) => KeyValue<KO, VO>
  #context: ProcessorContext<KO, VO> | undefined

  constructor(pairOf: (value: VI, key: KI) => KeyValue<KO, VO>) {
    this.#pairOf = pairOf
  }

  init(context: ProcessorContext<KO, VO>): void {
    this.#context = context
  }

  process(record: StreamRecord<KI, VI>): void {
    const { key, value } = this.#pairOf(record.value, record.key)
    this.#context?.forward({ key, value, timestamp: record.timestamp, headers: record.headers })
  }
}
