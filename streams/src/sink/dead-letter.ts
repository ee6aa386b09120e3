import type { Producer } from '../core/broker.ts'
import { hasCode } from '../core/errors.ts'
import type { OutgoingRecord, RecordHeader } from '../core/record.ts'
import { sinkLimits } from './limits.ts'
import type { SinkBatch } from './sink-batch.ts'

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
export function deadLetter(options: {
  readonly topic: string
  readonly batch: SinkBatch
  readonly row: number
  readonly reason: DeadLetterReason
}): OutgoingRecord {
  const { topic, batch, row, reason } = options
  return {
    topic,
    partition: 0,
    key: batch.key(row),
    value: batch.value(row),
    timestamp: batch.timestamp(row),
    headers: [
      ...batch.headers(row),
      textHeader(deadLetterHeaders.exception, reason.exception),
      textHeader(deadLetterHeaders.message, reason.message),
      textHeader(deadLetterHeaders.stacktrace, reason.stacktrace ?? ''),
      textHeader(deadLetterHeaders.topic, batch.topic),
      textHeader(deadLetterHeaders.partition, String(batch.partition)),
      textHeader(deadLetterHeaders.offset, String(batch.offset(row))),
    ],
  }
}

/**
 * Produces dead letters; resolves when all are acknowledged. One that is too large with its headers goes without its value, and says so: it must not
 * block its partition for ever. Throws what `Producer.send` throws otherwise.
 */
export async function sendDeadLetters(producer: Producer, letters: readonly OutgoingRecord[]): Promise<void> {
  if (letters.length === 0) return
  try {
    await producer.send(letters)
  } catch (error) {
    if (!hasCode(error, 'RECORD_TOO_LARGE')) throw error
    for (const letter of letters) await sendOne(producer, letter)
  }
}

async function sendOne(producer: Producer, letter: OutgoingRecord): Promise<void> {
  try {
    await producer.send([letter])
  } catch (error) {
    if (!hasCode(error, 'RECORD_TOO_LARGE')) throw error
    const omitted = textHeader(deadLetterHeaders.omittedBytes, String(letter.value?.length ?? 0))
    await producer.send([{ ...letter, value: null, headers: [...(letter.headers ?? []), omitted] }])
  }
}

function textHeader(key: string, text: string): RecordHeader {
  return { key, value: Buffer.from(text.slice(0, sinkLimits.deadLetterTextMax)) }
}
