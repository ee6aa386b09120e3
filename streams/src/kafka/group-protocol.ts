import type { TopicPartition } from '../core/broker.ts'

/** What a member tells the group's leader when it joins. */
export interface Subscription {
  readonly topics: readonly string[]
  readonly owned: readonly TopicPartition[]
  /** The generation in which `owned` was its assignment; −1 for none. */
  readonly generationId: number
  /** Bytes of our own (group-user-data.ts); null for none. */
  readonly userData: Buffer | null
}

/** What the leader tells a member. */
export interface Assignment {
  readonly partitions: readonly TopicPartition[]
  readonly userData: Buffer | null
}

const subscriptionVersion = 2
const assignmentVersion = 0

/*
 * The consumer protocol's own bytes within JoinGroup and SyncGroup, big endian, so that Kafka's tools can show who has what:
 *
 *   subscription v2: int16 version · int32 n · topic* · bytes user data · int32 n · (topic · int32 n · int32 partition*)* · int32 generation
 *   assignment v0:   int16 version · int32 n · (topic · int32 n · int32 partition*)* · bytes user data
 *   topic:           int16 length · utf8          bytes: int32 length (−1 for none) · bytes
 */

/** The bytes of a subscription. */
export function encodeSubscription({ topics, owned, generationId, userData }: Subscription): Buffer {
  const parts = [
    int16(subscriptionVersion),
    int32(topics.length),
    ...topics.map(text),
    optionalBytes(userData),
    ...partitionParts(owned),
    int32(generationId),
  ]
  return Buffer.concat(parts)
}

/** Reads a subscription of any version; those before 1 own nothing. Throws a `RangeError` on bytes that are not one. */
export function decodeSubscription(bytes: Buffer): Subscription {
  const reader = new ProtocolReader(bytes)
  const version = reader.int16()
  const topics = reader.array(() => reader.text())
  const userData = reader.optionalBytes()
  const owned = version >= 1 ? reader.partitions() : []
  return { topics, owned, generationId: version >= 2 ? reader.int32() : -1, userData }
}

/** The bytes of one member's assignment. */
export function encodeAssignment({ partitions, userData }: Assignment): Buffer {
  return Buffer.concat([int16(assignmentVersion), ...partitionParts(partitions), optionalBytes(userData)])
}

/** Reads an assignment; no bytes are no partitions. Throws a `RangeError` on bytes that are not one. */
export function decodeAssignment(bytes: Buffer): Assignment {
  if (bytes.length === 0) return { partitions: [], userData: null }
  const reader = new ProtocolReader(bytes)
  reader.int16()
  const partitions = reader.partitions()
  return { partitions, userData: reader.optionalBytes() }
}

class ProtocolReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  int16(): number {
    this.#at += 2
    return this.#bytes.readInt16BE(this.#at - 2)
  }

  int32(): number {
    this.#at += 4
    return this.#bytes.readInt32BE(this.#at - 4)
  }

  text(): string {
    const length = this.int16()
    if (length < 0 || this.#at + length > this.#bytes.length)
      throw new RangeError(`a text of ${length} bytes passes the end`)
    this.#at += length
    return this.#bytes.toString('utf8', this.#at - length, this.#at)
  }

  optionalBytes(): Buffer | null {
    const length = this.int32()
    if (length < 0) return null
    if (this.#at + length > this.#bytes.length) throw new RangeError(`user data of ${length} bytes passes the end`)
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  array<T>(read: () => T): T[] {
    const found: T[] = []
    for (let left = this.int32(); left > 0; left--) found.push(read())
    return found
  }

  partitions(): readonly TopicPartition[] {
    const byTopic = this.array(() => ({ topic: this.text(), partitions: this.array(() => this.int32()) }))
    return byTopic.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })))
  }
}

function partitionParts(partitions: readonly TopicPartition[]): Buffer[] {
  const topics = [...new Set(partitions.map(({ topic }) => topic))]
  const parts = [int32(topics.length)]
  for (const topic of topics) {
    const numbers = partitions.filter((one) => one.topic === topic).map(({ partition }) => int32(partition))
    parts.push(text(topic), int32(numbers.length), ...numbers)
  }
  return parts
}

function int16(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeInt32BE(value)
  return bytes
}

function optionalBytes(value: Buffer | null): Buffer {
  return value === null ? int32(-1) : Buffer.concat([int32(value.length), value])
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8')
  return Buffer.concat([int16(bytes.length), bytes])
}
