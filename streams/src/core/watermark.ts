/**
 * Watermark records travel in repartition topics beside the data. They carry the stream time of the task that wrote them, so that the
 * reading task advances by the minimum over its sources and a replay, consumed unevenly, decides as live input did.
 *
 * Layout of a watermark record: key null, one header named `millrace.watermark`, value of 17 bytes:
 *
 *   byte   0      version (1)
 *   byte   1..4   subtopology of the writer, int32 big endian
 *   byte   5..8   partition (= task) of the writer, int32 big endian
 *   byte   9..16  stream time in ms as float64 big endian; when the writer is idle: −(stream time) − 3 (so −2 or less)
 *
 * A writer is idle when it has read its inputs to their end and nothing came for the idle bound; the reader then leaves it out of the
 * minimum until its next watermark. The idle mark is a record, so that a replay sees it at the same place.
 */
export interface Watermark {
  readonly subtopology: number
  readonly partition: number
  /** −1 when the writer has seen no record yet. */
  readonly streamTimeMs: number
  readonly idle: boolean
}

/** The header that marks a watermark record. */
export const watermarkHeader = 'millrace.watermark'

const version = 1
const layoutBytes = 17

/** The value of a watermark record. */
export function encodeWatermark(mark: Watermark): Buffer {
  const bytes = Buffer.allocUnsafe(layoutBytes)
  bytes.writeUInt8(version, 0)
  bytes.writeInt32BE(mark.subtopology, 1)
  bytes.writeInt32BE(mark.partition, 5)
  bytes.writeDoubleBE(mark.idle ? -mark.streamTimeMs - 3 : mark.streamTimeMs, 9)
  return bytes
}

/** Reads the value of a watermark record from a slice; undefined when it is not one of this version. */
export function decodeWatermark(bytes: Buffer, start: number, end: number): Watermark | undefined {
  if (end - start !== layoutBytes || bytes[start] !== version) return undefined
  const time = bytes.readDoubleBE(start + 9)
  const idle = time < -1
  return {
    subtopology: bytes.readInt32BE(start + 1),
    partition: bytes.readInt32BE(start + 5),
    streamTimeMs: idle ? -time - 3 : time,
    idle,
  }
}
