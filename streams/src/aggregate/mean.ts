import type { Serde } from '../core/serde.ts'
import { UvarintReader, uvarintBytes, writeUvarint } from '../core/varint.ts'
import type { MergeableAggregator, ReversibleAggregator } from './aggregator.ts'

/** What a mean is made of. */
export interface MeanAccumulator {
  count: number
  sum: number
}

/** The arithmetic mean of the values that are not null; null while there is none. */
export function mean(): MergeableAggregator<number | null, MeanAccumulator, number | null> &
  ReversibleAggregator<number | null, MeanAccumulator, number | null> {
  return {
    name: 'mean',
    version: 1,
    init: () => ({ count: 0, sum: 0 }),
    add(accumulator, value) {
      if (value === null) return accumulator
      accumulator.count++
      accumulator.sum += value
      return accumulator
    },
    subtract(accumulator, value) {
      if (value === null) return accumulator
      accumulator.count--
      // The last value takes the rounding of all that went before with it.
      accumulator.sum = accumulator.count === 0 ? 0 : accumulator.sum - value
      return accumulator
    },
    merge(left, right) {
      left.count += right.count
      left.sum += right.sum
      return left
    },
    result: ({ count, sum }) => (count === 0 ? null : sum / count),
    serde: meanSerde(),
  }
}

/**
 *   ┌───────────────┬────────────────┐
 *   │ count uvarint │ sum float64 BE │
 *   └───────────────┴────────────────┘
 */
function meanSerde(): Serde<MeanAccumulator> {
  const reader = new UvarintReader()
  return {
    read(bytes, start, end) {
      reader.reset(bytes, start, end)
      const count = reader.next()
      if (end - reader.at !== 8) throw new RangeError(`a mean's sum has 8 bytes, not ${end - reader.at}`)
      return { count, sum: bytes.readDoubleBE(reader.at) }
    },
    write({ count, sum }) {
      const bytes = Buffer.allocUnsafe(uvarintBytes(count) + 8)
      bytes.writeDoubleBE(sum, writeUvarint(bytes, count, 0))
      return bytes
    },
  }
}
