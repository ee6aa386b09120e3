import type { MergeableAggregator } from './aggregator.ts'
import { float64OrNull } from './numbers.ts'

/** The smallest value that is not null; null while there is none. In stores: float64 big endian, NaN for null. */
export function min(): MergeableAggregator<number | null, number | null> {
  return extreme('min', (left, right) => right < left)
}

/** The largest value that is not null; null while there is none. In stores: float64 big endian, NaN for null. */
export function max(): MergeableAggregator<number | null, number | null> {
  return extreme('max', (left, right) => right > left)
}

function extreme(
  name: string,
  isBetter: (known: number, other: number) => boolean,
): MergeableAggregator<number | null, number | null> {
  function better(known: number | null, other: number | null): number | null {
    if (known === null) return other
    return other !== null && isBetter(known, other) ? other : known
  }
  return {
    name,
    version: 1,
    init: () => null,
    add: better,
    merge: better,
    result: (accumulator) => accumulator,
    serde: float64OrNull,
  }
}
