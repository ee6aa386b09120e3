import type { Aggregator } from '../aggregate/aggregator.ts'
import { count } from '../aggregate/count.ts'
import { int64 } from '../aggregate/numbers.ts'
import type { Serde } from '../core/serde.ts'
import type { EmitMode } from '../processor/change.ts'
import { aggregating, type Fold, reducing } from '../processor/fold.ts'
import { KeyValueAggregateProcessor } from '../processor/key-value-aggregate.ts'
import type { TimeWindows } from '../windows/time-windows.ts'
import type { Graph } from './graph.ts'
import { type Materialized, versioned } from './materialized.ts'
import { OldValues } from './old-values.ts'
import { PreAggregated, type PreAggregateOptions } from './pre-aggregated.ts'
import type { GroupOptions, StreamTraits } from './stream.ts'
import { Table } from './table.ts'
import { WindowedStream } from './windowed-stream.ts'

/** How an aggregation without windows hands on its changes. */
export interface TableOptions extends Materialized {
  /** Default `updates`: one record per changed row and commit. */
  readonly emit?: Extract<EmitMode, 'every-update' | 'updates'>
}

/** What is known of a grouped stream besides its types. */
export interface GroupTraits<K, V> extends StreamTraits<K, V> {
  readonly options: GroupOptions<K, V>
}

/** Records by key, about to be aggregated. */
export class Grouped<K, V> {
  readonly #graph: Graph
  readonly #node: string
  readonly #traits: GroupTraits<K, V>
  /** A repartition with a name is shared by all aggregations of this group. */
  #shared: string | undefined

  constructor(graph: Graph, node: string, traits: GroupTraits<K, V>) {
    this.#graph = graph
    this.#node = node
    this.#traits = traits
  }

  /** How many records each key has. */
  count(options: TableOptions = {}): Table<K, number> {
    return this.#aggregated('KSTREAM-AGGREGATE-', aggregating(count()), { ...options, valueSerde: int64 })
  }

  /** Combines each key's values two by two. `value` need not be given when it is known from the source. */
  reduce(reduce: (row: V, value: V) => V, options: TableOptions & { readonly value?: Serde<V> } = {}): Table<K, V> {
    const valueSerde = this.#graph.serdeOf(options.value ?? this.#traits.valueSerde, {
      of: 'value',
      at: `store "${options.store ?? 'of a reduction'}"`,
    })
    return this.#aggregated('KSTREAM-REDUCE-', reducing(reduce, valueSerde), { ...options, valueSerde })
  }

  /** Aggregates each key's values. */
  aggregate<A, R>(aggregator: Aggregator<V, A, R>, options: TableOptions = {}): Table<K, R> {
    const store = options.store === undefined ? options : { ...options, store: versioned(options.store, aggregator) }
    return this.#aggregated('KSTREAM-AGGREGATE-', aggregating(aggregator), { ...store, valueSerde: undefined })
  }

  /** Aggregates by window of event time. */
  windowedBy(windows: TimeWindows): WindowedStream<K, V> {
    return new WindowedStream<K, V>(this.#graph, {
      windows,
      keySerde: this.#traits.keySerde,
      valueSerde: this.#traits.valueSerde,
      sourceFor: (store) => this.#sourceFor(store),
      hasWatermarks: this.#hasWatermarks,
    })
  }

  /**
   * Aggregates within each task and commit interval before the repartition, which then carries one partial per key and window instead of
   * every record. The partials can be merged into several windows, and by the sources' stream times: an uneven replay makes nothing late.
   */
  preAggregate<A, R>(options: PreAggregateOptions<V, A, R>): PreAggregated<K, V, A, R> {
    const { keySerde, options: grouping } = this.#traits
    return new PreAggregated<K, V, A, R>(this.#graph, {
      ...options,
      name: versioned(options.name, options.aggregator),
      parent: this.#node,
      keySerde,
      partitions: grouping.partitions,
    })
  }

  #aggregated<A, R>(
    prefix: string,
    fold: Fold<NonNullable<V>, A, R>,
    options: TableOptions & { readonly valueSerde: Serde<R> | undefined },
  ): Table<K, R> {
    const store = options.store ?? this.#graph.nextName(`${prefix}STATE-STORE-`)
    const name = this.#graph.nameOf(options.name, prefix)
    const parent = this.#sourceFor(store)
    const keySerde = this.#traits.keySerde
    const rowKeySerde = this.#graph.serdeOf(keySerde, { of: 'key', at: `store "${store}"` })
    const emit = options.emit ?? 'updates'
    const oldValues = new OldValues(() => true)
    this.#graph.addStore({
      name: store,
      kind: 'key-value',
      timestamped: true,
      windowSizeMs: undefined,
      retentionMs: undefined,
      changelog: options.changelog ?? true,
      rows: { keySerde: rowKeySerde, resultOf: (value) => fold.result(fold.serde.read(value, 0, value.length)) },
    })
    this.#graph.addProcessor(
      { name, parents: [parent], stores: [store] },
      () => new KeyValueAggregateProcessor({ store, keySerde: rowKeySerde, fold, emit, oldValues: oldValues.asked }),
    )
    const { valueSerde } = options
    return new Table<K, R>(this.#graph, name, { keySerde, valueSerde, hasWatermarks: this.#hasWatermarks, oldValues })
  }

  get #hasWatermarks(): boolean {
    const { isKeyChanged, hasWatermarks, options } = this.#traits
    return isKeyChanged ? (options.watermarks ?? false) : hasWatermarks
  }

  /** The node whose records are partitioned by key: through a repartition when the key was changed, named by the group or by the store. */
  #sourceFor(store: string): string {
    const { isKeyChanged, keySerde, valueSerde, options } = this.#traits
    if (!isKeyChanged) return this.#node
    if (this.#shared !== undefined) return this.#shared
    const name = options.name ?? store
    const at = `repartition "${name}"`
    const source = this.#graph.addRepartition({
      name,
      parent: this.#node,
      keySerde: this.#graph.serdeOf(keySerde, { of: 'key', at }),
      valueSerde: this.#graph.serdeOf(valueSerde, { of: 'value', at }),
      partitions: options.partitions,
      watermarks: this.#hasWatermarks,
    })
    if (options.name !== undefined) this.#shared = source
    return source
  }
}
