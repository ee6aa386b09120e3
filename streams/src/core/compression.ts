import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { crc32c } from './crc32c.ts'
import { StreamsError } from './errors.ts'

/** Kafka's compression types; the index is the number in the lowest three bits of a batch's attributes. */
export const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
/** A name of a compression type. */
export type Compression = (typeof compressions)[number]

/** The largest a batch may become when it is inflated: brokers take batches of 1 MiB, and a bomb of that size inflates a thousandfold. */
export const inflatedBytesMax = 128 * 1024 * 1024

/** Checksum and compression of record batches; adapters bring faster or more complete ones than `plainBatchCodec`. */
export interface BatchCodec {
  /** CRC-32C as an unsigned 32-bit number. */
  crc32c(bytes: Buffer): number
  /** Synchronous; the result is owned by the caller. Throws `INVALID_CONFIG` for a type this codec does not know. */
  compress(compression: Compression, bytes: Buffer): Buffer
  /** Synchronous; never returns more than `inflatedBytesMax`. Throws `CORRUPT_BATCH`, or `INVALID_CONFIG` for a type it does not know. */
  decompress(compression: Compression, bytes: Buffer): Buffer
}

/** What Node brings by itself: none, gzip and zstd. */
export const plainBatchCodec: BatchCodec = { crc32c, compress, decompress }

function compress(compression: Compression, bytes: Buffer): Buffer {
  if (compression === 'none') return bytes
  if (compression === 'gzip') return gzipSync(bytes)
  if (compression === 'zstd') return zstdCompressSync(bytes)
  throw unknownCompression(compression)
}

function decompress(compression: Compression, bytes: Buffer): Buffer {
  if (compression === 'none') return bytes
  if (compression !== 'gzip' && compression !== 'zstd') throw unknownCompression(compression)
  try {
    const options = { maxOutputLength: inflatedBytesMax }
    return compression === 'gzip' ? gunzipSync(bytes, options) : zstdDecompressSync(bytes, options)
  } catch (cause) {
    throw new StreamsError(
      'CORRUPT_BATCH',
      `a ${compression} batch of ${bytes.length} bytes cannot be inflated to at most ${inflatedBytesMax} bytes`,
      { cause },
    )
  }
}

function unknownCompression(compression: Compression): StreamsError {
  return new StreamsError(
    'INVALID_CONFIG',
    `${compression} compression needs a codec that brings it; without one: none, gzip, zstd`,
  )
}
