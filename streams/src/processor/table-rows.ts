import type { Serde } from '../core/serde.ts'
import type { TaskStore } from '../state/store.ts'
import { timestampedValue, valueOfRow } from '../state/timestamped-value.ts'

/** What the rows of a table's own store are made of. */
export interface TableRowsOptions<K, V> {
  readonly store: string
  readonly keySerde: Serde<K>
  readonly valueSerde: Serde<V>
}

/** The rows of a table that keeps them as they are: one per key, the last that came. */
export class TableRows<K, V> {
  readonly #store: TaskStore
  readonly #options: TableRowsOptions<K, V>

  constructor(options: TableRowsOptions<K, V>, store: TaskStore) {
    this.#options = options
    this.#store = store
  }

  /** Whether the key's row can be read now; asks the store for it if not. */
  isLoaded(key: K): boolean {
    const rowKey = this.#options.keySerde.write(key)
    if (this.#store.has(rowKey)) return true
    this.#store.want(rowKey)
    return false
  }

  /** The key's value, null when there is no row. It must be loaded. */
  get(key: K): V | null {
    return this.#read(this.#store.get(this.#options.keySerde.write(key)))
  }

  /** Sets the key's row, or deletes it when the value is null; returns the value before. It must be loaded. */
  exchange(key: K, value: V | null, timestamp: number): V | null {
    const rowKey = this.#options.keySerde.write(key)
    const old = this.#read(this.#store.get(rowKey))
    this.#store.put(rowKey, this.#rowOf(value, timestamp), timestamp)
    return old
  }

  /** Sets the key's row, or deletes it when the value is null. */
  put(key: K, value: V | null, timestamp: number): void {
    this.#store.put(this.#options.keySerde.write(key), this.#rowOf(value, timestamp), timestamp)
  }

  #read(row: Buffer | null): V | null {
    if (row === null) return null
    const value = valueOfRow(row)
    return this.#options.valueSerde.read(value, 0, value.length)
  }

  #rowOf(value: V | null, timestamp: number): Buffer | null {
    return value === null ? null : timestampedValue(this.#options.valueSerde.write(value), timestamp)
  }
}
