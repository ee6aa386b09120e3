import { type MergeableAggregator, type Serde, UvarintReader, uvarintBytes, writeUvarint } from '@millrace/streams'

/** What is counted of an event. */
export interface Measured {
  readonly value: number | null
}

/** The statistics of one event type in one window, as they are kept. Sum, least and most are of the events that have a value. */
export interface EventAccumulator {
  count: number
  valueCount: number
  sum: number
  min: number
  max: number
}

/** The same, as they are published. */
export interface EventFigures {
  readonly count: number
  readonly value_count: number
  readonly sum: number
  readonly avg: number | null
  readonly min: number | null
  readonly max: number | null
}

/** Counts events, and sums up the values of those that have one. One purpose-made row: it is updated for every event. */
export const eventStatistics: MergeableAggregator<Measured, EventAccumulator, EventFigures> = {
  name: 'event-statistics',
  version: 1,
  init: () => ({ count: 0, valueCount: 0, sum: 0, min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY }),
  add(row, { value }) {
    row.count++
    if (value === null) return row
    row.valueCount++
    row.sum += value
    if (value < row.min) row.min = value
    if (value > row.max) row.max = value
    return row
  },
  merge(left, right) {
    left.count += right.count
    left.valueCount += right.valueCount
    left.sum += right.sum
    if (right.min < left.min) left.min = right.min
    if (right.max > left.max) left.max = right.max
    return left
  },
  result({ count, valueCount, sum, min, max }) {
    const hasValues = valueCount > 0
    return {
      count,
      value_count: valueCount,
      sum,
      avg: hasValues ? sum / valueCount : null,
      min: hasValues ? min : null,
      max: hasValues ? max : null,
    }
  },
  serde: accumulatorSerde(),
}

/**
 *   ┌───────────────┬────────────────────┐ ┌────────────┬────────────┬────────────┐
 *   │ count uvarint │ value count uvarint│ │ sum f64 BE │ min f64 BE │ max f64 BE │  the last three only when the value count is not 0
 *   └───────────────┴────────────────────┘ └────────────┴────────────┴────────────┘
 */
function accumulatorSerde(): Serde<EventAccumulator> {
  const reader = new UvarintReader()
  return {
    read(bytes, start, end) {
      reader.reset(bytes, start, end)
      const row = eventStatistics.init()
      row.count = reader.next()
      row.valueCount = reader.next()
      const expected = reader.at + (row.valueCount === 0 ? 0 : 24)
      if (end !== expected) throw new RangeError(`event statistics take ${expected - start} bytes, not ${end - start}`)
      if (row.valueCount === 0) return row
      row.sum = bytes.readDoubleBE(reader.at)
      row.min = bytes.readDoubleBE(reader.at + 8)
      row.max = bytes.readDoubleBE(reader.at + 16)
      return row
    },
    write(row) {
      const countsBytes = uvarintBytes(row.count) + uvarintBytes(row.valueCount)
      const bytes = Buffer.allocUnsafe(countsBytes + (row.valueCount === 0 ? 0 : 24))
      const at = writeUvarint(bytes, row.valueCount, writeUvarint(bytes, row.count, 0))
      if (row.valueCount === 0) return bytes
      bytes.writeDoubleBE(row.max, bytes.writeDoubleBE(row.min, bytes.writeDoubleBE(row.sum, at)))
      return bytes
    },
  }
}
