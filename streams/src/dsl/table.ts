import type { Serde } from '../core/serde.ts'
import type { Change } from '../processor/change.ts'
import { MapProcessor } from '../processor/map.ts'
import { type WindowResult, WindowResultsProcessor } from '../processor/window-results.ts'
import type { Windowed } from '../windows/windowed.ts'
import type { Graph } from './graph.ts'
import { type Named, Stream, type StreamTraits } from './stream.ts'

/** What is known of a table besides its types. */
export interface TableTraits<K, V> {
  readonly keySerde: Serde<NonNullable<K>> | undefined
  readonly valueSerde: Serde<V> | undefined
  readonly hasWatermarks: boolean
}

/** One row per key, as the changes of an aggregation make it. */
export class Table<K, V> {
  protected readonly graph: Graph
  protected readonly node: string
  protected readonly traits: TableTraits<K, V>

  constructor(graph: Graph, node: string, traits: TableTraits<K, V>) {
    this.graph = graph
    this.node = node
    this.traits = traits
  }

  /** Every change as a record: the row's key and its value from then on. */
  toStream(named: Named = {}): Stream<K, V> {
    const name = this.graph.nameOf(named.name, 'KTABLE-TOSTREAM-')
    this.graph.addProcessor(
      { name, parents: [this.node] },
      () =>
        new MapProcessor(
          (_: Change<V>, key: K) => key,
          (change: Change<V>) => change.value,
        ),
    )
    return new Stream<K, V>(this.graph, name, this.streamTraits(this.traits.valueSerde))
  }

  protected streamTraits<V2>(valueSerde: Serde<V2> | undefined): StreamTraits<K, V2> {
    const { keySerde, hasWatermarks } = this.traits
    return { keySerde, valueSerde, isKeyChanged: false, hasWatermarks }
  }
}

/** A table whose rows are results of windows. */
export class WindowedTable<K, R> extends Table<Windowed<K>, R> {
  /** As `toStream`, with the mark that tells a window's final result from those before, and with the wall clock. */
  results(named: Named = {}): Stream<Windowed<K>, WindowResult<R>> {
    const name = this.graph.nameOf(named.name, 'KTABLE-TOSTREAM-')
    this.graph.addProcessor({ name, parents: [this.node] }, () => new WindowResultsProcessor())
    return new Stream<Windowed<K>, WindowResult<R>>(this.graph, name, this.streamTraits<WindowResult<R>>(undefined))
  }
}
