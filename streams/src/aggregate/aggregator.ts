import type { Serde } from '../core/serde.ts'

/**
 * A pure aggregation in three or four steps. `add` and `merge` may change and return the accumulator they are given.
 * An aggregator with `merge` can be applied before a repartition, once per input partition and commit.
 */
export interface Aggregator<V, A, R = A> {
  readonly name: string
  /** Part of the store's name: raise it when the accumulator's meaning or bytes change. */
  readonly version: number
  init(): A
  add(accumulator: A, value: V, timestamp: number): A
  /**
   * May change and return `left`; `right` is only read, and nothing of it that can change may be kept: it is merged into several windows.
   * merge(add*(init), add*(init)) must equal add* over all values, whatever the order.
   */
  merge?(left: A, right: A): A
  /** The opposite of `add`, for tables, whose rows change: takes out a value that went in. May change and return the accumulator. */
  subtract?(accumulator: A, value: V, timestamp: number): A
  /** A value of its own: later calls of `add` and `merge` must not show in it. */
  result(accumulator: A): R
  /** The accumulator's bytes, in stores, changelogs and repartition topics. */
  readonly serde: Serde<A>
}

/** An aggregator that can merge, and so can be applied before a repartition. */
export type MergeableAggregator<V, A, R = A> = Aggregator<V, A, R> & { merge(left: A, right: A): A }

/** An aggregator that can subtract, and so can aggregate the rows of a table. */
export type ReversibleAggregator<V, A, R = A> = Aggregator<V, A, R> & {
  subtract(accumulator: A, value: V, timestamp: number): A
}
