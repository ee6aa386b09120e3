import type { Serde } from '../core/serde.ts'
import type { Change } from '../processor/change.ts'
import type { KeyValue } from '../processor/flat-map.ts'
import { MapProcessor } from '../processor/map.ts'
import { SuppressProcessor } from '../processor/suppress.ts'
import { TableMapProcessor } from '../processor/table-map.ts'
import { TableRegroupProcessor } from '../processor/table-regroup.ts'
import type { TableRowsOptions } from '../processor/table-rows.ts'
import { type WindowResult, WindowResultsProcessor } from '../processor/window-results.ts'
import type { TimeWindows } from '../windows/time-windows.ts'
import type { Windowed } from '../windows/windowed.ts'
import type { Graph } from './graph.ts'
import { GroupedTable } from './grouped-table.ts'
import type { Materialized } from './materialized.ts'
import { OldValues } from './old-values.ts'
import { type Named, Stream, type StreamTraits } from './stream.ts'
import type { UntilTimeLimit, UntilWindowCloses } from './suppressed.ts'
import { rowSerde, tableStore } from './table-store.ts'

/** What is known of a table besides its types. */
export interface TableTraits<K, V> {
  readonly keySerde: Serde<NonNullable<K>> | undefined
  readonly valueSerde: Serde<V> | undefined
  readonly hasWatermarks: boolean
  readonly oldValues: OldValues
}

/** An operator on a table's rows. With a `store` its rows are kept, and can be queried. */
export interface TableOperatorOptions<V> extends Materialized {
  /** The serde of its values, where it is needed and not known: for a store, and for what follows. */
  readonly value?: Serde<V>
}

/** How a table's rows are grouped. */
export interface TableGroupOptions<K, V> extends Named {
  readonly key: Serde<K>
  readonly value: Serde<V>
  readonly partitions?: number
}

/** One row per key, as its changes come. A row whose value becomes null is deleted. */
export class Table<K, V> {
  protected readonly graph: Graph
  protected readonly node: string
  protected readonly traits: TableTraits<K, V>

  constructor(graph: Graph, node: string, traits: TableTraits<K, V>) {
    this.graph = graph
    this.node = node
    this.traits = traits
  }

  /**
   * Keeps the rows that the predicate accepts. One that is not accepted is handed on as deleted; where the table knows its old values, only if
   * it was accepted before.
   */
  filter(
    accepts: (value: NonNullable<V>, key: K) => boolean,
    options: TableOperatorOptions<V> = {},
  ): Table<K, V | null> {
    const { node, traits } = this.addFilter(accepts, options)
    return new Table(this.graph, node, traits)
  }

  /** Keeps the rows that the predicate does not accept. */
  filterNot(
    rejects: (value: NonNullable<V>, key: K) => boolean,
    options: TableOperatorOptions<V> = {},
  ): Table<K, V | null> {
    return this.filter((value, key) => !rejects(value, key), options)
  }

  /** Gives each row another value. The function must be pure, and is not asked about rows that are deleted; null deletes the row. */
  mapValues<V2>(
    toValue: (value: NonNullable<V>, key: K) => V2,
    options: TableOperatorOptions<V2> = {},
  ): Table<K, V2 | null> {
    const { node, traits } = this.addMapValues(toValue, options)
    return new Table(this.graph, node, traits)
  }

  /** Hands on each row's changes later and fewer of them: `suppress(untilTimeLimit({ limitMs: 60_000 }))`. */
  suppress(suppressed: UntilTimeLimit, options: TableOperatorOptions<V> = {}): Table<K, V | null> {
    const { node, traits } = this.addSuppress(suppressed, options)
    return new Table(this.graph, node, traits)
  }

