import { createAPI, fetchV13, type Reader } from '@platformatic/kafka'
import type { AbortedTransaction } from '../core/broker.ts'
import { batchHeaderBytes, batchPosition } from '../core/record-batch-layout.ts'

/** One partition in a fetch response. */
export interface RawFetchedPartition {
  readonly topicId: string
  readonly partition: number
  readonly errorCode: number
  readonly highWatermark: number
  readonly lastStableOffset: number
  /** In the order of `firstOffset`. */
  readonly abortedTransactions: readonly AbortedTransaction[]
  /** Whole record batches; empty when nothing was there. */
  readonly bytes: Buffer
  /** Where to fetch on: after the last whole batch; −1 when there is none. */
  readonly nextOffset: number
}

/** A fetch response that keeps each partition's record batches as bytes. */
export interface RawFetchResponse {
  readonly errorCode: number
  readonly partitions: readonly RawFetchedPartition[]
}

const noBytes = Buffer.alloc(0)

const noAborted: readonly AbortedTransaction[] = []

/** Fetch (version 13: topics by id), whose response has no object per record. */
export const rawFetch = createAPI<Parameters<typeof fetchV13.createRequest>, RawFetchResponse>(
  1,
  13,
  fetchV13.createRequest,
  parseFetchResponse,
)

/*
 * Fetch response v13: throttle int32 · error int16 · session int32 · [topics] · tags
 *   topic: id uuid · [partitions] · tags
 *   partition: index int32 · error int16 · high watermark int64 · last stable offset int64 · log start int64
 *              · [aborted: producer id int64 · first offset int64 · tags] · preferred replica int32 · records · tags
 */
export function parseFetchResponse(
  _correlationId: number,
  _apiKey: number,
  _apiVersion: number,
  reader: Reader,
): RawFetchResponse {
  reader.readInt32()
  const errorCode = reader.readInt16()
  reader.readInt32()
  const partitions: RawFetchedPartition[] = []
  reader.readArray((topicReader) => {
    const topicId = topicReader.readUUID()
    topicReader.readArray((partitionReader) => {
      partitions.push(readPartition(partitionReader, topicId))
    })
  })
  return { errorCode, partitions }
}

function readPartition(reader: Reader, topicId: string): RawFetchedPartition {
  const partition = reader.readInt32()
  const errorCode = reader.readInt16()
  const highWatermark = Number(reader.readInt64())
  const lastStableOffset = Number(reader.readInt64())
  reader.readInt64()
  const aborted = reader.readNullableArray((r) => ({ producerId: r.readInt64(), firstOffset: Number(r.readInt64()) }))
  reader.readInt32()
  const all = reader.readNullableBytes() ?? noBytes
  const { end, nextOffset } = wholeBatches(all)
  // The broker lists them by their last offset; whoever reads forward needs them by their first.
  const abortedTransactions =
    aborted === null || aborted.length === 0 ? noAborted : aborted.sort((a, b) => a.firstOffset - b.firstOffset)
  return {
    topicId,
    partition,
    errorCode,
    highWatermark,
    lastStableOffset,
    abortedTransactions,
    bytes: all.subarray(0, end),
    nextOffset,
  }
}

/** Where the last whole batch ends, and the offset after it; brokers cut the response at its byte bound. */
function wholeBatches(bytes: Buffer): { readonly end: number; readonly nextOffset: number } {
  let end = 0
  let nextOffset = -1
  while (end + batchHeaderBytes <= bytes.length) {
    const next = end + batchPosition.afterLength + bytes.readInt32BE(end + batchPosition.length)
    if (next > bytes.length || next < end + batchHeaderBytes) break
    nextOffset = Number(bytes.readBigInt64BE(end)) + bytes.readInt32BE(end + batchPosition.lastOffsetDelta) + 1
    end = next
  }
  return { end, nextOffset }
}
