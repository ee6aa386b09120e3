import { deadLetterHeaders, type SinkBatch } from '@millrace/streams/sink'
import { timestampMaxMs } from './limits.ts'

/** Ours: on a mark in a dead-letter topic, the place of a record that was put back, as `topic-partition-offset`. */
const replayedHeader = '__millrace.replayed.record'

/** The fields of a row of `dead_letters`, behind the two for its own place: what `writeDeadLetter` writes, in this order. */
export const deadLetterFields = [
  { name: 'topic', type: 'string' },
  { name: 'partition', type: 'int' },
  { name: 'offset', type: 'long' },
  { name: 'kind', type: 'string' },
  { name: 'exception', type: 'string' },
  { name: 'message', type: 'string' },
  { name: 'key', type: 'bytes' },
  { name: 'value', type: 'bytes' },
  { name: 'value_bytes', type: 'long' },
  { name: 'timestamp', type: { type: 'long', logicalType: 'timestamp-millis' } },
  { name: 'letter_topic', type: 'string' },
] as const

/** A dead letter as the table has it. */
interface DeadLetterRow {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly kind: 'letter' | 'replayed'
  readonly exception: string
  readonly message: string
  readonly valueBytes: number
  /** Of the record; undefined when the letter does not say. */
  readonly timestamp: number | undefined
}

/**
 * The Avro body of a row for record `row` of a dead-letter topic. What is no letter of ours (no place in its headers) is stored under its own place, so that nothing in
 * such a topic goes unseen. Without `keepsContent` key and value stay out.
 */
export function writeDeadLetter(batch: SinkBatch, row: number, keepsContent: boolean): Buffer {
  const letter = read(batch, row)
  const content = (bytes: Buffer | null) => (keepsContent && bytes !== null ? bytes : Buffer.alloc(0))
  // Times that the column cannot hold would wrap around.
  const timestamp = Math.min(Math.max(letter.timestamp ?? batch.timestamp(row), 0), timestampMaxMs)
  return Buffer.concat([
    ...bytesOf(Buffer.from(letter.topic)),
    long(letter.partition),
    long(letter.offset),
    ...bytesOf(Buffer.from(letter.kind)),
    ...bytesOf(Buffer.from(letter.exception)),
    ...bytesOf(Buffer.from(letter.message)),
    ...bytesOf(content(batch.key(row))),
    ...bytesOf(content(batch.value(row))),
    long(letter.valueBytes),
    long(timestamp),
    ...bytesOf(Buffer.from(batch.topic)),
  ])
}

function read(batch: SinkBatch, row: number): DeadLetterRow {
  const headers = batch.headers(row)
  const text = (name: string) => headers.findLast(({ key }) => key === name)?.value?.toString('utf8')
  const replayed = /^(.+)-(\d{1,9})-(\d{1,15})$/.exec(text(replayedHeader) ?? '')
  if (replayed !== null) {
    const [, topic = '', partition, offset] = replayed
    const place = { topic, partition: Number(partition), offset: Number(offset) }
    return { ...place, kind: 'replayed', exception: '', message: '', valueBytes: 0, timestamp: undefined }
  }
  const valueBytes = batch.valueStart(row) < 0 ? 0 : batch.valueEnd(row) - batch.valueStart(row)
  const partition = countOf(text(deadLetterHeaders.partition), 0x7fff_ffff)
  const offset = countOf(text(deadLetterHeaders.offset), 2 ** 52)
  const topic = text(deadLetterHeaders.topic)
  if (topic === undefined || partition === undefined || offset === undefined) {
    const place = { topic: batch.topic, partition: batch.partition, offset: batch.offset(row) }
    return {
      ...place,
      kind: 'letter',
      exception: 'NO_PLACE',
      message: 'the record says not where it is from',
      valueBytes,
      timestamp: undefined,
    }
  }
  return {
    topic,
    partition,
    offset,
    kind: 'letter',
    exception: text(deadLetterHeaders.exception) ?? '',
    message: text(deadLetterHeaders.message) ?? '',
    valueBytes: countOf(text(deadLetterHeaders.omittedBytes), 2 ** 52) ?? valueBytes,
    timestamp: countOf(text(deadLetterHeaders.timestamp), 2 ** 52),
  }
}

/** A whole number from 0 to `max`; undefined when it is something else. */
function countOf(text: string | undefined, max: number): number | undefined {
  if (text === undefined || !/^\d{1,16}$/.test(text)) return undefined
  const count = Number(text)
  return count <= max ? count : undefined
}

function bytesOf(bytes: Buffer): readonly Buffer[] {
  return [long(bytes.length), bytes]
}

/** Of a number that is not negative and below 2^52: zigzag, then a varint. */
function long(value: number): Buffer {
  const bytes: number[] = []
  let rest = value * 2
  while (rest > 0x7f) {
    bytes.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}
