import type { RecordCodec } from '@millrace/schemas'
import type { ByteBudget } from './byte-budget.ts'
import type { Durability, RecordSender, TopicWriter } from './ports.ts'
import { type PartitionOf, RecordEncoder } from './record-encoder.ts'

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
  options: { readonly budget: ByteBudget; readonly partitionOf: PartitionOf },
): TopicWriter<T> {
  const { budget, partitionOf } = options

  async function send({ records, bytes: ofRecords }: RecordEncoder<T>): Promise<Durability> {
    const bytes = ofRecords + records.length * recordOverheadBytes
    budget.take(bytes)
    try {
      return await sender.send(records)
    } finally {
      budget.give(bytes)
    }
  }

  return {
    // Apart from what waits for the answer, so that the values are not kept alive for so long.
    async write(values) {
      const encoder = new RecordEncoder(plan, partitionOf, values.length)
      for (const value of values) encoder.add(value)
      return send(encoder)
    },
    begin() {
      const encoder = new RecordEncoder(plan, partitionOf)
      return {
        add: (value) => encoder.add(value),
        write: async () => (encoder.records.length === 0 ? 'kafka' : await send(encoder)),
      }
    },
  }
}
