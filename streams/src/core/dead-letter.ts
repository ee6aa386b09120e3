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

/** A record's dead letter: its original key, value, time and headers, and where and why it failed. Dead-letter topics have one partition. */
export function deadLetterOf(original: OriginalRecord, reason: DeadLetterReason, topic: string): OutgoingRecord {
  return {
    topic,
    partition: 0,
    key: original.key,
    value: original.value,
    timestamp: original.timestamp,
    headers: [
      ...original.headers,
      textHeader(deadLetterHeaders.exception, reason.exception),
      textHeader(deadLetterHeaders.message, reason.message),
      textHeader(deadLetterHeaders.stacktrace, reason.stacktrace ?? ''),
      textHeader(deadLetterHeaders.topic, original.topic),
      textHeader(deadLetterHeaders.partition, String(original.partition)),
      textHeader(deadLetterHeaders.offset, String(original.offset)),
    ],
  }
}

/** A header with a text, cut to what a dead letter may carry. */
export function textHeader(key: string, text: string): RecordHeader {
  return { key, value: Buffer.from(text.slice(0, limits.deadLetterTextMax)) }
}
