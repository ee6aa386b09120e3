import type { Aggregator, MergeableAggregator, ReversibleAggregator } from './aggregator.ts'

/** Aggregates something of each value: `of((event: Event) => event.amount, mean())`. */
export function of<V, U, A, R>(
  select: (value: V) => U,
  aggregator: MergeableAggregator<U, A, R> & ReversibleAggregator<U, A, R>,
): MergeableAggregator<V, A, R> & ReversibleAggregator<V, A, R>
export function of<V, U, A, R>(
  select: (value: V) => U,
  aggregator: MergeableAggregator<U, A, R>,
): MergeableAggregator<V, A, R>
export function of<V, U, A, R>(
  select: (value: V) => U,
  aggregator: ReversibleAggregator<U, A, R>,
): ReversibleAggregator<V, A, R>
export function of<V, U, A, R>(select: (value: V) => U, aggregator: Aggregator<U, A, R>): Aggregator<V, A, R>
export function of<V, U, A, R>(select: (value: V) => U, aggregator: Aggregator<U, A, R>): Aggregator<V, A, R> {
  const { subtract, ...rest } = aggregator
  const selected: Aggregator<V, A, R> = {
    ...rest,
    add: (accumulator, value, timestamp) => aggregator.add(accumulator, select(value), timestamp),
  }
  if (subtract === undefined) return selected
  return { ...selected, subtract: (accumulator, value, timestamp) => subtract(accumulator, select(value), timestamp) }
}
