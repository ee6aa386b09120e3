import type { StreamRecord } from '../core/record.ts'
import type { Change } from './change.ts'
import { isKeyed } from './keyed-filter.ts'
import type { Processor, ProcessorContext } from './processor.ts'
import { TableRows, type TableRowsOptions } from './table-rows.ts'

/** What a table that is read from a topic, or made of a stream, consists of. */
export interface TableSourceOptions<K, V> {
  /** Its store; undefined when neither a name nor what follows asks for one. */
  readonly rows: TableRowsOptions<K, V> | undefined
  /** Changes carry the value before. */
  readonly oldValues: boolean
}

/**
 * Takes records as the rows of a table: the last one of a key is its row, in the order of arrival, and null deletes it. Records without a key
 * are dropped and counted.
 */
export class TableSourceProcessor<K, V> implements Processor<K | null, V | null, K, Change<V | null>> {
  readonly #options: TableSourceOptions<K, V>
  #context: ProcessorContext<K, Change<V | null>> | undefined
  #rows: TableRows<K, V> | undefined

  constructor(options: TableSourceOptions<K, V>) {
    this.#options = options
  }

  init(context: ProcessorContext<K, Change<V | null>>): void {
    const { rows } = this.#options
    this.#context = context
    if (rows !== undefined) this.#rows = new TableRows(rows, context.store(rows.store))
  }

  reads(record: StreamRecord<K | null, V | null>): boolean {
    if (!this.#options.oldValues || this.#rows === undefined || !isKeyed(record)) return true
    return this.#rows.isLoaded(record.key)
  }

  process(record: StreamRecord<K | null, V | null>): void {
    if (!isKeyed(record)) {
      this.#context?.dropped('null-key', 1)
      return
    }
    const { key, value, timestamp, headers } = record
    const old = this.#keep(key, value, timestamp)
    this.#context?.forward({ key, value: { value, old, final: false }, timestamp, headers })
  }

  /** Keeps the row, if rows are kept, and returns the value before, if it is asked for. */
  #keep(key: K, value: V | null, timestamp: number): V | null {
    if (this.#rows === undefined) return null
    if (this.#options.oldValues) return this.#rows.exchange(key, value, timestamp)
    this.#rows.put(key, value, timestamp)
    return null
  }
}
