import { describe, expect, it } from 'vitest'
import type { FetchedBatches } from './broker.ts'
import { hasCode } from './errors.ts'
import { encodeControlBatch, encodeRecordBatch, placeBatch } from './record-batch.ts'
import { batchPosition } from './record-batch-layout.ts'
import {
  appendTimeMs,
  appendTimeVector,
  compressedVectors,
  plainVector,
  transactionsProducerId,
  transactionsVector,
} from './record-batch-vectors.ts'
import { RecordCursor } from './record-cursor.ts'

function fetched(bytes: Buffer, rest: Partial<FetchedBatches> = {}): FetchedBatches {
  return {
    topic: 't',
    partition: 3,
    fetchOffset: 0,
    bytes,
    highWatermark: 0,
    lastStableOffset: 0,
    abortedTransactions: [],
    ...rest,
  }
}

/** Offset, timestamp, key, value of every record, and where to go on. */
function readAll(batches: FetchedBatches, cursor = new RecordCursor()) {
  cursor.reset(batches)
  const records: (readonly [number, number, string | null, string | null])[] = []
  while (cursor.next()) {
    const { bytes, offset, timestamp, keyStart, keyEnd, valueStart, valueEnd } = cursor
    const key = keyStart < 0 ? null : bytes.toString('utf8', keyStart, keyEnd)
    records.push([offset, timestamp, key, valueStart < 0 ? null : bytes.toString('utf8', valueStart, valueEnd)])
  }
  return { records, nextOffset: cursor.nextOffset }
}

function batchAt(
  baseOffset: number,
  values: readonly string[],
  producer?: { readonly id: number; readonly transactional: boolean },
): Buffer {
  const records = values.map((value) => ({
    topic: 't',
    partition: 3,
    key: null,
    value: Buffer.from(value),
    timestamp: 5,
  }))
  const batch = encodeRecordBatch(
    records,
    producer === undefined ? {} : { producer: { ...producer, epoch: 0, baseSequence: 0 } },
  )
  placeBatch(batch, baseOffset)
  return batch
}

function markerAt(baseOffset: number, type: 'commit' | 'abort', id: number): Buffer {
  const batch = encodeControlBatch(type, { id, epoch: 0 }, 5)
  placeBatch(batch, baseOffset)
  return batch
}

const threeRecords = [
  [0, 1700000000000, 'key', 'value'],
  [1, 1699999999000, null, null],
  [2, 1700000500000, '', 'a longer value '.repeat(12)],
]

