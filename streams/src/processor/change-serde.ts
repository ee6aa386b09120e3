import type { Serde } from '../core/serde.ts'
import { UvarintReader, uvarintBytes, writeUvarint } from '../core/varint.ts'
import type { Change } from './change.ts'

const onlyOld = 0
const onlyNew = 1
const newAndOld = 2

/**
 * A change in a repartition topic, as Kafka Streams' ChangedSerializer writes it: the last byte says which values there are. The length is a
 * zigzag varint there: twice the number.
 *
 *   ┌───────────────────────────┬───────────┬──────────┐
 *   │                           │ old value │ 0 (int8) │
 *   ├───────────────────────────┼───────────┼──────────┤
 *   │                           │ new value │ 1 (int8) │
 *   ├───────────────┬───────────┼───────────┼──────────┤
 *   │ 2 × length    │ new value │ old value │ 2 (int8) │
 *   │ of new value, │           │           │          │
 *   │ uvarint       │           │           │          │
 *   └───────────────┴───────────┴───────────┴──────────┘
 */
export function changeSerde<V>(serde: Serde<V>): Serde<Change<V | null>> {
  const reader = new UvarintReader()
  return {
    read(bytes, start, end) {
      const last = end - 1
      switch (bytes[last]) {
        case onlyOld:
          return { value: null, old: serde.read(bytes, start, last), final: false }
        case onlyNew:
          return { value: serde.read(bytes, start, last), old: null, final: false }
        case newAndOld: {
          reader.reset(bytes, start, last)
          const length = reader.next() / 2
          const split = reader.at + length
          if (split > last) throw new RangeError(`a new value of ${length} bytes passes the end by ${split - last}`)
          return { value: serde.read(bytes, reader.at, split), old: serde.read(bytes, split, last), final: false }
        }
        default:
          throw new RangeError(`a change ends with 0, 1 or 2, not ${bytes[last]}`)
      }
    },
    write({ value, old = null }) {
      if (value === null) {
        if (old === null) throw new TypeError('a change needs a new or an old value')
        return Buffer.concat([serde.write(old), Buffer.of(onlyOld)])
      }
      if (old === null) return Buffer.concat([serde.write(value), Buffer.of(onlyNew)])
      const newBytes = serde.write(value)
      const length = Buffer.allocUnsafe(uvarintBytes(2 * newBytes.length))
      writeUvarint(length, 2 * newBytes.length, 0)
      return Buffer.concat([length, newBytes, serde.write(old), Buffer.of(newAndOld)])
    },
  }
}
