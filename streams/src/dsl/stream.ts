import type { StreamRecord } from '../core/record.ts'
import type { Serde } from '../core/serde.ts'
import { FilterProcessor } from '../processor/filter.ts'
import { FlatMapProcessor, type KeyValue } from '../processor/flat-map.ts'
import { MapProcessor } from '../processor/map.ts'
import { MapPairProcessor } from '../processor/map-pair.ts'
import { PeekProcessor } from '../processor/peek.ts'
import type { Processor } from '../processor/processor.ts'
import type { Graph } from './graph.ts'
import { Grouped } from './grouped.ts'
import type { Table, TableOperatorOptions } from './table.ts'
import { addTableSource } from './table-source.ts'
import { rowSerde } from './table-store.ts'

/** What is known of a stream besides its types. */
export interface StreamTraits<K, V> {
  readonly keySerde: Serde<NonNullable<K>> | undefined
  readonly valueSerde: Serde<V> | undefined
  /** The key is not the one the records are partitioned by: what needs partitions by key repartitions first. */
  readonly isKeyChanged: boolean
  /** The stream comes through repartition topics with watermarks, which drive its stream time. */
  readonly hasWatermarks: boolean
}

/** An operator's name in the topology; generated when absent. */
export interface Named {
  readonly name?: string
}

/** How a stream is written to a topic. Serdes that are known from the source need not be given. */
export interface SinkOptions<K, V> extends Named {
  readonly key?: Serde<NonNullable<K>>
  readonly value?: Serde<NonNullable<V>>
  /** Default: as Kafka's default partitioner, murmur2 of the key's bytes; without a key, the partition of the task. */
  partitionOf?(record: StreamRecord<K, V>, partitions: number): number
}

/** How a stream is repartitioned. */
export interface RepartitionOptions<K, V> extends Named {
  readonly key?: Serde<NonNullable<K>>
  readonly value?: Serde<V>
  /** Default: as many as the topics that feed it. */
  readonly partitions?: number
  partitionOf?(record: StreamRecord<K, V>, partitions: number): number
  /**
   * True: the topic carries its writers' stream times, and what follows takes the minimum over them, so that a replay which reads source
   * partitions unevenly makes nothing late that was on time. Default false, as in Kafka Streams.
   */
  readonly watermarks?: boolean
}

/** How a stream is grouped: a repartition that may be needed takes its name and serdes from here. */
export interface GroupOptions<K, V> extends Named {
  readonly key?: Serde<K>
  readonly value?: Serde<V>
  readonly partitions?: number
  /** As of `RepartitionOptions`. */
  readonly watermarks?: boolean
}

/**
 * Records one after the other, each for itself. Keys of a source may be null. Every operator gives a new stream; the order of records is
 * kept, and timestamps and headers are those of the record an operator was given.
 */
export class Stream<K, V> {
  readonly #graph: Graph
  readonly #node: string
  readonly #traits: StreamTraits<K, V>

  constructor(graph: Graph, node: string, traits: StreamTraits<K, V>) {
    this.#graph = graph
    this.#node = node
    this.#traits = traits
  }