describe('RecordCursor', () => {
  it.each([
    ['no compression', plainVector],
    ['gzip', compressedVectors.gzip],
    ['zstd', compressedVectors.zstd],
  ])('reads what the Java client wrote with %s', (_name, bytes) => {
    expect(readAll(fetched(bytes))).toEqual({ records: threeRecords, nextOffset: 3 })
  })

  it('reads headers, and hands out copies', () => {
    const cursor = new RecordCursor()
    const bytes = Buffer.from(plainVector)
    cursor.reset(fetched(bytes))
    cursor.next()
    const headers = cursor.headers()
    expect(cursor.headers()).toEqual(headers)
    bytes.fill(0)
    expect(headers).toEqual([
      { key: 'name', value: Buffer.from('value') },
      { key: 'name', value: null },
      { key: 'ünï', value: Buffer.alloc(0) },
    ])
  })

  it("takes the broker's time where the topic says so", () => {
    const { records } = readAll(fetched(appendTimeVector))
    expect(records.map(([, timestamp]) => timestamp)).toEqual([appendTimeMs, appendTimeMs, appendTimeMs])
  })

  it('passes control batches and aborted transactions', () => {
    const committed = { abortedTransactions: [{ producerId: transactionsProducerId, firstOffset: 0 }] }
    expect(readAll(fetched(transactionsVector, committed))).toEqual({
      records: [[2, 1700000000001, 'k', 'committed']],
      nextOffset: 4,
    })
    expect(readAll(fetched(transactionsVector)).records.map(([offset]) => offset)).toEqual([0, 2])
  })

  it('tells transactions of the same and of other producers apart', () => {
    const [one, other] = [
      { id: 1, transactional: true },
      { id: 2, transactional: true },
    ]
    const bytes = Buffer.concat([
      batchAt(0, ['aborted'], one),
      batchAt(1, ['plain']),
      batchAt(2, ['committed'], other),
      batchAt(3, ['aborted too'], one),
      markerAt(4, 'abort', 1),
      batchAt(5, ['committed then'], one),
      markerAt(6, 'commit', 2),
      markerAt(7, 'commit', 1),
      batchAt(8, ['aborted again'], one),
      markerAt(9, 'abort', 1),
    ])
    const abortedTransactions = [
      { producerId: 1n, firstOffset: 0 },
      { producerId: 1n, firstOffset: 8 },
    ]
    const { records, nextOffset } = readAll(fetched(bytes, { abortedTransactions }))
    expect(records.map(([, , , value]) => value)).toEqual(['plain', 'committed', 'committed then'])
    expect(nextOffset).toBe(10)
  })

  it('begins where it was asked to, and tells where to go on after each record', () => {
    const bytes = Buffer.concat([batchAt(10, ['10', '11', '12']), batchAt(13, ['13'])])
    const cursor = new RecordCursor()
    cursor.reset(fetched(bytes, { fetchOffset: 11 }))
    const seen: number[][] = [[-1, cursor.nextOffset]]
    while (cursor.next()) seen.push([cursor.offset, cursor.nextOffset])
    expect(seen).toEqual([
      [-1, 11],
      [11, 12],
      [12, 13],
      [13, 14],
    ])
  })

  it('goes on past what compaction has removed', () => {
    const batch = batchAt(20, ['kept'])
    batch.writeInt32BE(9, batchPosition.lastOffsetDelta)
    expect(readAll(fetched(batch, { fetchOffset: 20, codec: trustingCodec(batch) }))).toEqual({
      records: [[20, 5, null, 'kept']],
      nextOffset: 30,
    })
  })

  it('does not move on without batches', () => {
    expect(readAll(fetched(Buffer.alloc(0), { fetchOffset: 7 }))).toEqual({ records: [], nextOffset: 7 })
    expect(new RecordCursor().next()).toBe(false)
  })

  it('leaves out a batch that is cut off, wherever it is cut', () => {
    const bytes = Buffer.concat([batchAt(0, ['a', 'b']), batchAt(2, ['c'])])
    const first = batchAt(0, ['a', 'b']).length
    for (let end = first; end < bytes.length; end++) {
      const { records, nextOffset } = readAll(fetched(bytes.subarray(0, end)))
      expect([records.length, nextOffset]).toEqual([2, 2])
    }
  })

  it('can be used again after anything', () => {
    const cursor = new RecordCursor()
    cursor.reset(fetched(compressedVectors.gzip))
    cursor.next()
    expect(readAll(fetched(batchAt(0, ['x', 'y'])), cursor).records.map(([, , , value]) => value)).toEqual(['x', 'y'])
  })

  it('notices any changed byte that the checksum covers', () => {
    for (let at = batchPosition.attributes; at < plainVector.length; at++) {
      const bytes = Buffer.from(plainVector)
      bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at)
      expectCorrupt(bytes)
    }
  })

  it('says where a batch is corrupt', () => {
    const old = Buffer.from(plainVector)
    old.writeInt8(1, batchPosition.magic)
    expectCorrupt(old)
    const short = Buffer.from(plainVector)
    short.writeInt32BE(3, batchPosition.length)
    expectCorrupt(short)
  })

  it('does not read beyond a record that lies about its lengths', () => {
    const right = batchAt(0, ['value'])
    for (let at = 61; at < right.length; at++) {
      for (const lie of [0x7f, 0xff, 0x01]) {
        const bytes = Buffer.from(right)
        bytes.writeUInt8(lie, at)
        // With its checksum made right: the lie is the producer's.
        const batches = fetched(bytes, { codec: trustingCodec(bytes) })
        try {
          const { records } = readAll(batches)
          for (const [, , , value] of records) expect((value ?? '').length).toBeLessThanOrEqual(right.length)
        } catch (error) {
          expect(hasCode(error, 'CORRUPT_BATCH')).toBe(true)
        }
      }
    }
  })

  describe('with an end', () => {
    const five = ['a', 'b', 'c', 'd', 'e']

    it('reads nothing from there on, and is to go on from there', () => {
      const bytes = Buffer.concat([batchAt(10, five), batchAt(15, five)])
      const upTo = (endOffset: number) => {
        const { records, nextOffset } = readAll(fetched(bytes, { fetchOffset: 11, endOffset }))
        return { offsets: records.map(([offset]) => offset), nextOffset }
      }
      expect(upTo(13)).toEqual({ offsets: [11, 12], nextOffset: 13 })
      expect(upTo(15)).toEqual({ offsets: [11, 12, 13, 14], nextOffset: 15 })
      expect(upTo(16)).toEqual({ offsets: [11, 12, 13, 14, 15], nextOffset: 16 })
      expect(upTo(99)).toMatchObject({ nextOffset: 20 })
    })

    it('is not carried past it by what is not returned', () => {
      const producer = { id: 9, transactional: true }
      const bytes = Buffer.concat([batchAt(0, five, producer), markerAt(5, 'abort', 9)])
      const abortedTransactions = [{ producerId: 9n, firstOffset: 0 }]
      expect(readAll(fetched(bytes, { abortedTransactions, endOffset: 3 }))).toEqual({ records: [], nextOffset: 3 })
    })

    it('does not carry over to the next fetch', () => {
      const cursor = new RecordCursor()
      readAll(fetched(batchAt(0, five), { endOffset: 2 }), cursor)
      expect(readAll(fetched(batchAt(0, five)), cursor).records).toHaveLength(5)
    })
  })
})

/** A codec that finds the checksum right, whatever the bytes. */
function trustingCodec(batch: Buffer) {
  return {
    crc32c: () => batch.readUInt32BE(batchPosition.crc),
    compress: (_compression: string, bytes: Buffer) => bytes,
    decompress: (_compression: string, bytes: Buffer) => bytes,
  }
}

function expectCorrupt(bytes: Buffer): void {
  try {
    readAll(fetched(bytes))
  } catch (error) {
    expect(error).toMatchObject({ code: 'CORRUPT_BATCH', topic: 't', partition: 3, offset: 0 })
    return
  }
  expect.unreachable('the batch is corrupt')
}
