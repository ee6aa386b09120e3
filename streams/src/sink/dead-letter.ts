import type { Producer } from '../core/broker.ts'
import { type DeadLetterReason, deadLetterHeaders, deadLetterOf, textHeader } from '../core/dead-letter.ts'
import { hasCode } from '../core/errors.ts'
import type { OutgoingRecord } from '../core/record.ts'
import type { SinkBatch } from './sink-batch.ts'

/** A row's dead letter: its original key, value and headers, and where, when and why it failed. */
export function deadLetter(options: {
  readonly topic: string
  readonly batch: SinkBatch
  readonly row: number
  readonly reason: DeadLetterReason
  readonly failedAtMs: number
}): OutgoingRecord {
  const { topic, batch, row, reason, failedAtMs } = options
  const original = {
    topic: batch.topic,
    partition: batch.partition,
    offset: batch.offset(row),
    key: batch.key(row),
    value: batch.value(row),
    timestamp: batch.timestamp(row),
    headers: batch.headers(row),
  }
  return deadLetterOf(original, reason, { topic, failedAtMs })
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
