import { deadLetterOf } from '../core/dead-letter.ts'
import { type ErrorContext, StreamsError } from '../core/errors.ts'
import type { OriginalRecord, OutgoingRecord, RecordHeader } from '../core/record.ts'
import type { RecordOrigin } from '../processor/processor.ts'

/** Where a record failed. */
export const failureStages = ['deserialization', 'processing', 'production'] as const
export type FailureStage = (typeof failureStages)[number]

/** What to do about a record that failed. */
export type FailureAction = 'fail' | 'skip' | 'dead-letter'

/** Decides what to do about a record that failed; pure. */
export type FailurePolicy = (stage: FailureStage, error: StreamsError) => FailureAction

/** Stops the task: nothing is lost, and somebody has to look. */
export const alwaysFail: FailurePolicy = () => 'fail'

/** A record as it was read: its place, and its bytes for a dead letter. */
export interface SourceRecord extends RecordOrigin {
  readonly timestamp: number
  readonly headers: readonly RecordHeader[]
  /** The same record, for when it has to wait: the buffers it was read from go on. */
  snapshot(): SourceRecord
  /** Copies. */
  rawKey(): Buffer | null
  rawValue(): Buffer | null
}

/** A failure with its stage and its place; undefined when `cause` is none that a record can be blamed for. */
export function failureOf(
  cause: unknown,
  source: SourceRecord,
): { readonly stage: FailureStage; readonly error: StreamsError } | undefined {
  if (cause instanceof StreamsError) {
    if (cause.code === 'SERIALIZATION' || cause.code === 'RECORD_TOO_LARGE')
      return { stage: 'production', error: cause }
    if (cause.code === 'DESERIALIZATION') return { stage: 'deserialization', error: cause }
    if (cause.code !== 'PROCESSING' && cause.code !== 'INVALID_RECORD') return undefined
    return { stage: 'processing', error: cause }
  }
  const message = `the record at ${placeOf(source)} could not be processed: ${textOf(cause)}`
  return { stage: 'processing', error: new StreamsError('PROCESSING', message, contextOf(source, cause)) }
}

/** A record whose bytes cannot be read. */
export function deserializationError(cause: unknown, source: SourceRecord): StreamsError {
  const message = `the record at ${placeOf(source)} could not be read: ${textOf(cause)}`
  return new StreamsError('DESERIALIZATION', message, contextOf(source, cause))
}

/** The record for the dead-letter topic: the original bytes and headers, and the reason. */
export function deadLetter(
  source: SourceRecord,
  error: StreamsError,
  to: { readonly topic: string; readonly failedAtMs: number },
): OutgoingRecord {
  const cause = error.cause instanceof Error ? error.cause : error
  const reason = { exception: cause.name, message: error.message, stacktrace: cause.stack ?? '' }
  return deadLetterOf(originalOf(source), reason, to)
}

/** Copies of what was read. A record without a time, which old brokers allow, gets 0. */
export function originalOf(source: SourceRecord): OriginalRecord {
  const { topic, partition, offset, timestamp, headers } = source
  const key = source.rawKey()
  const value = source.rawValue()
  return { topic, partition, offset, key, value, timestamp: Math.max(timestamp, 0), headers }
}

function placeOf({ topic, partition, offset }: RecordOrigin): string {
  return `${topic}-${partition} offset ${offset}`
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

function contextOf({ topic, partition, offset }: RecordOrigin, cause: unknown): ErrorContext {
  return { topic, partition, offset, cause }
}
