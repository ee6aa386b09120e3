import type { RecordCodec } from '@millrace/schemas'
import type { OutgoingRecord } from '@millrace/streams'
import type { ByteBudget } from './byte-budget.ts'
import { encodeAll } from './encode-all.ts'
import type { RecordSender, TopicWriter } from './ports.ts'

/** How values become records of a topic. */
export interface RecordPlan<T> {
  readonly topic: string
  readonly partitions: number
  readonly codec: Pick<RecordCodec<T>, 'encodeInto'>
  key(value: T): string
  /** The record's timestamp in Kafka, by which retention deletes: when the gateway took it in, never a time that a client chose. */
  timestampMs(value: T): number
}

/** A record's own cost in Kafka's client, on top of key and value. */
const recordOverheadBytes = 100

/** Makes the writer of one topic. `partitionOf` is Kafka's default partitioner. */
export function createTopicWriter<T>(
  plan: RecordPlan<T>,
  sender: RecordSender,
  options: { readonly budget: ByteBudget; readonly partitionOf: (key: Buffer, partitions: number) => number },
): TopicWriter<T> {
  const { topic, partitions, codec } = plan
  const { budget, partitionOf } = options

  function toRecords(values: readonly T[]): { records: OutgoingRecord[]; bytes: number } {
    const encoded = encodeAll(codec, values)
    const records: OutgoingRecord[] = new Array(values.length)
    let bytes = 0
    for (const [i, value] of values.entries()) {
      const key = Buffer.from(plan.key(value), 'utf8')
      const body = encoded[i] ?? null
      const partition = partitionOf(key, partitions)
      records[i] = { topic, partition, key, value: body, timestamp: plan.timestampMs(value) }
      bytes += key.length + (body?.length ?? 0) + recordOverheadBytes
    }
    return { records, bytes }
  }

  return {
    async write(values) {
      const { records, bytes } = toRecords(values)
      budget.take(bytes)
      try {
        return await sender.send(records)
      } finally {
        budget.give(bytes)
      }
    },
  }
}
