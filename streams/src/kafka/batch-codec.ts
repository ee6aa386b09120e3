import { compressionsAlgorithms, crc32c, Reader } from '@platformatic/kafka'
import { type BatchCodec, type Compression, inflatedBytesMax, plainBatchCodec } from '../core/compression.ts'
import { StreamsError } from '../core/errors.ts'

/** Smaller batches cost less in plain JavaScript than the way to native code: 0.2 µs either way here, 0.07 against 0.24 µs for 64 bytes. */
const nativeChecksumFrom = 200

/** All of Kafka's compression types and a native checksum (in WebAssembly where there is no native one). */
export const batchCodec: BatchCodec = {
  // A view through the client's buffer type: given a plain buffer, the client copies it first.
  crc32c: (bytes) =>
    bytes.length < nativeChecksumFrom ? plainBatchCodec.crc32c(bytes) : crc32c(Reader.from(bytes).buffer),
  compress: (compression, bytes) =>
    compression === 'snappy' || compression === 'lz4'
      ? compressionsAlgorithms[compression].compressSync(bytes)
      : plainBatchCodec.compress(compression, bytes),
  decompress,
}

function decompress(compression: Compression, bytes: Buffer): Buffer {
  if (compression !== 'snappy' && compression !== 'lz4') return plainBatchCodec.decompress(compression, bytes)
  try {
    const inflated = compressionsAlgorithms[compression].decompressSync(bytes)
    if (inflated.length <= inflatedBytesMax) return inflated
  } catch (cause) {
    throw new StreamsError('CORRUPT_BATCH', `a ${compression} batch of ${bytes.length} bytes cannot be inflated`, {
      cause,
    })
  }
  throw new StreamsError(
    'CORRUPT_BATCH',
    `a ${compression} batch of ${bytes.length} bytes inflates to more than ${inflatedBytesMax}`,
  )
}
