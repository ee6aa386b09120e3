import type { StreamRecord } from '../core/record.ts'
import type { Serde } from '../core/serde.ts'
import type { Change } from './change.ts'
import type { KeyValue } from './flat-map.ts'
import type { Processor, ProcessorContext } from './processor.ts'
import { rowId } from './row-id.ts'

/** What tells a row's group. */
export interface TableRegroupOptions<K, V, K2, V2> {
  /** The group of a row, and what it brings there. Must be pure: it finds the group that a row leaves, too. */
  pairOf(value: NonNullable<V>, key: K): KeyValue<K2 | null, V2 | null>
  readonly keySerde: Serde<K2>
}

/**
 * Sends each change of a row to the row's group: one change when it stays in its group, else the old group loses it before the new one gets it.
 * A null group or value takes no part.
 */
export class TableRegroupProcessor<K, V, K2, V2> implements Processor<K, Change<V>, K2, Change<V2 | null>> {
  readonly #options: TableRegroupOptions<K, V, K2, V2>
  #context: ProcessorContext<K2, Change<V2 | null>> | undefined

  constructor(options: TableRegroupOptions<K, V, K2, V2>) {
    this.#options = options
  }

  init(context: ProcessorContext<K2, Change<V2 | null>>): void {
    this.#context = context
  }

  process(record: StreamRecord<K, Change<V>>): void {
    const { keySerde } = this.#options
    const { key, value: change } = record
    const left = this.#pairOf(change.old, key)
    const joined = this.#pairOf(change.value, key)
    if (left !== undefined && joined !== undefined && rowId(left.key, keySerde) === rowId(joined.key, keySerde)) {
      this.#forward(joined.key, { value: joined.value, old: left.value, final: false }, record)
      return
    }
    if (left !== undefined) this.#forward(left.key, { value: null, old: left.value, final: false }, record)
    if (joined !== undefined) this.#forward(joined.key, { value: joined.value, old: null, final: false }, record)
  }

  #pairOf(value: V | null | undefined, key: K): KeyValue<K2, V2> | undefined {
    if (value === null || value === undefined) return undefined
    const pair = this.#options.pairOf(value, key)
    return pair.key === null || pair.value === null ? undefined : { key: pair.key, value: pair.value }
  }

  #forward(key: K2, value: Change<V2 | null>, { timestamp, headers }: StreamRecord<K, Change<V>>): void {
    this.#context?.forward({ key, value, timestamp, headers })
  }
}
