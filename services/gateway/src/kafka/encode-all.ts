import type { RecordCodec } from '@millrace/schemas'

/** First guess of an encoded value; a slab that is too small costs one more allocation, nothing else. */
const valueBytesGuess = 384
const slabBytesMax = 1024 * 1024

/**
 * Encodes values one after the other into few large buffers, and returns each as a slice: one allocation per value would cost more than its
 * encoding. Throws `NOT_ENCODABLE` at the first value that does not fit the schema.
 */
export function encodeAll<T>(codec: Pick<RecordCodec<T>, 'encodeInto'>, values: readonly T[]): Buffer[] {
  const slices: Buffer[] = new Array(values.length)
  let slab = Buffer.allocUnsafeSlow(Math.min(slabBytesMax, values.length * valueBytesGuess))
  let at = 0
  for (const [i, value] of values.entries()) {
    let end = codec.encodeInto(value, slab, at)
    for (let size = slab.length; end < 0; size *= 2) {
      slab = Buffer.allocUnsafeSlow(Math.max(size, valueBytesGuess))
      at = 0
      end = codec.encodeInto(value, slab, 0)
    }
    slices[i] = slab.subarray(at, end)
    at = end
  }
  return slices
}
