import { createWriteStream } from 'node:fs'
import { type Readable, Transform, type TransformCallback } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib'
import { ClickhouseFailure } from './failure.ts'
import { limits } from './limits.ts'

/** A request's body, decompressed and bounded: its first bytes in memory, the rest still to come. */
export interface RequestBody {
  /** Up to `queryBytesMax` bytes. */
  readonly head: Buffer
  /** Whether `head` is all of it. */
  readonly complete: boolean
  /** Writes the body from byte `from` (inside `head`) on to a file. Once. */
  readonly writeTo: (file: string, from: number) => Promise<void>
}

/** Begins to read a body. Throws for an unknown encoding, and later for a body over its bound. */
export async function readBody(request: Readable, encoding: string | undefined): Promise<RequestBody> {
  const source = bounded(decoded(bounded(request), encoding))
  const iterator: AsyncIterator<Buffer> = source[Symbol.asyncIterator]()
  const chunks: Buffer[] = []
  let length = 0
  let complete = false
  while (length <= limits.queryBytesMax) {
    const next = await iterator.next()
    if (next.done === true) {
      complete = true
      break
    }
    chunks.push(next.value)
    length += next.value.length
  }
  const head = Buffer.concat(chunks)
  return {
    head,
    complete,
    writeTo: async (file, from) => {
      const rest = async function* () {
        yield head.subarray(from)
        while (!complete) {
          const next = await iterator.next()
          if (next.done === true) return
          yield next.value
        }
      }
      await pipeline(rest, createWriteStream(file, { mode: 0o600 }))
    },
  }
}

function decoded(source: Readable, encoding: string | undefined): Readable {
  const decoder = decoderOf(encoding)
  if (decoder === undefined) return source
  source.on('error', (error) => decoder.destroy(error))
  return source.pipe(decoder)
}

function decoderOf(encoding: string | undefined): Transform | undefined {
  switch (encoding) {
    case undefined:
    case '':
    case 'identity':
      return undefined
    case 'gzip':
    case 'x-gzip':
      return createGunzip()
    case 'deflate':
      return createInflate()
    case 'br':
      return createBrotliDecompress()
    case 'zstd':
      return createZstdDecompress()
    default:
      throw new ClickhouseFailure(
        48,
        'NOT_IMPLEMENTED',
        `Unknown compression method in the Content-Encoding header: ${encoding}; send gzip, deflate, br or zstd`,
      )
  }
}

/** Fails with a clear error once more than `bodyBytesMax` bytes have passed. */
function bounded(source: Readable): Readable {
  let length = 0
  const bound = new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      length += chunk.length
      if (length <= limits.bodyBytesMax) done(null, chunk)
      else
        done(
          new ClickhouseFailure(
            131,
            'TOO_LARGE_STRING_SIZE',
            `The body is larger than ${limits.bodyBytesMax} bytes: send smaller batches`,
          ),
        )
    },
  })
  source.on('error', (error) => bound.destroy(error))
  source.on('close', () => {
    if (!source.readableEnded)
      bound.destroy(new ClickhouseFailure(210, 'NETWORK_ERROR', 'The client closed the connection inside its body'))
  })
  return source.pipe(bound)
}
