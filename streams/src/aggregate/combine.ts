import type { Serde } from '../core/serde.ts'
import { UvarintReader, uvarintBytes, writeUvarint } from '../core/varint.ts'
import type { Aggregator, MergeableAggregator } from './aggregator.ts'

/** Aggregators of the same values, by the names their results get. */
export type Parts<V> = Readonly<Record<string, Aggregator<V, unknown, unknown>>>

/** The same, when all of them can be merged. */
export type MergeableParts<V> = Readonly<Record<string, MergeableAggregator<V, unknown, unknown>>>

/** The results of the parts, by their names. */
export type PartResults<P> = {
  readonly [Name in keyof P]: P[Name] extends { result(accumulator: never): infer R } ? R : never
}

/**
 * Several aggregations of the same values as one row: `combine<Event>()({ events: count(), average: of((event) => event.value, mean()) })`.
 * It can be merged if all of its parts can. A part's name and place belong to the stored bytes: changing them calls for another store.
 */
export function combine<V>(): Combine<V> {
  return combineParts
}

/** What `combine` gives, to be called with the parts. */
export interface Combine<V> {
  <P extends MergeableParts<V>>(parts: P): MergeableAggregator<V, unknown[], PartResults<P>>
  <P extends Parts<V>>(parts: P): Aggregator<V, unknown[], PartResults<P>>
}

function combineParts<V, P extends MergeableParts<V>>(parts: P): MergeableAggregator<V, unknown[], PartResults<P>>
function combineParts<V, P extends Parts<V>>(parts: P): Aggregator<V, unknown[], PartResults<P>>
function combineParts<V, P extends Parts<V>>(parts: P): Aggregator<V, unknown[], PartResults<P>> {
  const names = Object.keys(parts)
  const aggregators = Object.values<Aggregator<V, unknown, unknown>>(parts)
  const base: Aggregator<V, unknown[], PartResults<P>> = {
    name: names.join('+'),
    version: aggregators.reduce((version, part) => version + part.version - 1, 1),
    init: () => aggregators.map((part) => part.init()),
    add(accumulator, value, timestamp) {
      for (let i = 0; i < aggregators.length; i++)
        accumulator[i] = aggregators[i]?.add(accumulator[i], value, timestamp)
      return accumulator
    },
    // The names are those of P, and each result comes from the part of that name.
    result: (accumulator) =>
      Object.fromEntries(names.map((name, i) => [name, aggregators[i]?.result(accumulator[i])])) as PartResults<P>,
    serde: combinedSerde(aggregators.map((part) => part.serde)),
  }
  if (aggregators.some((part) => part.merge === undefined)) return base
  return {
    ...base,
    merge(left, right) {
      for (let i = 0; i < aggregators.length; i++) left[i] = aggregators[i]?.merge?.(left[i], right[i])
      return left
    },
  }
}

/**
 * For each part, in order:
 *   ┌────────────────┬───────┐
 *   │ length uvarint │ bytes │
 *   └────────────────┴───────┘
 */
function combinedSerde(parts: readonly Serde<unknown>[]): Serde<unknown[]> {
  const reader = new UvarintReader()
  return {
    read(bytes, start, end) {
      const accumulators: unknown[] = []
      let at = start
      for (const part of parts) {
        reader.reset(bytes, at, end)
        const length = reader.next()
        at = reader.at + length
        if (at > end)
          throw new RangeError(`part ${accumulators.length} of ${length} bytes passes the end by ${at - end}`)
        accumulators.push(part.read(bytes, at - length, at))
      }
      if (at !== end) throw new RangeError(`${end - at} bytes follow the last of ${parts.length} parts`)
      return accumulators
    },
    write(accumulators) {
      const written = parts.map((part, i) => part.write(accumulators[i]))
      const bytes = Buffer.allocUnsafe(written.reduce((sum, part) => sum + uvarintBytes(part.length) + part.length, 0))
      let at = 0
      for (const part of written) {
        at = writeUvarint(bytes, part.length, at)
        at += part.copy(bytes, at)
      }
      return bytes
    },
  }
}
