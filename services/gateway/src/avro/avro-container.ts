import { constants, inflateRawSync, zstdDecompressSync } from 'node:zlib'
import { avroMetadataMax, batchBodyBytesMax, zstdWindowLogMax } from '../limits.ts'
import { AvroBytes, invalidAvro } from './avro-bytes.ts'

/*
 * An object container file (Avro specification 1.12, "Object Container Files"):
 *
 *   "Obj" 0x01 · metadata: a map of bytes · sync: 16 bytes · blocks: (count long · size long · data · sync)*
 *
 * where the metadata `avro.schema` is the writer's schema as JSON, and `avro.codec` how the data of blocks are compressed.
 */
const magic = Buffer.from('Obj\u0001')
const syncBytes = 16

/** A container whose head was read. */
export interface AvroContainer {
  /** The writer's schema. */
  readonly schema: string
  /** Hands over each block's data, decompressed, and how many values they hold. Throws `INVALID_AVRO`, and what `read` throws. */
  readonly forEachBlock: (read: (data: Buffer, count: number) => void) => void
}

/** Opens a container. Throws `INVALID_AVRO` when it is none, or compressed in a way that is not read here. */
export function openContainer(body: Buffer): AvroContainer {
  const bytes = new AvroBytes()
  bytes.reset(body)
  if (body.length < magic.length || !body.subarray(bytes.take(magic.length), bytes.at).equals(magic)) {
    throw invalidAvro('The body does not begin as an Avro object container file does ("Obj" and 0x01).')
  }
  const metadata = readMetadata(bytes)
  const start = bytes.take(syncBytes)
  const sync = body.subarray(start, bytes.at)
  const schema = metadata.get('avro.schema')
  if (schema === undefined) throw invalidAvro('The container names no schema (avro.schema).')
  const inflate = inflaterOf(metadata.get('avro.codec') ?? 'null')
  return {
    schema,
    forEachBlock(read) {
      let bytesLeft = batchBodyBytesMax
      while (bytes.left > 0) {
        const count = bytes.long()
        if (count < 0) throw invalidAvro(`A block claims to hold ${count} values.`)
        const size = bytes.length()
        const at = bytes.take(size)
        const data = inflate(body.subarray(at, at + size), bytesLeft)
        bytesLeft -= data.length
        const end = bytes.take(syncBytes)
        if (!body.subarray(end, bytes.at).equals(sync)) throw invalidAvro('A block does not end with the sync marker.')
        read(data, count)
      }
    },
  }
}

function readMetadata(bytes: AvroBytes): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>()
  for (let count = bytes.long(); count !== 0; count = bytes.long()) {
    // A negative count is followed by the block's size, which is of use only to those who skip it.
    if (count < 0) bytes.long()
    for (let left = Math.abs(count); left > 0; left--) {
      const key = readText(bytes)
      metadata.set(key, readText(bytes))
      if (metadata.size > avroMetadataMax) throw invalidAvro(`The container has more than ${avroMetadataMax} metadata.`)
    }
  }
  return metadata
}

function readText(bytes: AvroBytes): string {
  const length = bytes.length()
  const start = bytes.take(length)
  return bytes.bytes.toString('utf8', start, start + length)
}

type Inflate = (data: Buffer, bytesMax: number) => Buffer

/** Blocks are decompressed at once: they hold 16 to 64 KiB as writers make them, and never more than a whole body may. */
const inflaters: Readonly<Record<string, Inflate>> = {
  null: (data) => data,
  deflate: (data, bytesMax) => inflateRawSync(data, { maxOutputLength: bytesMax }),
  zstandard: (data, bytesMax) =>
    zstdDecompressSync(data, {
      maxOutputLength: bytesMax,
      params: { [constants.ZSTD_d_windowLogMax]: zstdWindowLogMax },
    }),
}

function inflaterOf(codec: string): Inflate {
  const inflate = Object.hasOwn(inflaters, codec) ? inflaters[codec] : undefined
  if (inflate === undefined) {
    throw invalidAvro(`The container's codec is not one of ${Object.keys(inflaters).join(', ')}.`)
  }
  return (data, bytesMax) => {
    // What is left of the bound is at least 1: zero would mean "no bound".
    try {
      return inflate(data, Math.max(1, bytesMax))
    } catch (cause) {
      throw invalidAvro(`A block cannot be decompressed, or becomes larger than ${batchBodyBytesMax} bytes.`, cause)
    }
  }
}
