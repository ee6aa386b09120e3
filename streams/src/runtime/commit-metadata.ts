import { StreamsError } from '../core/errors.ts'
import { limits } from '../core/limits.ts'
import { UvarintReader, uvarintBytes, writeUvarint } from '../core/varint.ts'
import type { Watermark } from '../core/watermark.ts'

/**
 * What a task must remember beside an input's offset, so that a restart decides what is late and what is closed as the task would have.
 * It is committed with the offset, as text: Base64 of this layout, every number an unsigned varint unless drawn otherwise.
 *
 *   version (77)
 *   stream time + 1
 *   written: the last watermark this task wrote; 0 for none, else 1 + 2 × (stream time + 1) + idle
 *   writers: count; base: their smallest time + 1
 *     count × ( subtopology · partition · 2 × (stream time + 1 − base) + idle )
 *   nodes with times: count
 *     count × ( FNV-1a of the node's name, uint32 BE · how many · each time + 1 )
 *
 * Kafka Streams commits `2 · partition time int64 BE · times of its processors`; of that the time is taken. It knows versions 1 and 2 and takes
 * any other for unknown, so ours is far from them: an application that moves from one to the other misreads nothing.
 *
 * Text that cannot be read, or of another version, counts as unknown.
 */
export interface CommitMetadata {
  readonly streamTimeMs: number
  /** The last watermark that the task wrote to its sinks. */
  readonly written: WrittenMark | undefined
  /** The last watermark of each writer that was heard on this input. */
  readonly writers: readonly Watermark[]
  /** Times of nodes, by `nodeHash` of their names. */
  readonly times: ReadonlyMap<number, readonly number[]>
}

/** A watermark without its writer. */
export interface WrittenMark {
  readonly streamTimeMs: number
  readonly idle: boolean
}

const version = 77

/** Kafka Streams' layout since 3.3. */
const partitionTimeVersion = 2
const partitionTimeBytes = 9

/** The text to be committed. Throws `INVALID_STATE` above the broker's bound, which the bounds on writers and nodes keep out of reach. */
export function encodeCommitMetadata(metadata: CommitMetadata): string {
  const numbers = new NumberWriter()
  const { streamTimeMs, written, writers, times } = metadata
  numbers.add(version)
  numbers.add(streamTimeMs + 1)
  numbers.add(written === undefined ? 0 : 1 + 2 * (written.streamTimeMs + 1) + (written.idle ? 1 : 0))
  const base = writers.reduce((least, mark) => Math.min(least, mark.streamTimeMs + 1), Number.MAX_SAFE_INTEGER)
  numbers.add(writers.length)
  numbers.add(writers.length === 0 ? 0 : base)
  for (const mark of writers) {
    numbers.add(mark.subtopology)
    numbers.add(mark.partition)
    numbers.add(2 * (mark.streamTimeMs + 1 - base) + (mark.idle ? 1 : 0))
  }
  numbers.add(times.size)
  for (const [hash, nodeTimes] of times) {
    numbers.addUint32(hash)
    numbers.add(nodeTimes.length)
    for (const time of nodeTimes) numbers.add(time + 1)
  }
  const text = numbers.toBase64()
  if (text.length <= limits.commitMetadataBytesMax) return text
  throw new StreamsError(
    'INVALID_STATE',
    `the commit metadata of ${writers.length} writers and ${times.size} nodes takes ${text.length} bytes; the broker takes ${limits.commitMetadataBytesMax}`,
  )
}

/** What was committed; undefined when it cannot be read. */
export function decodeCommitMetadata(text: string): CommitMetadata | undefined {
  if (text.length === 0 || text.length > limits.commitMetadataBytesMax) return undefined
  const bytes = Buffer.from(text, 'base64')
  if (bytes[0] === partitionTimeVersion) return readPartitionTime(bytes)
  const reader = new UvarintReader()
  reader.reset(bytes, 0, bytes.length)
  try {
    const metadata = reader.next() === version ? read(reader, bytes) : undefined
    return reader.at === bytes.length ? metadata : undefined
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

/** What a node's times go by: FNV-1a of its name, 32 bits. */
export function nodeHash(name: string): number {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(name, 'utf8')) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}

function read(reader: UvarintReader, bytes: Buffer): CommitMetadata {
  const streamTimeMs = reader.next() - 1
  const written = markOf(reader.next() - 1)
  return { streamTimeMs, written, writers: readWriters(reader), times: readTimes(reader, bytes) }
}

function readPartitionTime(bytes: Buffer): CommitMetadata | undefined {
  if (bytes.length < partitionTimeBytes) return undefined
  const streamTimeMs = Number(bytes.readBigInt64BE(1))
  if (streamTimeMs < -1 || !Number.isSafeInteger(streamTimeMs)) return undefined
  return { streamTimeMs, written: undefined, writers: [], times: new Map() }
}

function readWriters(reader: UvarintReader): readonly Watermark[] {
  const count = reader.next()
  const base = reader.next()
  const writers: Watermark[] = []
  for (let i = 0; i < count; i++) {
    const subtopology = reader.next()
    const partition = reader.next()
    const code = reader.next()
    writers.push({ subtopology, partition, streamTimeMs: Math.floor(code / 2) + base - 1, idle: code % 2 === 1 })
  }
  return writers
}

function readTimes(reader: UvarintReader, bytes: Buffer): ReadonlyMap<number, readonly number[]> {
  const times = new Map<number, readonly number[]>()
  for (let nodes = reader.next(); nodes > 0; nodes--) {
    const hash = bytes.readUInt32BE(reader.at)
    reader.at += 4
    const nodeTimes: number[] = []
    for (let count = reader.next(); count > 0; count--) nodeTimes.push(reader.next() - 1)
    times.set(hash, nodeTimes)
  }
  return times
}

function markOf(code: number): WrittenMark | undefined {
  return code < 0 ? undefined : { streamTimeMs: Math.floor(code / 2) - 1, idle: code % 2 === 1 }
}

/** Numbers one after the other, in a buffer that grows. */
class NumberWriter {
  #bytes = Buffer.allocUnsafe(256)
  #at = 0

  add(value: number): void {
    this.#reserve(uvarintBytes(value))
    this.#at = writeUvarint(this.#bytes, value, this.#at)
  }

  addUint32(value: number): void {
    this.#reserve(4)
    this.#at = this.#bytes.writeUInt32BE(value, this.#at)
  }

  toBase64(): string {
    return this.#bytes.toString('base64', 0, this.#at)
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return
    const grown = Buffer.allocUnsafe(this.#bytes.length * 2)
    this.#bytes.copy(grown, 0, 0, this.#at)
    this.#bytes = grown
  }
}
