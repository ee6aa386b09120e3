import { type Readable, Transform, type TransformCallback } from 'node:stream'
import { constants, createGunzip, createZstdDecompress } from 'node:zlib'
import { GatewayError } from '../errors.ts'
import { inflateChunkBytes, inflateFreeBytes, inflateRatioMax, zstdWindowLogMax } from '../limits.ts'

/** How a body may be compressed. */
export const contentEncodings = ['gzip', 'zstd'] as const
export type ContentEncoding = (typeof contentEncodings)[number]

/** The encoding that a Content-Encoding header names; undefined when it is none of ours, or several. */
export function contentEncoding(header: string): ContentEncoding | undefined {
  const name = header.trim().toLowerCase()
  return contentEncodings.find((known) => known === name)
}

/**
 * A body that arrives compressed, decompressed as it arrives. Ends with `INVALID_COMPRESSION` when it is not what it claims to be, is cut off, or goes
 * on behind its end; with `BODY_TOO_LARGE` as soon as it passes `bytesMax`, or grows out of proportion to what was sent.
 */
export class InflatedBody extends Transform {
  /** Fastify compares it with Content-Length. */
  receivedEncodedLength = 0
  readonly #bytesMax: number
  #bytes = 0

  constructor(source: Readable, encoding: ContentEncoding, bytesMax: number) {
    super({ readableHighWaterMark: inflateChunkBytes, writableHighWaterMark: inflateChunkBytes })
    this.#bytesMax = bytesMax
    const inflater = inflaters[encoding]()
    source.on('data', (chunk: Buffer) => {
      this.receivedEncodedLength += chunk.length
    })
    source.on('error', (error) => this.destroy(error))
    inflater.on('error', (cause) => this.destroy(invalidCompression(encoding, cause)))
    // A client that goes away in the midst of its body ends the source without its end.
    source.on('close', () => {
      if (!source.readableEnded) inflater.destroy()
    })
    this.on('close', () => {
      // What is left of the body is read and forgotten, so that the connection can go on.
      source.unpipe(inflater)
      inflater.destroy()
      source.resume()
    })
    // Whoever reads the body hears of its end by a listener of his own. Where nobody does (a route without a body, a body without a type), an error
    // without any listener would be one of the process, and end it.
    this.on('error', () => {})
    source.pipe(inflater).pipe(this)
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#bytes += chunk.length
    if (this.#bytes > this.#bytesMax) {
      const detail = `Decompressed, the body is larger than the ${this.#bytesMax} bytes that this route takes.`
      done(new GatewayError('BODY_TOO_LARGE', detail))
      return
    }
    if (this.#bytes > inflateFreeBytes && this.#bytes > this.receivedEncodedLength * inflateRatioMax) {
      const detail = `Decompressed, the body is more than ${inflateRatioMax} times as large: send it in smaller parts, or not compressed.`
      done(new GatewayError('BODY_TOO_LARGE', detail))
      return
    }
    done(null, chunk)
  }
}

/** Node's types do not know the second one yet: by default, what follows the end is dropped in silence. */
const gunzipOptions = { chunkSize: inflateChunkBytes, rejectGarbageAfterEnd: true }

const inflaters = {
  gzip: () => createGunzip(gunzipOptions),
  zstd: () =>
    createZstdDecompress({
      chunkSize: inflateChunkBytes,
      params: { [constants.ZSTD_d_windowLogMax]: zstdWindowLogMax },
    }),
}

function invalidCompression(encoding: ContentEncoding, cause: unknown): GatewayError {
  return new GatewayError('INVALID_COMPRESSION', `The body is not whole and valid ${encoding}.`, { cause })
}