  /**
   * Groups the rows by another key, through a repartition: a row that changes its group leaves the old one. The function must be pure; a null
   * key or value takes no part.
   */
  groupBy<K2, V2>(
    pairOf: (value: NonNullable<V>, key: K) => KeyValue<K2 | null, V2 | null>,
    options: TableGroupOptions<NonNullable<K2>, NonNullable<V2>>,
  ): GroupedTable<NonNullable<K2>, NonNullable<V2>> {
    const name = this.graph.nameOf(options.name, 'KTABLE-SELECT-')
    if (!this.traits.oldValues.ask(true))
      this.graph.fault(
        `groupBy "${name}": the table does not know the values its rows had before; put toStream().toTable() in front`,
      )
    const { key: keySerde, value: valueSerde, partitions } = options
    this.graph.addProcessor(
      { name, parents: [this.node] },
      () => new TableRegroupProcessor<K, V, K2, V2>({ pairOf, keySerde }),
    )
    return new GroupedTable(this.graph, name, { keySerde, valueSerde, partitions, name: options.name })
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

  protected addFilter(
    accepts: (value: NonNullable<V>, key: K) => boolean,
    options: TableOperatorOptions<V>,
  ): TableNode<K, V | null> {
    return this.#addMap<V>({
      name: this.graph.nameOf(options.name, 'KTABLE-FILTER-'),
      rowOf: (value, key) => (accepts(value, key) ? value : null),
      valueSerde: options.value ?? this.traits.valueSerde,
      skipsAbsent: true,
      options,
    })
  }

  protected addMapValues<V2>(
    toValue: (value: NonNullable<V>, key: K) => V2,
    options: TableOperatorOptions<V2>,
  ): TableNode<K, V2 | null> {
    return this.#addMap<V2>({
      name: this.graph.nameOf(options.name, 'KTABLE-MAPVALUES-'),
      rowOf: toValue,
      valueSerde: options.value,
      skipsAbsent: false,
      options,
    })
  }

  /** `window`: of the table's windows, how long after its end a window is closed. */
  protected addSuppress(
    suppressed: UntilTimeLimit | UntilWindowCloses,
    options: TableOperatorOptions<V>,
    window?: { readonly graceMs: number; readonly endOf: (key: K) => number },
  ): TableNode<K, V | null> {
    const { graph, traits } = this
    const name = graph.nameOf(options.name, 'KTABLE-SUPPRESS-')
    const store =
      options.store ??
      (options.name === undefined ? graph.nextName('KTABLE-SUPPRESS-STATE-STORE-') : `${options.name}-store`)
    const at = `store "${store}"`
    const keySerde: Serde<K> = graph.serdeOf(traits.keySerde, { of: 'key', at })
    const knownSerde = options.value ?? traits.valueSerde
    const valueSerde = graph.serdeOf(knownSerde, { of: 'value', at })
    const { recordsMax, bytesMax, whenFull } = suppressed
    const isFinal = suppressed.until === 'window-closes'
    if (isFinal && window === undefined) graph.fault(`suppress "${name}": only windows close; use untilTimeLimit`)
    traits.oldValues.ask(true)
    graph.addStore({
      name: store,
      kind: 'key-value',
      timestamped: false,
      windowSizeMs: undefined,
      retentionMs: undefined,
      changelog: options.changelog ?? true,
    })
    graph.addProcessor(
      { name, parents: [this.node], stores: [store] },
      () =>
        new SuppressProcessor<K, V>({
          name,
          store,
          keySerde,
          valueSerde,
          timeOf: isFinal ? window?.endOf : undefined,
          holdMs: isFinal ? (window?.graceMs ?? 0) : suppressed.limitMs,
          dropsTombstones: isFinal,
          recordsMax,
          bytesMax,
          whenFull,
          streamTime: traits.hasWatermarks ? 'task' : 'observed',
        }),
    )
    const oldValues = new OldValues((force) => traits.oldValues.ask(force))
    return { node: name, traits: { ...traits, valueSerde: rowSerde(knownSerde), oldValues } }
  }

  #addMap<V2>(of: {
    readonly name: string
    readonly rowOf: (value: NonNullable<V>, key: K) => V2 | null
    readonly valueSerde: Serde<V2> | undefined
    readonly skipsAbsent: boolean
    readonly options: TableOperatorOptions<V2>
  }): TableNode<K, V2 | null> {
    const { graph, traits } = this
    const { name, rowOf, valueSerde, skipsAbsent } = of
    const { store, changelog } = of.options
    let rows: TableRowsOptions<K, V2> | undefined
    if (store !== undefined) {
      const own = tableStore<K, V2>(graph, { store, keySerde: traits.keySerde, valueSerde, changelog })
      graph.addStore(own.spec)
      rows = own.rows
    }
    const oldValues = new OldValues((force) => rows !== undefined || traits.oldValues.ask(force))
    if (skipsAbsent && traits.oldValues.ask(false)) oldValues.ask(false)
    graph.addProcessor(
      { name, parents: [this.node], stores: store === undefined ? [] : [store] },
      () => new TableMapProcessor<K, V, V2>({ rowOf, rows, oldValues: oldValues.asked, skipsAbsent }),
    )
    return { node: name, traits: { ...traits, valueSerde: rowSerde(valueSerde), oldValues } }
  }
}

