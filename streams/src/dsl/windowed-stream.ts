import type { Aggregator } from '../aggregate/aggregator.ts'
import { count } from '../aggregate/count.ts'
import { int64 } from '../aggregate/numbers.ts'
import type { Serde } from '../core/serde.ts'
import type { EmitMode } from '../processor/change.ts'
import { aggregating, type Fold, reducing } from '../processor/fold.ts'
import { WindowAggregateProcessor } from '../processor/window-aggregate.ts'
import type { TimeWindows } from '../windows/time-windows.ts'
import type { Graph } from './graph.ts'
import { type Materialized, versioned } from './materialized.ts'
import { OldValues } from './old-values.ts'
import { WindowedTable } from './table.ts'
import { addWindowStore, windowedTraits } from './window-store.ts'

/** How a windowed aggregation hands on its results and keeps its rows. */
export interface WindowOptions extends Materialized {
  /** Default `updates`: one record per changed window and commit. */
  readonly emit?: EmitMode
  /** How long a row is kept after its window's start, in stream time. Default and least: size + grace. */
  readonly retentionMs?: number
  /**
   * An existing topic for records that come too late for a window, once for each such window: key, value and headers as they were read (behind
   * a repartition, as they were written to it), with the headers of `lateHeaders`. Default: they are only counted.
   */
  readonly lateTopic?: string
}

/** The same, for aggregations that look for closed windows themselves. */
export interface WindowAggregateOptions extends WindowOptions {
  /** Closed windows are looked for at most this often, by the wall clock. Default 0: at every commit. */
  readonly emitIntervalMs?: number
}

/** What is known of a windowed stream besides its types. */
export interface WindowedStreamTraits<K, V> {
  readonly windows: TimeWindows
  readonly keySerde: Serde<NonNullable<K>> | undefined
  readonly valueSerde: Serde<V> | undefined
  readonly hasWatermarks: boolean
  /** The node to follow, for an aggregation with this store. */
  sourceFor(store: string): string
}

/** Records by key and window, about to be aggregated. */
export class WindowedStream<K, V> {
  readonly #graph: Graph
  readonly #traits: WindowedStreamTraits<K, V>

  constructor(graph: Graph, traits: WindowedStreamTraits<K, V>) {
    this.#graph = graph
    this.#traits = traits
  }

  /** How many records each key has in each window. */
  count(options: WindowAggregateOptions = {}): WindowedTable<K, number> {
    return this.#aggregated('KSTREAM-AGGREGATE-', aggregating(count()), { ...options, valueSerde: int64 })
  }

  /** Combines each key's values of each window two by two. `value` need not be given when it is known from the source. */
  reduce(
    reduce: (row: V, value: V) => V,
    options: WindowAggregateOptions & { readonly value?: Serde<V> } = {},
  ): WindowedTable<K, V> {
    const valueSerde = this.#graph.serdeOf(options.value ?? this.#traits.valueSerde, {
      of: 'value',
      at: `store "${options.store ?? 'of a reduction'}"`,
    })
    return this.#aggregated('KSTREAM-REDUCE-', reducing(reduce, valueSerde), { ...options, valueSerde })
  }

  /** Aggregates each key's values of each window. */
  aggregate<A, R>(aggregator: Aggregator<V, A, R>, options: WindowAggregateOptions = {}): WindowedTable<K, R> {
    const named = options.store === undefined ? options : { ...options, store: versioned(options.store, aggregator) }
    return this.#aggregated('KSTREAM-AGGREGATE-', aggregating(aggregator), { ...named, valueSerde: undefined })
  }

  #aggregated<A, R>(
    prefix: string,
    fold: Fold<V, A, R>,
    options: WindowAggregateOptions & { readonly valueSerde: Serde<R> | undefined },
  ): WindowedTable<K, R> {
    const { windows, hasWatermarks } = this.#traits
    const store = options.store ?? this.#graph.nextName(`${prefix}STATE-STORE-`)
    const name = this.#graph.nameOf(options.name, prefix)
    const parent = this.#traits.sourceFor(store)
    const rows = addWindowStore(this.#graph, { ...options, store, windows, fold, keySerde: this.#traits.keySerde })
    const emitIntervalMs = options.emitIntervalMs ?? 0
    const streamTime = hasWatermarks ? 'task' : 'observed'
    const oldValues = new OldValues(() => true)
    this.#graph.addProcessor(
      { name, parents: [parent], stores: [store], lateTopic: options.lateTopic },
      () => new WindowAggregateProcessor({ ...rows, oldValues: oldValues.asked, streamTime, emitIntervalMs }),
    )
    return new WindowedTable<K, R>(
      this.#graph,
      name,
      windowedTraits({ ...this.#traits, oldValues }, options.valueSerde),
    )
  }
}
