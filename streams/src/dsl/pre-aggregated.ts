import type { MergeableAggregator } from '../aggregate/aggregator.ts'
import { partialSerde } from '../aggregate/partial.ts'
import type { Serde } from '../core/serde.ts'
import { ArrivalWindowsProcessor } from '../processor/arrival-windows.ts'
import { merging } from '../processor/fold.ts'
import { MergeWindowsProcessor } from '../processor/merge-windows.ts'
import { PreAggregateProcessor } from '../processor/pre-aggregate.ts'
import type { TimeWindows } from '../windows/time-windows.ts'
import type { Graph } from './graph.ts'
import type { Materialized } from './materialized.ts'
import { versioned } from './materialized.ts'
import { OldValues } from './old-values.ts'
import { WindowedTable } from './table.ts'
import { addWindowStore, windowedTraits } from './window-store.ts'
import type { WindowOptions } from './windowed-stream.ts'

/** How records are aggregated before a repartition. */
export interface PreAggregateOptions<V, A, R> {
  /** Names the repartition topic; the aggregator's version is put behind it. */
  readonly name: string
  /** The windows of the partials, aligned to the epoch: the greatest size that divides all windows to be merged into. */
  readonly windowSizeMs: number
  readonly aggregator: MergeableAggregator<V, A, R>
  /**
   * The time that a record's window is chosen by; its timestamp when absent. Give it where timestamps are times of arrival, and merge with
   * `mergeByArrival`. A negative time is dropped and counted.
   */
  readonly windowTimeOf?: (value: V) => number
}

/** How windows are kept whose stream time is the time of arrival. */
export interface ArrivalOptions extends Materialized {
  readonly store: string
  /** Windows per task that wait to become final and are held in memory. Default 50,000; above it, final results come later and may come twice. */
  readonly heldMax?: number
  /** How long after its last update a window is kept; at least size + grace. A record that comes later is late. */
  readonly retentionMs: number
  /** As for `WindowOptions`: partials go there. */
  readonly lateTopic?: string
}

/** What is known of a pre-aggregated stream besides its types. */
export interface PreAggregatedTraits<K, V, A, R> extends PreAggregateOptions<V, A, R> {
  readonly parent: string
  readonly keySerde: Serde<NonNullable<K>> | undefined
  readonly partitions: number | undefined
}

/** Partials by key and window behind a repartition with watermarks, to be merged into windows. */
export class PreAggregated<K, V, A, R> {
  readonly #graph: Graph
  readonly #node: string
  readonly #traits: PreAggregatedTraits<K, V, A, R>

  constructor(graph: Graph, traits: PreAggregatedTraits<K, V, A, R>) {
    this.#graph = graph
    this.#traits = traits
    this.#node = this.#addNodes()
  }

  /** The windows to merge into: their size, and advance if they hop, must be multiples of the partials' window size. */
  windowedBy(windows: TimeWindows): PreAggregatedWindows<K, A, R> {
    const { windowSizeMs, aggregator, keySerde, name } = this.#traits
    for (const field of ['sizeMs', 'advanceMs'] as const)
      if (windows[field] % windowSizeMs !== 0)
        this.#graph.fault(
          `windows over "${name}": ${field} must be a multiple of ${windowSizeMs} ms, not ${windows[field]}`,
        )
    return new PreAggregatedWindows<K, A, R>(this.#graph, { parent: this.#node, windows, aggregator, keySerde })
  }

  #addNodes(): string {
    const { name, parent, windowSizeMs, aggregator, partitions, windowTimeOf } = this.#traits
    if (!Number.isSafeInteger(windowSizeMs) || windowSizeMs <= 0)
      this.#graph.fault(`pre-aggregation "${name}": windowSizeMs must be a whole number above 0, not ${windowSizeMs}`)
    const keySerde = this.#graph.serdeOf(this.#traits.keySerde, { of: 'key', at: `pre-aggregation "${name}"` })
    const node = `${name}-pre-aggregate`
    this.#graph.addProcessor(
      { name: node, parents: [parent] },
      () => new PreAggregateProcessor({ keySerde, windowSizeMs, aggregator, windowTimeOf }),
    )
    return this.#graph.addKeyedRepartition({
      name,
      parent: node,
      keySerde,
      valueSerde: partialSerde(aggregator.serde, { windowSizeMs }),
      partitions,
      watermarks: true,
    })
  }
}

/** Partials, about to be merged into windows. */
export class PreAggregatedWindows<K, A, R> {
  readonly #graph: Graph
  readonly #of: PreAggregatedWindowsTraits<K, A, R>

  constructor(graph: Graph, of: PreAggregatedWindowsTraits<K, A, R>) {
    this.#graph = graph
    this.#of = of
  }

  /** Merges the partials. What is late for a window is counted in records, each once. */
  merge(options: WindowOptions = {}): WindowedTable<K, R> {
    const { parent, windows, aggregator, keySerde } = this.#of
    const store = versioned(options.store ?? this.#graph.nextName('KSTREAM-MERGE-WINDOWS-STATE-STORE-'), aggregator)
    const name = this.#graph.nameOf(options.name, 'KSTREAM-MERGE-WINDOWS-')
    const rows = addWindowStore(this.#graph, { ...options, store, windows, fold: merging(aggregator), keySerde })
    const oldValues = new OldValues(() => true)
    this.#graph.addProcessor(
      { name, parents: [parent], stores: [store], lateTopic: options.lateTopic },
      () => new MergeWindowsProcessor({ ...rows, oldValues: oldValues.asked }),
    )
    return new WindowedTable<K, R>(
      this.#graph,
      name,
      windowedTraits<K, R>({ keySerde, windows, hasWatermarks: true, oldValues }, undefined),
    )
  }

  /**
   * Merges the partials into tumbling windows of event time, where the records' timestamps, and so stream time, are times of arrival:
   * history counts whenever it is sent. Hands on updates at each commit, and the result as final when stream time has passed the window's
   * end and its last update by the windows' grace; it changes, and is final again, when more arrives.
   */
  mergeByArrival(options: ArrivalOptions): WindowedTable<K, R> {
    const { parent, windows, aggregator, keySerde } = this.#of
    const store = versioned(options.store, aggregator)
    if (windows.kind !== 'tumbling') this.#graph.fault(`store "${store}": only tumbling windows are kept by arrival`)
    const name = this.#graph.nameOf(options.name, 'KSTREAM-MERGE-ARRIVALS-')
    const fold = merging(aggregator)
    const rows = addWindowStore(this.#graph, { ...options, store, windows, fold, keySerde, byArrival: true })
    this.#graph.addProcessor(
      { name, parents: [parent], stores: [store], lateTopic: options.lateTopic },
      () => new ArrivalWindowsProcessor({ ...rows, heldMax: options.heldMax }),
    )
    return new WindowedTable<K, R>(
      this.#graph,
      name,
      windowedTraits<K, R>({ keySerde, windows, hasWatermarks: true, oldValues: unknownOldValues }, undefined),
    )
  }
}

interface PreAggregatedWindowsTraits<K, A, R> {
  readonly parent: string
  readonly windows: TimeWindows
  readonly aggregator: MergeableAggregator<never, A, R>
  readonly keySerde: Serde<NonNullable<K>> | undefined
}

/** Rows by arrival become final again and again, some of them without a change: the values before are not kept track of. */
const unknownOldValues = new OldValues(() => false)
