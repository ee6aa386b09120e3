import type { ReversibleAggregator } from '../aggregate/aggregator.ts'
import { count } from '../aggregate/count.ts'
import { int64 } from '../aggregate/numbers.ts'
import type { Serde } from '../core/serde.ts'
import { changeSerde } from '../processor/change-serde.ts'
import { aggregatingRows, type ReversibleFold, reducingRows } from '../processor/fold.ts'
import { TableAggregateProcessor } from '../processor/table-aggregate.ts'
import type { Graph } from './graph.ts'
import type { TableOptions } from './grouped.ts'
import { versioned } from './materialized.ts'
import { OldValues } from './old-values.ts'
import { Table } from './table.ts'
import { rowSerde } from './table-store.ts'

/** What is known of a grouped table besides its types. */
export interface GroupedTableTraits<K, V> {
  readonly keySerde: Serde<K>
  readonly valueSerde: Serde<V>
  readonly partitions: number | undefined
  /** Names the repartition topic; the store's name when absent. */
  readonly name: string | undefined
}

/** How values go into a group's row and out of it. */
export interface RowReducers<V> {
  add(row: V, value: V): V
  subtract(row: V, value: V): V
}

/** A table's rows by group, about to be aggregated. */
export class GroupedTable<K extends NonNullable<unknown>, V> {
  readonly #graph: Graph
  readonly #node: string
  readonly #traits: GroupedTableTraits<K, V>
  /** A repartition with a name is shared by all aggregations of this group. */
  #shared: string | undefined

  constructor(graph: Graph, node: string, traits: GroupedTableTraits<K, V>) {
    this.#graph = graph
    this.#node = node
    this.#traits = traits
  }

  /** How many rows each group has. A group that loses its last row stays, with 0. */
  count(options: TableOptions = {}): Table<K, number | null> {
    return this.#aggregated('KTABLE-AGGREGATE-', aggregatingRows(count()), { ...options, valueSerde: int64 })
  }

  /** Combines each group's values two by two; `subtract` takes out what `add` put in. */
  reduce(reducers: RowReducers<V>, options: TableOptions = {}): Table<K, V | null> {
    const { valueSerde } = this.#traits
    return this.#aggregated('KTABLE-REDUCE-', reducingRows(reducers, valueSerde), { ...options, valueSerde })
  }

  /** Aggregates each group's values, with an aggregator that can subtract. */
  aggregate<A, R>(aggregator: ReversibleAggregator<V, A, R>, options: TableOptions = {}): Table<K, R | null> {
    const store = options.store === undefined ? options : { ...options, store: versioned(options.store, aggregator) }
    return this.#aggregated('KTABLE-AGGREGATE-', aggregatingRows(aggregator), { ...store, valueSerde: undefined })
  }

  #aggregated<A, R>(
    prefix: string,
    fold: ReversibleFold<V, A, R>,
    options: TableOptions & { readonly valueSerde: Serde<R> | undefined },
  ): Table<K, R | null> {
    const { keySerde } = this.#traits
    const { changelog = true, emit = 'updates' } = options
    const store = options.store ?? this.#graph.nextName(`${prefix}STATE-STORE-`)
    const name = this.#graph.nameOf(options.name, prefix)
    const parent = this.#sourceFor(store)
    this.#graph.addStore({
      name: store,
      kind: 'key-value',
      timestamped: true,
      windowSizeMs: undefined,
      retentionMs: undefined,
      changelog,
      rows: { keySerde, resultOf: (value) => fold.result(fold.serde.read(value, 0, value.length)) },
    })
    const oldValues = new OldValues(() => true)
    this.#graph.addProcessor(
      { name, parents: [parent], stores: [store] },
      () => new TableAggregateProcessor({ store, keySerde, fold, emit, oldValues: oldValues.asked }),
    )
    return new Table<K, R | null>(this.#graph, name, {
      keySerde,
      valueSerde: rowSerde(options.valueSerde),
      hasWatermarks: false,
      oldValues,
    })
  }

  #sourceFor(store: string): string {
    if (this.#shared !== undefined) return this.#shared
    const { keySerde, valueSerde, partitions, name } = this.#traits
    const source = this.#graph.addKeyedRepartition({
      name: name ?? store,
      parent: this.#node,
      keySerde,
      valueSerde: changeSerde(valueSerde),
      partitions,
      watermarks: false,
    })
    if (name !== undefined) this.#shared = source
    return source
  }
}
