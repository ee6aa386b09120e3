import type { GroupView, GroupViewMember, TopicPartition } from '../core/broker.ts'
import { UvarintReader, uvarintBytes, writeUvarint } from '../core/varint.ts'

/** What a member adds to its subscription. */
export interface ReportData {
  readonly endpoint: string | null
  /** Lags by number; undefined for a member that keeps no state. */
  readonly warm: ReadonlyMap<number, number> | undefined
  /** The numbers that it was to keep warm. */
  readonly standbys: readonly number[]
}

/** What the leader adds to a member's assignment. */
export interface DivisionData {
  /** False when partitions are with nobody until those who had them have joined again. */
  readonly isComplete: boolean
  /** What this member is to keep warm, in ascending order. */
  readonly standbys: readonly number[]
  /** Undefined when it was left out for its size. */
  readonly view: GroupView | undefined
}

const version = 1

/*
 * Our user data within the consumer protocol. All numbers are unsigned varints (core/varint.ts). A reader takes any version from 1 on and ignores
 * what follows what it knows: a later version only appends, else the protocol gets another name.
 *
 *   report:    version · optional endpoint · warm · numbers standbys
 *   warm:      0 for a member that keeps no state, else n + 1 · (number · lag)*
 *
 *   division:  version · 1 if complete, else 0 · numbers standbys · view
 *   view:      generation · n · topic text* · n · member*          n = 0 members: left out for its size
 *   member:    member id text · optional instance id · optional endpoint · n · (index of topic · numbers partitions)* · numbers standbys
 *
 *   text:      length · utf8          optional text: 0, or length + 1 · utf8
 *   numbers:   n · (difference to the one before)*, ascending, the first one as it is
 */

/** The bytes of a report. */
export function encodeReport({ endpoint, warm, standbys }: ReportData): Buffer {
  const parts = [uvarint(version), optionalText(endpoint), uvarint(warm === undefined ? 0 : warm.size + 1)]
  for (const [number, lag] of warm ?? []) parts.push(uvarint(number), uvarint(lag))
  return Buffer.concat([...parts, ...numberParts(standbys)])
}

/** Reads a report. Throws a `RangeError` on bytes that are not one. */
export function decodeReport(bytes: Buffer): ReportData {
  const reader = new UserDataReader(bytes)
  const endpoint = reader.optionalText()
  const sizePlusOne = reader.next()
  const pairs = Array.from({ length: reader.checked(Math.max(0, sizePlusOne - 1)) }, () => {
    const number = reader.next()
    return [number, reader.next()] as const
  })
  return { endpoint, warm: sizePlusOne === 0 ? undefined : new Map(pairs), standbys: reader.numbers() }
}

/** The part of a division that is the same for all members; without members it says that it was left out. */
export function encodeView({ generationId, members }: GroupView): Buffer {
  const topics = [...new Set(members.flatMap(({ partitions }) => partitions.map(({ topic }) => topic)))].sort()
  const indexes = new Map(topics.map((topic, at) => [topic, at]))
  const parts = [uvarint(generationId), uvarint(topics.length), ...topics.map(text), uvarint(members.length)]
  for (const member of members) {
    parts.push(text(member.memberId), optionalText(member.groupInstanceId), optionalText(member.endpoint))
    const byTopic = Map.groupBy(member.partitions, ({ topic }) => topic)
    parts.push(uvarint(byTopic.size))
    for (const [topic, partitions] of byTopic) {
      parts.push(uvarint(indexes.get(topic) ?? 0))
      parts.push(...numberParts(partitions.map(({ partition }) => partition)))
    }
    parts.push(...numberParts(member.standbys))
  }
  return Buffer.concat(parts)
}

/** The bytes of a division for one member, with a view of `encodeView`. */
export function encodeDivision(isComplete: boolean, standbys: readonly number[], view: Buffer): Buffer {
  return Buffer.concat([uvarint(version), uvarint(isComplete ? 1 : 0), ...numberParts(standbys), view])
}

/** Reads a division. Throws a `RangeError` on bytes that are not one. */
export function decodeDivision(bytes: Buffer): DivisionData {
  const reader = new UserDataReader(bytes)
  const isComplete = reader.next() === 1
  const standbys = reader.numbers()
  const generationId = reader.next()
  const topics = reader.array(() => reader.text())
  const members = reader.array(() => readMember(reader, topics))
  return { isComplete, standbys, view: members.length === 0 ? undefined : { generationId, members } }
}

function readMember(reader: UserDataReader, topics: readonly string[]): GroupViewMember {
  const memberId = reader.text()
  const groupInstanceId = reader.optionalText()
  const endpoint = reader.optionalText()
  const partitions = reader.array(() => readPartitions(reader, topics)).flat()
  return { memberId, groupInstanceId, endpoint, partitions, standbys: reader.numbers() }
}

function readPartitions(reader: UserDataReader, topics: readonly string[]): readonly TopicPartition[] {
  const index = reader.next()
  const topic = topics[index]
  if (topic === undefined) throw new RangeError(`there is no topic ${index} in the view`)
  return reader.numbers().map((partition) => ({ topic, partition }))
}

class UserDataReader {
  readonly #bytes: Buffer
  readonly #numbers = new UvarintReader()

  constructor(bytes: Buffer) {
    this.#bytes = bytes
    this.#numbers.reset(bytes, 0, bytes.length)
    if (this.next() < 1) throw new RangeError('user data begins with a version from 1 on')
  }

  next(): number {
    return this.#numbers.next()
  }

  /** A count, refused when that many cannot follow. */
  checked(count: number): number {
    if (count > this.#bytes.length - this.#numbers.at) throw new RangeError(`a list of ${count} passes the end`)
    return count
  }

  array<T>(read: () => T): T[] {
    return Array.from({ length: this.checked(this.next()) }, read)
  }

  numbers(): readonly number[] {
    let last = 0
    return this.array(() => {
      last += this.next()
      return last
    })
  }

  text(): string {
    return this.#utf8(this.next())
  }

  optionalText(): string | null {
    const lengthPlusOne = this.next()
    return lengthPlusOne === 0 ? null : this.#utf8(lengthPlusOne - 1)
  }

  #utf8(length: number): string {
    const start = this.#numbers.at
    this.#numbers.at += this.checked(length)
    return this.#bytes.toString('utf8', start, this.#numbers.at)
  }
}

/** Sorted here, so that whoever writes need not care. */
function numberParts(numbers: readonly number[]): readonly Buffer[] {
  let last = 0
  const differences = numbers
    .toSorted((one, other) => one - other)
    .map((number) => {
      const difference = number - last
      last = number
      return uvarint(difference)
    })
  return [uvarint(numbers.length), ...differences]
}

function uvarint(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(uvarintBytes(value))
  writeUvarint(bytes, value, 0)
  return bytes
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8')
  return Buffer.concat([uvarint(bytes.length), bytes])
}

function optionalText(value: string | null): Buffer {
  if (value === null) return uvarint(0)
  const bytes = Buffer.from(value, 'utf8')
  return Buffer.concat([uvarint(bytes.length + 1), bytes])
}
