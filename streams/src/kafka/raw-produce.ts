import { createAPI, type Reader, Writer } from '@platformatic/kafka'
import type { TopicPartition } from '../core/broker.ts'

/** A finished record batch on its way to a partition. */
export interface ProduceEntry extends TopicPartition {
  readonly bytes: Buffer
}

/** What the broker says of one partition's batch. */
export interface ProduceResult extends TopicPartition {
  readonly errorCode: number
  /** −1 when the broker does not know it (any more). */
  readonly baseOffset: number
  readonly message: string | null
}

/** Waits for all in-sync replicas. */
const acksAll = -1

/** Produce with finished batches, at most one per partition. Version 9; 12 adds the partitions to the transaction by itself (KIP-890). */
export const rawProduce = {
  v9: createAPI<[string | null, number, readonly ProduceEntry[]], readonly ProduceResult[]>(
    0,
    9,
    createProduceRequest,
    parseProduceResponse,
  ),
  v12: createAPI<[string | null, number, readonly ProduceEntry[]], readonly ProduceResult[]>(
    0,
    12,
    createProduceRequest,
    parseProduceResponse,
  ),
}

/*
 * Produce request v9: transactional id · acks int16 · timeout int32 · [topic name · [partition int32 · records · tags] · tags] · tags
 */
function createProduceRequest(
  transactionalId: string | null,
  timeoutMs: number,
  entries: readonly ProduceEntry[],
): Writer {
  const topics = new Map<string, ProduceEntry[]>()
  for (const entry of entries) {
    const known = topics.get(entry.topic)
    if (known === undefined) topics.set(entry.topic, [entry])
    else known.push(entry)
  }
  return Writer.create()
    .appendString(transactionalId)
    .appendInt16(acksAll)
    .appendInt32(timeoutMs)
    .appendArray([...topics], (writer, [topic, partitions]) => {
      writer.appendString(topic).appendArray(partitions, (w, { partition, bytes }) => {
        w.appendInt32(partition).appendBytes(bytes)
      })
    })
    .appendTaggedFields()
}

/*
 * Produce response v9: [topic name · [partition int32 · error int16 · base offset int64 · append time int64 · log start int64
 *                      · [index int32 · message · tags] · message · tags] · tags] · throttle int32 · tags
 */
function parseProduceResponse(
  _correlationId: number,
  _apiKey: number,
  _apiVersion: number,
  reader: Reader,
): readonly ProduceResult[] {
  const results: ProduceResult[] = []
  reader.readArray((topicReader) => {
    const topic = topicReader.readString()
    topicReader.readArray((r) => {
      const partition = r.readInt32()
      const errorCode = r.readInt16()
      const baseOffset = Number(r.readInt64())
      r.readInt64()
      r.readInt64()
      const recordErrors = r.readArray((e) => {
        e.readInt32()
        return e.readNullableString()
      })
      const message = r.readNullableString() ?? recordErrors[0] ?? null
      results.push({ topic, partition, errorCode, baseOffset, message })
    })
  })
  return results
}
