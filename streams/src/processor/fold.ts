import type { Aggregator, MergeableAggregator, ReversibleAggregator } from '../aggregate/aggregator.ts'
import type { Serde } from '../core/serde.ts'

/** How values become a row: what aggregations, reductions and merges have in common. A row that becomes null is deleted. */
export interface Fold<V, A, R> {
  first(value: V, timestamp: number): A
  next(accumulator: A, value: V, timestamp: number): A
  result(accumulator: A): R
  readonly serde: Serde<A>
}

/** One that can also take out what went in. */
export interface ReversibleFold<V, A, R> extends Fold<V, A, R> {
  remove(accumulator: A, value: V, timestamp: number): A
}

/** Adds values. */
export function aggregating<V, A, R>(aggregator: Aggregator<V, A, R>): Fold<V, A, R> {
  return {
    first: (value, timestamp) => aggregator.add(aggregator.init(), value, timestamp),
    next: (accumulator, value, timestamp) => aggregator.add(accumulator, value, timestamp),
    result: (accumulator) => aggregator.result(accumulator),
    serde: aggregator.serde,
  }
}

/** Combines two values into one of the same type; the first value is the row as it is. */
export function reducing<V>(reduce: (row: V, value: V) => V, serde: Serde<V>): Fold<V, V, V> {
  return {
    first: (value) => value,
    next: reduce,
    result: (row) => row,
    serde,
  }
}

/** Adds values of rows, and takes them out when the rows change. */
export function aggregatingRows<V, A, R>(aggregator: ReversibleAggregator<V, A, R>): ReversibleFold<V, A, R> {
  return {
    ...aggregating(aggregator),
    remove: (accumulator, value, timestamp) => aggregator.subtract(accumulator, value, timestamp),
  }
}

/** Combines rows two by two, and takes them out with the opposite function. */
export function reducingRows<V>(
  reduce: { add(row: V, value: V): V; subtract(row: V, value: V): V },
  serde: Serde<V>,
): ReversibleFold<V, V, V> {
  return {
    ...reducing((row, value) => reduce.add(row, value), serde),
    remove: (row, value) => reduce.subtract(row, value),
  }
}

/** Merges accumulators that were made elsewhere. */
export function merging<V, A, R>(aggregator: MergeableAggregator<V, A, R>): Fold<A, A, R> {
  return {
    // A part is shared by all windows it is merged into: only the left side of a merge belongs to the row.
    first: (part) => aggregator.merge(aggregator.init(), part),
    next: (accumulator, part) => aggregator.merge(accumulator, part),
    result: (accumulator) => aggregator.result(accumulator),
    serde: aggregator.serde,
  }
}
