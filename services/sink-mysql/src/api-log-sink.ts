import type { ApiLog } from '@millrace/schemas'
import type { ApiLogRepository, Rejection } from '@millrace/storage/mysql'
import { type BatchSink, type Producer, type SinkBatch, sendDeadLetters } from '@millrace/streams/sink'
import { deadLettersOf } from './dead-letters.ts'
import type { BatchDecoder, DecodedBatch } from './decode-batch.ts'

/** What the sink of API logs needs. */
export interface ApiLogSinkOptions {
  readonly group: string
  readonly logs: Pick<ApiLogRepository, 'storeBatch'>
  readonly decode: BatchDecoder<ApiLog>
  readonly producer: Producer
  readonly deadLetterTopic: string
  readonly nowMs: () => number
  /** Told when dead letters are acknowledged. */
  readonly onDeadLetters: (reason: string, count: number) => void
}

/** Stores API logs, request and response together, and sends what was refused to the dead-letter topic. Repeating a write changes nothing in the database. */
export function createApiLogSink(options: ApiLogSinkOptions): BatchSink {
  const { decode, logs, group, producer, deadLetterTopic, nowMs, onDeadLetters } = options
  const stored = new WeakMap<
    SinkBatch,
    { readonly poison: DecodedBatch<ApiLog>['poison']; readonly rejections: readonly Rejection[] }
  >()

  async function store(batch: SinkBatch) {
    const { values, poison } = await decode(batch)
    const { topic, partition, firstOffset, nextOffset } = batch
    const range = { group, topic, partition, firstOffset, nextOffset, settledOffset: firstOffset }
    return { poison, rejections: await logs.storeBatch(range, values) }
  }

  return {
    async write(batch) {
      const done = stored.get(batch) ?? (await store(batch))
      stored.set(batch, done)
      const letters = deadLettersOf({ topic: deadLetterTopic, batch, ...done, failedAtMs: nowMs() })
      await sendDeadLetters(producer, letters)
      for (const { reason } of done.poison) onDeadLetters(reason.exception, 1)
      if (done.rejections.length > 0) onDeadLetters('ROW_REFUSED', done.rejections.length)
    },
  }
}
