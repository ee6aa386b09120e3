import type { Serde } from '../core/serde.ts'
import { UvarintReader, uvarintBytes, writeUvarint } from '../core/varint.ts'
import type { Change } from './change.ts'

const onlyOld = 0
const onlyNew = 1
const newAndOld = 2

/**
 * A change in a repartition topic, as Kafka Streams' ChangedSerializer writes it: the last byte says which values there are.
 *
 *   ┌──────────────────────────┬───────────┬───────────┬──────────┐
 *   │                          │           │ old value │ 0 (int8) │
 *   │                          │ new value │           │ 1 (int8) │
 *   │ new value's length, uvar │ new value │ old value │ 2 (int8) │
 *   └──────────────────────────┴───────────┴───────────┴──────────┘
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
          const length = reader.next()
          const split = reader.at + length
          if (split > last) throw new RangeError(`a new value of ${length} bytes passes the end by ${split - last}`)
          return { value: serde.read(bytes, reader.at, split), old: serde.read(bytes, split, last), final: false }
        }
        default:
          throw new RangeError(`a change ends with 0, 1 or 2, not ${bytes[last]}`)
      }
    },
    write({ value, old = null }) {
      if (value === null && old === null) throw new TypeError('a change needs a new or an old value')
      if (value === null || old === null) {
        const only = value === null ? old : value
        return Buffer.concat([
          only === null ? noBytes : serde.write(only),
          Buffer.of(value === null ? onlyOld : onlyNew),
        ])
      }
      const newBytes = serde.write(value)
      const length = Buffer.allocUnsafe(uvarintBytes(newBytes.length))
      writeUvarint(length, newBytes.length, 0)
      return Buffer.concat([length, newBytes, serde.write(old), Buffer.of(newAndOld)])
    },
  }
}

const noBytes = Buffer.alloc(0)
