import { limits } from '../core/limits.ts'
import { noHeaders, type RecordHeader, type StreamRecord } from '../core/record.ts'
import type { Serde } from '../core/serde.ts'
import type { TaskStore } from '../state/store.ts'
import type { Change, EmitMode } from './change.ts'
import type { ReversibleFold } from './fold.ts'
import { FoldedRow } from './folded-row.ts'
import { isKeyed } from './keyed-filter.ts'
import type { Processor, ProcessorContext } from './processor.ts'
import { rowId } from './row-id.ts'

/** What an aggregation of a table's rows is made of. */
export interface TableAggregateOptions<K, V, A, R> {
  readonly store: string
  readonly keySerde: Serde<K>
  readonly fold: ReversibleFold<V, A, R>
  readonly emit: Extract<EmitMode, 'every-update' | 'updates'>
  /** Changes carry the value that was handed on before. */
  readonly oldValues: boolean
}

/**
 * One row per group of another table's rows. A change takes the old value out of its group, then adds the new one. A group's timestamp is the
 * largest of its changes'.
 */
export class TableAggregateProcessor<K, V, A, R> implements Processor<K | null, Change<V | null>, K, Change<R | null>> {
  readonly #options: TableAggregateOptions<K, V, A, R>
  /** Groups that were touched since the last commit. */
  #rows = new Map<string | number, GroupRow<K, V, A, R>>()
  #context: ProcessorContext<K, Change<R | null>> | undefined
  #store: TaskStore | undefined

  constructor(options: TableAggregateOptions<K, V, A, R>) {
    this.#options = options
  }

  init(context: ProcessorContext<K, Change<R | null>>): void {
    this.#context = context
    this.#store = context.store(this.#options.store)
  }

  reads(record: StreamRecord<K | null, Change<V | null>>): boolean {
    const store = this.#store
    if (store === undefined || !isKeyed(record)) return true
    const { keySerde } = this.#options
    if (this.#rows.has(rowId(record.key, keySerde))) return true
    const rowKey = keySerde.write(record.key)
    if (store.has(rowKey)) return true
    store.want(rowKey)
    return false
  }

  process(record: StreamRecord<K | null, Change<V | null>>): void {
    if (!isKeyed(record)) {
      this.#context?.dropped('null-key', 1)
      return
    }
    const row = this.#rowOf(record.key)
    row.apply(record.value, record.timestamp)
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

  #rowOf(key: K): GroupRow<K, V, A, R> {
    const { keySerde, fold, oldValues } = this.#options
    const id = rowId(key, keySerde)
    const known = this.#rows.get(id)
    if (known !== undefined) return known
    const rowKey = keySerde.write(key)
    const row = new GroupRow(fold, rowKey, key)
    row.readFrom(this.#store?.get(rowKey) ?? null)
    if (oldValues) row.old = row.result()
    this.#rows.set(id, row)
    if (this.#rows.size === limits.changedRowsMax) this.#context?.requestCommit()
    return row
  }

  #forward(row: GroupRow<K, V, A, R>): void {
    const { key, old, timestamp, headers } = row
    const value = row.result()
    if (this.#options.oldValues) row.old = value
    this.#context?.forward({ key, value: { value, old, final: false }, timestamp, headers })
  }
}

class GroupRow<K, V, A, R> extends FoldedRow<V, A> {
  readonly key: K
  /** What was handed on last; stays null where nobody asks for it. */
  old: R | null = null
  headers: readonly RecordHeader[] = noHeaders
  readonly #fold: ReversibleFold<V, A, R>

  constructor(fold: ReversibleFold<V, A, R>, rowKey: Buffer, key: K) {
    super(fold, rowKey)
    this.key = key
    this.#fold = fold
  }

  /** Takes the old value out, if the group has anything, then adds the new one. */
  apply({ value, old = null }: Change<V | null>, timestamp: number): void {
    const { accumulator } = this
    let timestampMs = timestamp
    if (accumulator !== undefined && accumulator !== null) {
      timestampMs = Math.max(this.timestamp, timestamp)
      if (old !== null) this.accumulator = this.#fold.remove(accumulator, old, timestamp)
    }
    if (value !== null) this.update(value, timestamp)
    this.timestamp = timestampMs
  }

  result(): R | null {
    return this.accumulator === undefined || this.accumulator === null ? null : this.#fold.result(this.accumulator)
  }
}
