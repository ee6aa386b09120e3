import { type FetchedBatches, partitionKey, type TopicPartition } from '../core/broker.ts'
import type { OutgoingRecord } from '../core/record.ts'
import { placeBatch, RecordBatchBuilder } from '../core/record-batch.ts'

/** What one batch of a fetch holds at most. */
const batchBytesMax = 1024 * 1024

/** The topics of a test driver: committed records only, in offset order, without gaps. */
export class DriverLog {
  readonly #topics = new Map<string, OutgoingRecord[][]>()

  /** Appends the record to its partition and returns the offset behind it. */
  append(record: OutgoingRecord): number {
    const partitions = this.#topics.get(record.topic) ?? []
    this.#topics.set(record.topic, partitions)
    while (partitions.length <= record.partition) partitions.push([])
    return partitions[record.partition]?.push(record) ?? 0
  }

  /** The partitions of a topic that have records, or lie before one that has. */
  partitionsOf(topic: string): readonly TopicPartition[] {
    return (this.#topics.get(topic) ?? []).map((_, partition) => ({ topic, partition }))
  }

  records(of: TopicPartition): readonly OutgoingRecord[] {
    return this.#topics.get(of.topic)?.[of.partition] ?? []
  }

  /** The records from `offset` on as a broker would give them; undefined when there are none. */
  fetch(of: TopicPartition, offset: number): FetchedBatches | undefined {
    const records = this.records(of)
    if (offset >= records.length) return undefined
    const batches: Buffer[] = []
    let builder = new RecordBatchBuilder()
    let baseOffset = offset
    for (const record of records.slice(offset)) {
      if (builder.append(record, batchBytesMax)) continue
      batches.push(batchAt(baseOffset, builder))
      baseOffset += builder.count
      builder = new RecordBatchBuilder()
      if (!builder.append(record, Number.MAX_SAFE_INTEGER))
        throw new RangeError(`a record at ${partitionKey(of)} fits into no batch`)
    }
    batches.push(batchAt(baseOffset, builder))
    return {
      topic: of.topic,
      partition: of.partition,
      fetchOffset: offset,
      bytes: Buffer.concat(batches),
      highWatermark: records.length,
      lastStableOffset: records.length,
      abortedTransactions: [],
    }
  }
}

/** The batch at its place in the log, as a broker stores it. */
function batchAt(baseOffset: number, builder: RecordBatchBuilder): Buffer {
  const bytes = builder.build()
  placeBatch(bytes, baseOffset)
  return bytes
}
