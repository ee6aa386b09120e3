import type { StreamRecord } from '../core/record.ts'
import type { Change } from './change.ts'
import type { Processor, ProcessorContext } from './processor.ts'
import { TableRows, type TableRowsOptions } from './table-rows.ts'

/** What an operator on a table's rows, each for itself, is made of. */
export interface TableMapOptions<K, VI, VO> {
  /** The row that is made of one that exists; null: none. Must be pure: old values are found with it, too. */
  rowOf(value: NonNullable<VI>, key: K): VO | null
  /** Its own store; undefined: none. */
  readonly rows: TableRowsOptions<K, VO> | undefined
  /** Changes carry the value before. */
  readonly oldValues: boolean
  /** A row that was not there and is not there is no change. Only where old values are known. */
  readonly skipsAbsent: boolean
}

/** Makes each row of a table from one row: `filter`, `filterNot` and `mapValues`. Rows that are deleted are not shown to the function. */
export class TableMapProcessor<K, VI, VO> implements Processor<K, Change<VI>, K, Change<VO | null>> {
  readonly #options: TableMapOptions<K, VI, VO>
  #context: ProcessorContext<K, Change<VO | null>> | undefined
  #rows: TableRows<K, VO> | undefined

  constructor(options: TableMapOptions<K, VI, VO>) {
    this.#options = options
  }

  init(context: ProcessorContext<K, Change<VO | null>>): void {
    const { rows } = this.#options
    this.#context = context
    if (rows !== undefined) this.#rows = new TableRows(rows, context.store(rows.store))
  }

  reads(record: StreamRecord<K, Change<VI>>): boolean {
    return !this.#options.oldValues || this.#rows === undefined || this.#rows.isLoaded(record.key)
  }

  process(record: StreamRecord<K, Change<VI>>): void {
    const { oldValues, skipsAbsent } = this.#options
    const { key, timestamp, headers } = record
    const { value: newRow, old: oldRow, final } = record.value
    const value = this.#rowOf(newRow, key)
    const old = oldValues ? this.#oldOf(oldRow, key) : null
    if (skipsAbsent && oldValues && value === null && old === null) return
    this.#rows?.put(key, value, timestamp)
    this.#context?.forward({ key, value: { value, old, final }, timestamp, headers })
  }

  #rowOf(value: VI | null | undefined, key: K): VO | null {
    return value === null || value === undefined ? null : this.#options.rowOf(value, key)
  }

  #oldOf(old: VI | null | undefined, key: K): VO | null {
    return this.#rows === undefined ? this.#rowOf(old, key) : this.#rows.get(key)
  }
}