/** Where a table's changes come from. */
export interface TableNode<K, V> {
  readonly node: string
  readonly traits: TableTraits<K, V>
}

/** What is known of a table of windows besides its types. */
export interface WindowedTableTraits<K, R> extends TableTraits<Windowed<K>, R> {
  readonly windows: TimeWindows
}

/** A table whose rows are results of windows. */
export class WindowedTable<K, R> extends Table<Windowed<K>, R> {
  readonly #windows: TimeWindows

  constructor(graph: Graph, node: string, traits: WindowedTableTraits<K, R>) {
    super(graph, node, traits)
    this.#windows = traits.windows
  }

  override filter(
    accepts: (value: NonNullable<R>, key: Windowed<K>) => boolean,
    options: TableOperatorOptions<R> = {},
  ): WindowedTable<K, R | null> {
    return this.#windowed(this.addFilter(accepts, options))
  }

  override filterNot(
    rejects: (value: NonNullable<R>, key: Windowed<K>) => boolean,
    options: TableOperatorOptions<R> = {},
  ): WindowedTable<K, R | null> {
    return this.filter((value, key) => !rejects(value, key), options)
  }

  override mapValues<R2>(
    toValue: (value: NonNullable<R>, key: Windowed<K>) => R2,
    options: TableOperatorOptions<R2> = {},
  ): WindowedTable<K, R2 | null> {
    return this.#windowed(this.addMapValues(toValue, options))
  }

  /** As for every table; `suppress(untilWindowCloses())` hands on each window's result once, when it will not change any more. */
  override suppress(
    suppressed: UntilTimeLimit | UntilWindowCloses,
    options: TableOperatorOptions<R> = {},
  ): WindowedTable<K, R | null> {
    const { graceMs } = this.#windows
    return this.#windowed(this.addSuppress(suppressed, options, { graceMs, endOf: ({ endMs }) => endMs }))
  }

  /** As `toStream`, with the mark that tells a window's final result from those before, and with the wall clock. */
  results(named: Named = {}): Stream<Windowed<K>, WindowResult<R>> {
    const name = this.graph.nameOf(named.name, 'KTABLE-TOSTREAM-')
    this.graph.addProcessor({ name, parents: [this.node] }, () => new WindowResultsProcessor())
    return new Stream<Windowed<K>, WindowResult<R>>(this.graph, name, this.streamTraits<WindowResult<R>>(undefined))
  }

  #windowed<R2>({ node, traits }: TableNode<Windowed<K>, R2>): WindowedTable<K, R2> {
    return new WindowedTable(this.graph, node, { ...traits, windows: this.#windows })
  }
}
