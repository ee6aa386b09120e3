import { limits } from '../core/limits.ts'
import { noHeaders, type RecordHeader, type StreamRecord } from '../core/record.ts'
import type { Serde } from '../core/serde.ts'
import type { TaskStore } from '../state/store.ts'
import type { Change, EmitMode } from './change.ts'
import type { Fold } from './fold.ts'
import { FoldedRow } from './folded-row.ts'
import { isKeyed } from './keyed-filter.ts'
import type { Processor, ProcessorContext } from './processor.ts'
import { rowId } from './row-id.ts'

/** What a key-value aggregation is made of. */
export interface KeyValueAggregateOptions<K, V, A, R> {
  readonly store: string
  readonly keySerde: Serde<K>
  readonly fold: Fold<V, A, R>
  readonly emit: Extract<EmitMode, 'every-update' | 'updates'>
  /** Changes carry the value that was handed on before. */
  readonly oldValues?: boolean
}

/**
 * One row per key. As in Kafka Streams a row's timestamp is the largest of its records', records without key or value are dropped and
 * counted, and an accumulator that becomes null deletes the row.
 */
export class KeyValueAggregateProcessor<K, V, A, R> implements Processor<K | null, V | null, K, Change<R>> {
  readonly #options: KeyValueAggregateOptions<K, V, A, R>
  /** Rows that were touched since the last commit. */
  #rows = new Map<string | number, KeyValueRow<K, V, A, R>>()
  #context: ProcessorContext<K, Change<R>> | undefined
  #store: TaskStore | undefined

  constructor(options: KeyValueAggregateOptions<K, V, A, R>) {
    this.#options = options
  }

  init(context: ProcessorContext<K, Change<R>>): void {
    this.#context = context
    this.#store = context.store(this.#options.store)
  }

  reads(record: StreamRecord<K | null, V | null>): boolean {
    const store = this.#store
    if (store === undefined || !isKeyed(record) || record.value === null) return true
    const { keySerde } = this.#options
    if (this.#rows.has(rowId(record.key, keySerde))) return true
    const rowKey = keySerde.write(record.key)
    if (store.has(rowKey)) return true
    store.want(rowKey)
    return false
  }

  process(record: StreamRecord<K | null, V | null>): void {
    if (!isKeyed(record)) {
      this.#context?.dropped('null-key', 1)
      return
    }
    if (record.value === null) {
      this.#context?.dropped('null-value', 1)
      return
    }
    const row = this.#rowOf(record.key)
    row.update(record.value, record.timestamp)
    row.headers = record.headers
    if (this.#options.emit === 'every-update') this.#forward(row)
  }

  flush(): void {
    for (const row of this.#rows.values()) {
      row.putInto(this.#store)
      if (this.#options.emit === 'updates') this.#forward(row)
    }
    this.#rows = new Map() // not cleared: see WindowRows
  }

  #rowOf(key: K): KeyValueRow<K, V, A, R> {
    const { keySerde, fold, oldValues } = this.#options
    const id = rowId(key, keySerde)
    const known = this.#rows.get(id)
    if (known !== undefined) return known
    const rowKey = keySerde.write(key)
    const row = new KeyValueRow<K, V, A, R>(fold, rowKey, key)
    row.readFrom(this.#store?.get(rowKey) ?? null)
    if (oldValues === true && row.accumulator !== undefined) row.old = fold.result(row.accumulator)
    this.#rows.set(id, row)
    if (this.#rows.size === limits.changedRowsMax) this.#context?.requestCommit()
    return row
  }

  #forward(row: KeyValueRow<K, V, A, R>): void {
    if (row.accumulator === undefined) return
    const value = this.#options.fold.result(row.accumulator)
    const change = { value, old: row.old, final: false }
    if (this.#options.oldValues === true) row.old = value
    this.#context?.forward({ key: row.key, value: change, timestamp: row.timestamp, headers: row.headers })
  }
}

class KeyValueRow<K, V, A, R> extends FoldedRow<V, A> {
  readonly key: K
  /** What was handed on last; stays null where nobody asks for it. */
  old: R | null = null
  headers: readonly RecordHeader[] = noHeaders

  constructor(fold: Fold<V, A, unknown>, rowKey: Buffer, key: K) {
    super(fold, rowKey)
    this.key = key
  }
}
