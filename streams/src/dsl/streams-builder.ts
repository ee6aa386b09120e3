import { nullable, type Serde } from '../core/serde.ts'
import type { Topology } from '../topology/topology.ts'
import { Graph } from './graph.ts'
import type { Materialized } from './materialized.ts'
import { Stream } from './stream.ts'
import type { Table } from './table.ts'
import { addTableSource } from './table-source.ts'

/** How a topic is read. */
export interface SourceOptions<K, V> {
  readonly key: Serde<K>
  /** `nullable(serde)` for a topic with tombstones; else records without a value are dropped and counted. */
  readonly value: Serde<V>
  /** Event time in milliseconds; the record's own timestamp when absent. Records with a negative one are dropped and counted. */
  timestampOf?(value: V, key: K | null, recordTimestamp: number): number
  /**
   * True when the timestamps are times of arrival: while the topic is read to its end, stream time then goes on with the wall clock, so that
   * windows close when input stops. Default false: event time, which only records move on.
   */
  readonly arrivalTime?: boolean
  /** Where to begin without a committed offset. Default `earliest`. */
  readonly offsetReset?: 'earliest' | 'latest'
  /** The node's name; generated when absent. */
  readonly name?: string
}

/** How a topic is read as a table. With a `store` its rows are kept, and can be queried. */
export interface TableSourceOptions<K, V> extends SourceOptions<K, V>, Materialized {}

/**
 * Begins a program over streams, as Kafka Streams' StreamsBuilder does. It only describes: `build` gives a frozen topology, which the
 * runtime or the test driver runs.
 */
export class StreamsBuilder {
  readonly #graph = new Graph()
  readonly #sources = new Map<string, KnownSource>()

  /** Reads a topic. Reading it again with the same serdes gives another handle of the same source. */
  stream<K extends NonNullable<unknown>, V>(topic: string, options: SourceOptions<K, V>): Stream<K | null, V> {
    const known = this.#sources.get(topic)
    const isKnown = known !== undefined && known.key === options.key && known.value === options.value
    const node = isKnown ? known.node : this.#addSource(topic, options)
    return new Stream<K | null, V>(this.#graph, node, {
      keySerde: options.key,
      valueSerde: options.value,
      isKeyChanged: false,
      hasWatermarks: false,
    })
  }

  /**
   * Reads a topic as a table: the last record of a key is its row, and one without a value deletes it. Records without a key are dropped and
   * counted. Rows are kept where they are given a store, or where an operator needs the value before.
   */
  table<K extends NonNullable<unknown>, V>(topic: string, options: TableSourceOptions<K, V>): Table<K, V | null> {
    const generatedStore = this.#graph.nextName(`${topic}-STATE-STORE-`)
    const valueSerde = nullable(options.value)
    const parent = this.#addSource<K, V | null>(topic, { ...options, value: valueSerde })
    const name = options.name === undefined ? this.#graph.nextName('KTABLE-SOURCE-') : `${options.name}-table-source`
    return addTableSource<K, V | null>(this.#graph, {
      ...options,
      name,
      parent,
      keySerde: options.key,
      valueSerde,
      generatedStore,
      hasWatermarks: false,
    })
  }

  /**
   * The finished program. Throws `INVALID_TOPOLOGY`, listing everything that is wrong with it.
   */
  build(): Topology {
    return this.#graph.build()
  }

  #addSource<K, V>(topic: string, options: SourceOptions<K, V>): string {
    const name = this.#graph.nameOf(options.name, 'KSTREAM-SOURCE-')
    const { timestampOf } = options
    this.#graph.addSource({
      kind: 'source',
      name,
      topic,
      internal: false,
      keySerde: options.key,
      valueSerde: options.value,
      offsetReset: options.offsetReset ?? 'earliest',
      watermarks: false,
      arrivalTime: options.arrivalTime ?? false,
      ...(timestampOf === undefined ? {} : { timestampOf }),
    })
    this.#sources.set(topic, { node: name, key: options.key, value: options.value })
    return name
  }
}

interface KnownSource {
  readonly node: string
  readonly key: unknown
  readonly value: unknown
}
