import type { MergeableAggregator, ReversibleAggregator } from './aggregator.ts'
import { int64 } from './numbers.ts'

/** How many values there were. In stores: int64 big endian, as Kafka Streams' `count()` keeps it. */
export function count(): MergeableAggregator<unknown, number> & ReversibleAggregator<unknown, number> {
  return {
    name: 'count',
    version: 1,
    init: () => 0,
    add: (accumulator) => accumulator + 1,
    subtract: (accumulator) => accumulator - 1,
    merge: (left, right) => left + right,
    result: (accumulator) => accumulator,
    serde: int64,
  }
}
