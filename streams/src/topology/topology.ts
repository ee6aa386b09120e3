import type { StreamRecord } from '../core/record.ts'
import type { Serde } from '../core/serde.ts'
import type { Processor } from '../processor/processor.ts'

/** Reads a topic. */
export interface SourceNode {
  readonly kind: 'source'
  readonly name: string
  readonly topic: string
  /** True for repartition topics, whose name gets the application id in front, as `<application.id>-<topic>-repartition`. */
  readonly internal: boolean
  readonly keySerde: Serde<unknown>
  readonly valueSerde: Serde<unknown>
  /** Event time of a decoded record; the record's own timestamp when absent. */
  timestampOf?(value: unknown, key: unknown, recordTimestamp: number): number
  /**
   * The timestamps are times of arrival: while the topic is read to its end, stream time goes on with the wall clock, since nothing that
   * comes can be older than that.
   */
  readonly arrivalTime?: boolean
  readonly offsetReset: 'earliest' | 'latest'
  /** The topic's records carry their sources' stream times as watermark records, which drive this subtopology's stream time. */
  readonly watermarks: boolean
}

/** Runs a processor on every record of its parents. */
export interface ProcessorNode {
  readonly kind: 'processor'
  readonly name: string
  readonly parents: readonly string[]
  readonly stores: readonly string[]
  /** Where records go that come too late for a window of this node; they are only counted without it. */
  readonly lateTopic?: string
  /** Makes the processor of one task. */
  create(): Processor<unknown, unknown, unknown, unknown>
}

/** Writes to a topic. */
export interface SinkNode {
  readonly kind: 'sink'
  readonly name: string
  readonly parents: readonly string[]
  readonly topic: string
  readonly internal: boolean
  readonly keySerde: Serde<unknown>
  readonly valueSerde: Serde<unknown>
  /** The partition of a record; Kafka's default partitioner (murmur2 of the key's bytes) when absent. */
  partitionOf?(record: StreamRecord<unknown, unknown>, partitions: number): number
  /** At every commit, a watermark record with this task's stream time goes to every partition of the topic. */
  readonly watermarks: boolean
}

export type TopologyNode = SourceNode | ProcessorNode | SinkNode

/** A state store of the topology. */
export interface StoreSpec {
  readonly name: string
  readonly kind: 'key-value' | 'window'
  /**
   * As in Kafka Streams, a row is `int64 big endian timestamp ‖ value` in the store, and its changelog record is the plain value with that
   * timestamp: what drains the store cuts the first 8 bytes off, what restores it puts them back.
   */
  readonly timestamped: boolean
  /** Window stores: the windows' size. */
  readonly windowSizeMs: number | undefined
  /** Window stores: how far apart windows start; their size when absent. */
  readonly windowAdvanceMs?: number
  /** Window stores: how long, in stream time, a row is kept after its window's start; at least size + grace. */
  readonly retentionMs: number | undefined
  /** Window stores: which windows are over; `start` when absent. */
  readonly expiry?: WindowExpiry
  /** Kept in a topic `<application.id>-<name>-changelog`; without it, the content is gone with the machine. */
  readonly changelog: boolean
  /** How queries read the rows; absent where nobody can. */
  readonly rows?: RowReader
}

/**
 * Which windows are over, `newest` being the latest start in the store. `start`, as Kafka Streams' classic stores: those that start no later than
 * newest − retention. `start-after-close`, as its stores of final results: a millisecond later. `update`: `retentionMs` after the last update.
 */
export type WindowExpiry = 'start' | 'start-after-close' | 'update'

/** Makes values of a store's rows, for queries. */
export interface RowReader {
  readonly keySerde: Serde<unknown>
  /** The result in a row's plain value. */
  resultOf(value: Buffer): unknown
}

/** A repartition topic that the topology needs. */
export interface InternalTopic {
  /** Without the application id and the suffix. */
  readonly name: string
  /** Partitions; undefined: as many as the most of the topics that feed it. */
  readonly partitions: number | undefined
}

/** Nodes that are connected without a topic between them: they run together, as one task per partition. */
export interface Subtopology {
  readonly id: number
  /** In topological order: parents before children, and children in the order they were added. */
  readonly nodes: readonly TopologyNode[]
  readonly stores: readonly StoreSpec[]
}

/** A whole program as plain, frozen data. Made by the DSL, checked by `validate`, printed by `describe`, run by the runtime or the test driver. */
export interface Topology {
  readonly subtopologies: readonly Subtopology[]
  readonly internalTopics: readonly InternalTopic[]
}
