import type { Serde } from '../core/serde.ts'

/** A whole number up to 2^53 as int64 big endian: what Kafka Streams' LongSerde writes. */
export const int64: Serde<number> = {
  read(bytes, start, end) {
    if (end - start !== 8) throw new RangeError(`an int64 has 8 bytes, not ${end - start}`)
    return bytes.readInt32BE(start) * 2 ** 32 + bytes.readUInt32BE(start + 4)
  },
  write(value) {
    const bytes = Buffer.allocUnsafe(8)
    bytes.writeInt32BE(Math.floor(value / 2 ** 32), 0)
    bytes.writeUInt32BE(value - Math.floor(value / 2 ** 32) * 2 ** 32, 4)
    return bytes
  },
}

/** A number as float64 big endian: what Kafka Streams' DoubleSerde writes. */
export const float64: Serde<number> = {
  read(bytes, start, end) {
    if (end - start !== 8) throw new RangeError(`a float64 has 8 bytes, not ${end - start}`)
    return bytes.readDoubleBE(start)
  },
  write(value) {
    const bytes = Buffer.allocUnsafe(8)
    bytes.writeDoubleBE(value, 0)
    return bytes
  },
}

/** A number or null in the same 8 bytes: null is NaN. */
export const float64OrNull: Serde<number | null> = {
  read(bytes, start, end) {
    const value = float64.read(bytes, start, end)
    return Number.isNaN(value) ? null : value
  },
  write: (value) => float64.write(value ?? Number.NaN),
}