  /** Keeps the records that the predicate accepts. */
  filter(accepts: (value: V, key: K) => boolean, named: Named = {}): Stream<K, V> {
    const name = this.#add(named, 'KSTREAM-FILTER-', () => new FilterProcessor(accepts))
    return new Stream(this.#graph, name, this.#traits)
  }

  /** Keeps the records that the predicate does not accept. */
  filterNot(rejects: (value: V, key: K) => boolean, named: Named = {}): Stream<K, V> {
    return this.filter((value, key) => !rejects(value, key), named)
  }

  /** Gives each record another key and value. */
  map<K2, V2>(pairOf: (value: V, key: K) => KeyValue<K2, V2>, named: Named = {}): Stream<K2, V2> {
    const name = this.#add(named, 'KSTREAM-MAP-', () => new MapPairProcessor(pairOf))
    return new Stream(this.#graph, name, this.#rekeyed<K2, V2>(undefined))
  }

  /** Gives each record another value. */
  mapValues<V2>(toValue: (value: V, key: K) => V2, named: Named = {}): Stream<K, V2> {
    const name = this.#add(named, 'KSTREAM-MAPVALUES-', () => new MapProcessor((_: V, key: K) => key, toValue))
    return new Stream<K, V2>(this.#graph, name, { ...this.#traits, valueSerde: undefined })
  }

  /** Makes any number of records of each. */
  flatMap<K2, V2>(pairsOf: (value: V, key: K) => Iterable<KeyValue<K2, V2>>, named: Named = {}): Stream<K2, V2> {
    const name = this.#add(named, 'KSTREAM-FLATMAP-', () => new FlatMapProcessor(pairsOf))
    return new Stream(this.#graph, name, this.#rekeyed<K2, V2>(undefined))
  }

  /** Makes any number of values of each, under its key. */
  flatMapValues<V2>(valuesOf: (value: V, key: K) => Iterable<V2>, named: Named = {}): Stream<K, V2> {
    function* pairsOf(value: V, key: K): Iterable<KeyValue<K, V2>> {
      for (const each of valuesOf(value, key)) yield { key, value: each }
    }
    const name = this.#add(named, 'KSTREAM-FLATMAPVALUES-', () => new FlatMapProcessor(pairsOf))
    return new Stream<K, V2>(this.#graph, name, { ...this.#traits, valueSerde: undefined })
  }

  /** Gives each record another key. What needs partitions by key repartitions afterwards. */
  selectKey<K2>(keyOf: (value: V, key: K) => K2, named: Named = {}): Stream<K2, V> {
    const name = this.#add(named, 'KSTREAM-KEY-SELECT-', () => new MapProcessor(keyOf, (value: V) => value))
    return new Stream<K2, V>(this.#graph, name, this.#rekeyed<K2, V>(this.#traits.valueSerde))
  }

  /** Shows each record to a function, for logs and counters; the function must not change it. */
  peek(look: (record: StreamRecord<K, V>) => void, named: Named = {}): Stream<K, V> {
    const name = this.#add(named, 'KSTREAM-PEEK-', () => new PeekProcessor(look))
    return new Stream(this.#graph, name, this.#traits)
  }

  /** The records of both streams, in no particular order between them. */
  merge(other: Stream<K, V>, named: Named = {}): Stream<K, V> {
    const name = this.#graph.nameOf(named.name, 'KSTREAM-MERGE-')
    this.#graph.addProcessor({ name, parents: [this.#node, other.#node] }, () => new PeekProcessor())
    const mine = this.#traits
    const others = other.#traits
    return new Stream(this.#graph, name, {
      keySerde: mine.keySerde === others.keySerde ? mine.keySerde : undefined,
      valueSerde: mine.valueSerde === others.valueSerde ? mine.valueSerde : undefined,
      isKeyChanged: mine.isKeyChanged || others.isKeyChanged,
      hasWatermarks: mine.hasWatermarks && others.hasWatermarks,
    })
  }

  /** One stream per predicate: each record goes to the first that accepts it, and nowhere if none does. The predicates must be pure. */
  split(...predicates: readonly ((value: V, key: K) => boolean)[]): readonly Stream<K, V>[] {
    return predicates.map((_, branch) =>
      this.filter((value, key) => predicates.findIndex((accepts) => accepts(value, key)) === branch, {
        name: this.#graph.nextName('KSTREAM-BRANCH-'),
      }),
    )
  }

  /** Sends the records through a topic of the application's own, partitioned by key. Records without a key are dropped and counted. */
  repartition(options: RepartitionOptions<K, V> = {}): Stream<NonNullable<K>, V> {
    const name = this.#graph.nameOf(options.name, 'KSTREAM-REPARTITION-')
    const keySerde = options.key ?? this.#traits.keySerde
    const valueSerde = options.value ?? this.#traits.valueSerde
    const at = `repartition "${name}"`
    const node = this.#graph.addRepartition({
      name,
      parent: this.#node,
      keySerde: this.#graph.serdeOf(keySerde, { of: 'key', at }),
      valueSerde: this.#graph.serdeOf(valueSerde, { of: 'value', at }),
      partitions: options.partitions,
      partitionOf: options.partitionOf,
      watermarks: options.watermarks ?? false,
    })
    return new Stream<NonNullable<K>, V>(this.#graph, node, {
      keySerde,
      valueSerde,
      isKeyChanged: false,
      hasWatermarks: options.watermarks ?? false,
    })
  }

  /**
   * Takes the records as the rows of a table: the last one of a key is its row, and null deletes it. Repartitions first when the key was
   * changed since the source. Records without a key are dropped.
   */
  toTable(
    options: TableOperatorOptions<V> & { readonly key?: Serde<NonNullable<K>> } = {},
  ): Table<NonNullable<K>, V | null> {
    const { isKeyChanged, hasWatermarks } = this.#traits
    const name = this.#graph.nameOf(options.name, 'KSTREAM-TOTABLE-')
    const generatedStore = this.#graph.nextName('KSTREAM-TOTABLE-STATE-STORE-')
    const keySerde = options.key ?? this.#traits.keySerde
    const valueSerde = rowSerde(options.value ?? this.#traits.valueSerde)
    const parent = isKeyChanged ? this.#rowRepartition({ name, keySerde, valueSerde }) : this.#node
    return addTableSource<NonNullable<K>, V | null>(this.#graph, {
      ...options,
      name,
      parent,
      keySerde,
      valueSerde,
      generatedStore,
      hasWatermarks: hasWatermarks && !isKeyChanged,
    })
  }

  /** Groups by the key the records have; repartitions first when the key was changed since the source. */
  groupByKey(options: GroupOptions<NonNullable<K>, V> = {}): Grouped<NonNullable<K>, V> {
    return new Grouped<NonNullable<K>, V>(this.#graph, this.#node, {
      keySerde: options.key ?? this.#traits.keySerde,
      valueSerde: options.value ?? this.#traits.valueSerde,
      isKeyChanged: this.#traits.isKeyChanged,
      hasWatermarks: this.#traits.hasWatermarks,
      options,
    })
  }

  /** Groups by another key, through a repartition. A null key drops the record, and is counted. */
  groupBy<K2>(keyOf: (value: V, key: K) => K2, options: GroupOptions<NonNullable<K2>, V>): Grouped<NonNullable<K2>, V> {
    return this.selectKey(keyOf).groupByKey(options)
  }

  /** Writes the records to a topic. A null value is written as a tombstone. */
  to(topic: string, options: SinkOptions<K, V> = {}): void {
    const name = this.#graph.nameOf(options.name, 'KSTREAM-SINK-')
    const at = `sink "${name}" to topic "${topic}"`
    const { partitionOf } = options
    this.#graph.addSink({
      kind: 'sink',
      name,
      parents: [this.#node],
      topic,
      internal: false,
      keySerde: this.#graph.serdeOf(options.key ?? this.#traits.keySerde, { of: 'key', at }),
      valueSerde: this.#graph.serdeOf<V>(options.value ?? this.#traits.valueSerde, { of: 'value', at }),
      watermarks: false,
      ...(partitionOf === undefined ? {} : { partitionOf }),
    })
  }

  /** The way of changed keys to a table: deletions go through it, too. */
  #rowRepartition(of: {
    readonly name: string
    readonly keySerde: Serde<NonNullable<K>> | undefined
    readonly valueSerde: Serde<V | null> | undefined
  }): string {
    const at = `repartition "${of.name}"`
    return this.#graph.addRepartition({
      name: of.name,
      parent: this.#node,
      keySerde: this.#graph.serdeOf(of.keySerde, { of: 'key', at }),
      valueSerde: this.#graph.serdeOf(of.valueSerde, { of: 'value', at }),
      partitions: undefined,
      watermarks: false,
    })
  }

  #add(named: Named, prefix: string, create: () => Processor<unknown, unknown, unknown, unknown>): string {
    const name = this.#graph.nameOf(named.name, prefix)
    this.#graph.addProcessor({ name, parents: [this.#node] }, create)
    return name
  }

  #rekeyed<K2, V2>(valueSerde: Serde<V2> | undefined): StreamTraits<K2, V2> {
    return { keySerde: undefined, valueSerde, isKeyChanged: true, hasWatermarks: this.#traits.hasWatermarks }
  }
}
