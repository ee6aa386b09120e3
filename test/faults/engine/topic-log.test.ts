import { describe, expect, it } from 'vitest'
import { type BatchKind, batchesOf, committedBatches, type LoggedBatch } from './topic-log.ts'

/** A batch's header and one record of a marker's size behind it. */
function bytesOf(
  baseOffset: number,
  count: number,
  of: { attributes: number; producerId: bigint; marker?: number },
): Buffer {
  const bytes = Buffer.alloc(78)
  bytes.writeBigInt64BE(BigInt(baseOffset), 0)
  bytes.writeInt32BE(bytes.length - 12, 8)
  bytes.writeInt16BE(of.attributes, 21)
  bytes.writeInt32BE(count - 1, 23)
  bytes.writeBigInt64BE(of.producerId, 43)
  bytes.writeInt16BE(3, 51)
  bytes.writeInt16BE(of.marker ?? -1, 68)
  return bytes
}

function fetched(bytes: Buffer, fetchOffset = 0) {
  return {
    topic: 't',
    partition: 1,
    fetchOffset,
    bytes,
    highWatermark: 9,
    lastStableOffset: 9,
    abortedTransactions: [],
  }
}

describe('batchesOf', () => {
  const bytes = Buffer.concat([
    bytesOf(0, 2, { attributes: 0, producerId: -1n }),
    bytesOf(2, 3, { attributes: 0x10, producerId: 7n }),
    bytesOf(5, 1, { attributes: 0x30, producerId: 7n, marker: 0 }),
    bytesOf(6, 1, { attributes: 0x30, producerId: 8n, marker: 1 }),
  ])

  it('reads what the headers tell', () => {
    expect(batchesOf(fetched(bytes)).map(({ baseOffset, lastOffset, kind }) => [baseOffset, lastOffset, kind])).toEqual(
      [
        [0, 1, 'plain'],
        [2, 4, 'transactional'],
        [5, 5, 'abort'],
        [6, 6, 'commit'],
      ],
    )
    expect(batchesOf(fetched(bytes))[1]).toMatchObject({ topic: 't', partition: 1, producerId: 7n, producerEpoch: 3 })
  })

  it('leaves out what lies before the asked offset, and a batch that is cut off', () => {
    expect(batchesOf(fetched(bytes, 4)).map(({ baseOffset }) => baseOffset)).toEqual([2, 5, 6])
    expect(batchesOf(fetched(bytes.subarray(0, bytes.length - 1)))).toHaveLength(3)
  })
})

describe('committedBatches', () => {
  const batch = (baseOffset: number, producerId: bigint, kind: BatchKind): LoggedBatch => ({
    topic: 't',
    partition: 0,
    baseOffset,
    lastOffset: baseOffset,
    producerId,
    producerEpoch: 0,
    kind,
  })
  const offsets = (...batches: readonly LoggedBatch[]) => committedBatches(batches).map(({ baseOffset }) => baseOffset)

  it('keeps what a commit ended, and plain records, in the order of the log', () => {
    expect(
      offsets(
        batch(0, 1n, 'transactional'),
        batch(1, -1n, 'plain'),
        batch(2, 1n, 'transactional'),
        batch(3, 1n, 'commit'),
      ),
    ).toEqual([0, 1, 2])
  })

  it('drops what an abort ended, and what nothing ended', () => {
    expect(
      offsets(
        batch(0, 1n, 'transactional'),
        batch(1, 2n, 'transactional'),
        batch(2, 1n, 'abort'),
        batch(3, 1n, 'transactional'),
        batch(4, 2n, 'commit'),
      ),
    ).toEqual([1])
  })

  it('tells transactions of one producer apart', () => {
    expect(
      offsets(
        batch(0, 1n, 'transactional'),
        batch(1, 1n, 'abort'),
        batch(2, 1n, 'transactional'),
        batch(3, 1n, 'commit'),
      ),
    ).toEqual([2])
  })
})
