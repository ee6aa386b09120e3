import type { Aggregator, MergeableAggregator } from './aggregator.ts'

/** Aggregates something of each value: `of((event: Event) => event.amount, mean())`. */
export function of<V, U, A, R>(
  select: (value: V) => U,
  aggregator: MergeableAggregator<U, A, R>,
): MergeableAggregator<V, A, R>
export function of<V, U, A, R>(select: (value: V) => U, aggregator: Aggregator<U, A, R>): Aggregator<V, A, R>
export function of<V, U, A, R>(select: (value: V) => U, aggregator: Aggregator<U, A, R>): Aggregator<V, A, R> {
  return {
    ...aggregator,
    add: (accumulator, value, timestamp) => aggregator.add(accumulator, select(value), timestamp),
  }
}
