import type { Serde } from '../core/serde.ts'

/** The key of a windowed result: `[startMs, endMs)`. */
export interface Windowed<K> {
  readonly key: K
  readonly startMs: number
  readonly endMs: number
}

/**
 * A windowed key in an output topic, as Kafka Streams' TimeWindowedSerializer writes it; the size is not in the bytes.
 *
 *   ┌───────────┬────────────────┐
 *   │ key bytes │ start int64 BE │
 *   └───────────┴────────────────┘
 */
export function windowedKey<K>(key: Serde<K>, of: { readonly sizeMs: number }): Serde<Windowed<K>> {
  return {
    read(bytes, start, end) {
      const at = end - 8
      if (at < start) throw new RangeError(`a windowed key takes at least 8 bytes, not ${end - start}`)
      const startMs = bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)
      return { key: key.read(bytes, start, at), startMs, endMs: startMs + of.sizeMs }
    },
    write(windowed) {
      const keyBytes = key.write(windowed.key)
      const bytes = Buffer.allocUnsafe(keyBytes.length + 8)
      keyBytes.copy(bytes)
      bytes.writeInt32BE(Math.floor(windowed.startMs / 2 ** 32), keyBytes.length)
      bytes.writeUInt32BE(windowed.startMs % 2 ** 32, keyBytes.length + 4)
      return bytes
    },
  }
}
