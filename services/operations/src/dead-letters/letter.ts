import { deadLetterHeaders, type RecordCursor, type RecordHeader } from '@millrace/streams'

/** A dead letter: where its record came from, and why it failed. */
export interface Letter {
  /** In the dead-letter topic: what `show` and `replay` take. */
  readonly offset: number
  readonly topic: string
  readonly partition: number
  readonly originalOffset: number
  readonly exception: string
  readonly message: string
  /** Of the record. The letter's own is when it failed. */
  readonly timestamp: number
  readonly valueBytes: number
  /** The value was too large to be kept. */
  readonly isOmitted: boolean
}

/** A letter with what it holds. */
export interface WholeLetter extends Letter {
  readonly key: Buffer | null
  readonly value: Buffer | null
  /** The record's own, without those that say why it failed. */
  readonly headers: readonly RecordHeader[]
}

/** On a mark in the dead-letter topic: the place of the record that was replayed. */
export const replayedHeader = '__millrace.replayed.record'
/** On a replayed record: the letter that it comes from. */
export const replayOfHeader = '__millrace.replay.of'

const ownHeaders: ReadonlySet<string> = new Set([...Object.values(deadLetterHeaders), replayedHeader, replayOfHeader])

/** One name for a record, however often it has become a letter. */
export function placeOf(of: { readonly topic: string; readonly partition: number; readonly originalOffset: number }) {
  return `${of.topic}-${of.partition}-${of.originalOffset}`
}

/** What the cursor's record says: a letter, the place that a mark names, or neither. */
export function readLetter(cursor: RecordCursor): WholeLetter | { readonly replayed: string } | undefined {
  const headers = cursor.headers()
  const text = (name: string) => headers.findLast(({ key }) => key === name)?.value?.toString('utf8')
  const replayed = text(replayedHeader)
  if (replayed !== undefined) return { replayed }
  const topic = text(deadLetterHeaders.topic)
  const partition = Number(text(deadLetterHeaders.partition) ?? Number.NaN)
  const originalOffset = Number(text(deadLetterHeaders.offset) ?? Number.NaN)
  // Something that neither a sink nor the engine wrote: nobody can say where it belongs.
  if (topic === undefined || !Number.isSafeInteger(partition) || !Number.isSafeInteger(originalOffset)) return undefined
  const omitted = text(deadLetterHeaders.omittedBytes)
  const value = bytesOf(cursor, cursor.valueStart, cursor.valueEnd)
  return {
    offset: cursor.offset,
    topic,
    partition,
    originalOffset,
    exception: text(deadLetterHeaders.exception) ?? '',
    message: text(deadLetterHeaders.message) ?? '',
    // Letters of earlier versions have the record's time as their own.
    timestamp: Number(text(deadLetterHeaders.timestamp) ?? cursor.timestamp),
    valueBytes: omitted === undefined ? (value?.length ?? 0) : Number(omitted),
    isOmitted: omitted !== undefined,
    key: bytesOf(cursor, cursor.keyStart, cursor.keyEnd),
    value,
    headers: headers.filter(({ key }) => !ownHeaders.has(key)),
  }
}

function bytesOf(cursor: RecordCursor, start: number, end: number): Buffer | null {
  return start < 0 ? null : Buffer.from(cursor.bytes.subarray(start, end))
}
