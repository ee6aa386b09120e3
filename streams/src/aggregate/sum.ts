import type { MergeableAggregator, ReversibleAggregator } from './aggregator.ts'
import { float64 } from './numbers.ts'

/** The sum of the values that are not null. In stores: float64 big endian. A NaN among the values makes the sum NaN. */
export function sum(): MergeableAggregator<number | null, number> & ReversibleAggregator<number | null, number> {
  return {
    name: 'sum',
    version: 1,
    init: () => 0,
    add: (accumulator, value) => accumulator + (value ?? 0),
    subtract: (accumulator, value) => accumulator - (value ?? 0),
    merge: (left, right) => left + right,
    result: (accumulator) => accumulator,
    serde: float64,
  }
}
