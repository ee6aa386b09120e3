import { limits } from './limits.ts'
import type { OriginalRecord, OutgoingRecord, RecordHeader } from './record.ts'

/** The header names of KIP-1034, as Kafka Streams writes them. */
export const deadLetterHeaders = {
  exception: '__streams.errors.exception',
  message: '__streams.errors.message',
  stacktrace: '__streams.errors.stacktrace',
  topic: '__streams.errors.topic',
  partition: '__streams.errors.partition',
  offset: '__streams.errors.offset',
  /** Ours: the original's own time, in milliseconds. */
  timestamp: '__millrace.errors.timestamp',
  /** Ours: the number of bytes of a value that was too large to be produced again; the original is at topic, partition and offset. */
  omittedBytes: '__millrace.errors.omitted.bytes',
} as const

/** Why a record cannot be processed. */
export interface DeadLetterReason {
  /** A class of errors, for instance `UNDECODABLE`. */
  readonly exception: string
  /** A sentence without any of the record's content. */
  readonly message: string
  readonly stacktrace?: string
}

/**
 * A record's dead letter: its original key, value and headers, and where, when and why it failed. Its time is that of the failure, from which on the topic keeps it: by the
 * original's time, the letter of a record that waited for long would be deleted before anybody has seen it. Dead-letter topics have one partition.
 */
export function deadLetterOf(
  original: OriginalRecord,
  reason: DeadLetterReason,
  to: { readonly topic: string; readonly failedAtMs: number },
): OutgoingRecord {
  return {
    topic: to.topic,
    partition: 0,
    key: original.key,
    value: original.value,
    timestamp: to.failedAtMs,
    headers: [
      ...original.headers,
      textHeader(deadLetterHeaders.exception, reason.exception),
      textHeader(deadLetterHeaders.message, reason.message),
      textHeader(deadLetterHeaders.stacktrace, reason.stacktrace ?? ''),
      textHeader(deadLetterHeaders.topic, original.topic),
      textHeader(deadLetterHeaders.partition, String(original.partition)),
      textHeader(deadLetterHeaders.offset, String(original.offset)),
      textHeader(deadLetterHeaders.timestamp, String(original.timestamp)),
    ],
  }
}

/** A header with a text, cut to what a dead letter may carry. */
export function textHeader(key: string, text: string): RecordHeader {
  return { key, value: Buffer.from(text.slice(0, limits.deadLetterTextMax)) }
}
