import { StreamsError } from '../core/errors.ts'
import type { Serde } from '../core/serde.ts'
import { KeyedFilterProcessor } from '../processor/keyed-filter.ts'
import type { Processor } from '../processor/processor.ts'
import { buildTopology } from '../topology/build-topology.ts'
import type { InternalTopic, SinkNode, SourceNode, StoreSpec, Topology, TopologyNode } from '../topology/topology.ts'

/** A repartition to be added. */
export interface Repartition {
  /** The topic's name, without the application id and the suffix. */
  readonly name: string
  readonly parent: string
  readonly keySerde: Serde<unknown>
  readonly valueSerde: Serde<unknown>
  readonly partitions: number | undefined
  readonly partitionOf?: NonNullable<SinkNode['partitionOf']> | undefined
  readonly watermarks: boolean
}

/** Collects what the DSL says, in order, with names as Kafka Streams generates them. What is wrong is reported by `build`, all at once. */
export class Graph {
  readonly #nodes: TopologyNode[] = []
  readonly #stores: StoreSpec[] = []
  readonly #internalTopics: InternalTopic[] = []
  readonly #faults: string[] = []
  #index = 0

  /** The name given, or the next generated one: `KSTREAM-FILTER-0000000001`. */
  nameOf(given: string | undefined, prefix: string): string {
    return given ?? this.nextName(prefix)
  }

  nextName(prefix: string): string {
    return `${prefix}${String(this.#index++).padStart(10, '0')}`
  }

  addSource(node: SourceNode): void {
    this.#nodes.push(node)
  }

  addProcessor(
    node: {
      readonly name: string
      readonly parents: readonly string[]
      readonly stores?: readonly string[]
      readonly lateTopic?: string | undefined
    },
    create: () => Processor<unknown, unknown, unknown, unknown>,
  ): void {
    const { name, parents, stores = [], lateTopic } = node
    this.#nodes.push({
      kind: 'processor',
      name,
      parents,
      stores,
      ...(lateTopic === undefined ? {} : { lateTopic }),
      create,
    })
  }

  addSink(node: SinkNode): void {
    this.#nodes.push(node)
  }

  /** Gives a processor that was added before one store more. */
  useStore(processor: string, store: StoreSpec): void {
    const at = this.#nodes.findIndex((node) => node.name === processor)
    const node = this.#nodes[at]
    if (node?.kind !== 'processor') throw new StreamsError('INVALID_STATE', `there is no processor "${processor}"`)
    this.#nodes[at] = { ...node, stores: [...node.stores, store.name] }
    this.#stores.push(store)
  }

  addStore(store: StoreSpec): void {
    this.#stores.push(store)
  }

  fault(fault: string): void {
    this.#faults.push(fault)
  }

  /** The serde, or a fault that says where it is missing; what is returned then never comes to run. */
  serdeOf<T>(serde: Serde<T> | undefined, missing: { readonly of: 'key' | 'value'; readonly at: string }): Serde<T> {
    if (serde !== undefined) return serde
    this.fault(`${missing.at}: the serde of its ${missing.of}s is not known here: give it as { ${missing.of}: … }`)
    return missingSerde
  }

  /** Sends records through a repartition topic, those without a key left out; returns the source's name. */
  addRepartition(of: Repartition): string {
    const { sink, filter, source } = this.#repartitionNames(of.name)
    this.addProcessor({ name: filter, parents: [of.parent] }, () => new KeyedFilterProcessor())
    return this.#addRepartitionEnds(of, { sink, source, parent: filter })
  }

  /** The same for records that have keys for sure. */
  addKeyedRepartition(of: Repartition): string {
    const { sink, source } = this.#repartitionNames(of.name)
    return this.#addRepartitionEnds(of, { sink, source, parent: of.parent })
  }

  build(): Topology {
    return buildTopology(
      { nodes: this.#nodes, stores: this.#stores, internalTopics: this.#internalTopics },
      this.#faults,
    )
  }

  #addRepartitionEnds(
    of: Repartition,
    names: { readonly sink: string; readonly source: string; readonly parent: string },
  ): string {
    const { name: topic, keySerde, valueSerde, watermarks, partitions, partitionOf } = of
    this.#internalTopics.push({ name: topic, partitions })
    this.addSink({
      kind: 'sink',
      name: names.sink,
      parents: [names.parent],
      topic,
      internal: true,
      keySerde,
      valueSerde,
      watermarks,
      ...(partitionOf === undefined ? {} : { partitionOf }),
    })
    this.addSource({
      kind: 'source',
      name: names.source,
      topic,
      internal: true,
      keySerde,
      valueSerde,
      offsetReset: 'earliest',
      watermarks,
    })
    return names.source
  }

  /** As Kafka Streams: three numbers are used up, and generated topic names give generated node names. */
  #repartitionNames(topic: string): { readonly sink: string; readonly filter: string; readonly source: string } {
    const generated = {
      sink: this.nextName('KSTREAM-SINK-'),
      filter: this.nextName('KSTREAM-FILTER-'),
      source: this.nextName('KSTREAM-SOURCE-'),
    }
    if (/^KSTREAM.*-[0-9]{10}$/.test(topic)) return generated
    return {
      sink: `${topic}-repartition-sink`,
      filter: `${topic}-repartition-filter`,
      source: `${topic}-repartition-source`,
    }
  }
}

/** Stands where a serde is missing; a topology with such a fault is never built. */
const missingSerde: Serde<never> = {
  read: noSerde,
  write: noSerde,
}

function noSerde(): never {
  throw new StreamsError('INVALID_TOPOLOGY', 'a serde is missing')
}
