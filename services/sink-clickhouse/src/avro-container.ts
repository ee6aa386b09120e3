import { createHash } from 'node:crypto'
import type { SpareBuffers } from './spare-buffers.ts'

/** Bytes that a varint of a count or a size may take. */
const varintBytesMax = 10

/**
 * Builds one Avro object container of rows that are encoded already.
 *
 *     'O' 'b' 'j' 0x01
 *     map of metadata: long 2 · "avro.schema" · schema text · "avro.codec" · "null" · long 0
 *     16 bytes sync marker
 *     long count of rows · long bytes of rows ┐
 *     rows: int partition · long offset · body │ one block
 *     16 bytes sync marker                     ┘
 *
 * Source: Avro 1.12 specification, "Object Container Files". The schema is the record's own with `_partition` (int) and `_offset` (long) in front, so that a row is the two
 * varints and the body as it came. The rows are written first, behind room for the head, whose length is known when they are complete.
 */
export class AvroContainer {
  /** Number of rows. */
  count = 0
  readonly #head: Buffer
  readonly #sync: Buffer
  readonly #rowsStart: number
  readonly #spares: SpareBuffers
  #buffer: Buffer
  #at: number

  /** `rowBytes` is a guess at what the rows will take; the memory comes from `spares`. */
  constructor(schemaText: string, rowBytes: number, spares: SpareBuffers) {
    this.#sync = createHash('md5').update(schemaText).digest()
    this.#head = Buffer.concat([
      Buffer.from([0x4f, 0x62, 0x6a, 0x01]),
      varint(2),
      ...['avro.schema', schemaText, 'avro.codec', 'null'].map(lengthPrefixed),
      varint(0),
      this.#sync,
    ])
    this.#rowsStart = this.#head.length + 2 * varintBytesMax
    this.#spares = spares
    this.#buffer = spares.take(this.#rowsStart + rowBytes + this.#sync.length)
    this.#at = this.#rowsStart
  }

  /** Appends one row whose body is `bytes` from `start` to `end`. */
  append(
    place: { readonly partition: number; readonly offset: number },
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    const needed = this.#at + 2 * varintBytesMax + end - start + this.#sync.length
    if (needed > this.#buffer.length) this.#grow(needed)
    const at = writeVarint(this.#buffer, place.offset, writeVarint(this.#buffer, place.partition, this.#at))
    bytes.copy(this.#buffer, at, start, end)
    this.#at = at + end - start
    this.count++
  }

  /** The container; a view that is valid until the next `append`. */
  finish(): Buffer {
    const block = Buffer.concat([varint(this.count), varint(this.#at - this.#rowsStart)])
    const start = this.#rowsStart - block.length - this.#head.length
    this.#head.copy(this.#buffer, start)
    block.copy(this.#buffer, start + this.#head.length)
    this.#sync.copy(this.#buffer, this.#at)
    return this.#buffer.subarray(start, this.#at + this.#sync.length)
  }

  /** Gives its memory back: the container is over, and so is every view of it. */
  retire(): void {
    this.#spares.give(this.#buffer)
    this.#buffer = retired
    this.count = 0
  }

  #grow(needed: number): void {
    const grown = this.#spares.take(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(grown, this.#rowsStart, this.#rowsStart, this.#at)
    this.#buffer = grown
  }
}

const retired = Buffer.alloc(0)

/** The fields that are put in front of a record's own. */
export const placeFields = [
  { name: '_partition', type: 'int' },
  { name: '_offset', type: 'long' },
] as const

/** The text of a record schema with the record's place in Kafka in front of its fields. */
export function withPlace(schema: Readonly<Record<string, unknown>>): string {
  const fields: readonly unknown[] = Array.isArray(schema.fields) ? schema.fields : []
  return JSON.stringify({ ...schema, fields: [...placeFields, ...fields] })
}

/** Writes a non-negative number below 2^52 as a zigzag varint; returns where it ends. */
function writeVarint(buffer: Buffer, value: number, start: number): number {
  let at = start
  let wide = value * 2
  // Division, because offsets outgrow 32 bits.
  while (wide > 0x7fff_ffff) {
    buffer[at++] = (wide % 128) + 128
    wide = Math.floor(wide / 128)
  }
  let rest = wide | 0
  while (rest > 0x7f) {
    buffer[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  buffer[at++] = rest
  return at
}

function varint(value: number): Buffer {
  const buffer = Buffer.alloc(varintBytesMax)
  return buffer.subarray(0, writeVarint(buffer, value, 0))
}

function lengthPrefixed(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([varint(bytes.length), bytes])
}
