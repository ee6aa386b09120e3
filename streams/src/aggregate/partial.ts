import type { Serde } from '../core/serde.ts'
import { UvarintReader, uvarintBytes, writeUvarint } from '../core/varint.ts'

/** What one task has aggregated of one key and window since its last commit, on its way through a repartition topic. */
export interface Partial<A> {
  /** Of a window of the pre-aggregation's size. */
  readonly startMs: number
  /** How many records went in. */
  readonly records: number
  readonly accumulator: A
}

/** The layout's version; another one is refused. */
const version = 1

/**
 * A partial as a record's value; the record's key is the partial's, its timestamp the largest of the records that went in.
 *
 *   ┌─────────┬──────────────────────┬─────────────────┬───────────────────┐
 *   │ 1 (int8)│ start ÷ size uvarint │ records uvarint │ accumulator bytes │
 *   └─────────┴──────────────────────┴─────────────────┴───────────────────┘
 */
export function partialSerde<A>(accumulator: Serde<A>, of: { readonly windowSizeMs: number }): Serde<Partial<A>> {
  const reader = new UvarintReader()
  return {
    read(bytes, start, end) {
      if (bytes[start] !== version) throw new RangeError(`a partial has version ${version}, not ${bytes[start]}`)
      reader.reset(bytes, start + 1, end)
      const startMs = reader.next() * of.windowSizeMs
      const records = reader.next()
      return { startMs, records, accumulator: accumulator.read(bytes, reader.at, end) }
    },
    write(partial) {
      const content = accumulator.write(partial.accumulator)
      const index = partial.startMs / of.windowSizeMs
      const bytes = Buffer.allocUnsafe(1 + uvarintBytes(index) + uvarintBytes(partial.records) + content.length)
      bytes[0] = version
      content.copy(bytes, writeUvarint(bytes, partial.records, writeUvarint(bytes, index, 1)))
      return bytes
    },
  }
}
