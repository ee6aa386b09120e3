import { describe, expect, it } from 'vitest'
import { compressions } from '../core/compression.ts'
import { crc32c } from '../core/crc32c.ts'
import { compressedVectors } from '../core/record-batch-vectors.ts'
import { RecordCursor } from '../core/record-cursor.ts'
import { batchCodec } from './batch-codec.ts'

describe('batchCodec', () => {
  it.each(compressions)('inflates what it has deflated with %s', (compression) => {
    for (const bytes of [
      Buffer.from('a'),
      Buffer.alloc(200_000, 'records '),
      Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * i) % 251)),
    ]) {
      expect(batchCodec.decompress(compression, batchCodec.compress(compression, bytes)).equals(bytes)).toBe(true)
    }
  })

  it.each(Object.entries(compressedVectors))('reads what the Java client wrote with %s', (_compression, bytes) => {
    const cursor = new RecordCursor()
    const at = { topic: 't', partition: 0, fetchOffset: 0, highWatermark: 3, lastStableOffset: 3 }
    cursor.reset({ ...at, bytes, abortedTransactions: [], codec: batchCodec })
    const values: string[] = []
    while (cursor.next())
      values.push(cursor.valueStart < 0 ? 'null' : cursor.bytes.toString('utf8', cursor.valueStart, cursor.valueEnd))
    expect(values).toEqual(['value', 'null', 'a longer value '.repeat(12)])
  })

  it.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)('says so when %s cannot be inflated', (compression) => {
    expect(() => batchCodec.decompress(compression, Buffer.from('not compressed at all'))).toThrow('CORRUPT_BATCH')
  })

  it('computes the checksum of the plain one', () => {
    for (const bytes of [Buffer.from('some bytes of a record batch'), Buffer.alloc(1_000, 'a larger batch ')]) {
      expect(batchCodec.crc32c(bytes)).toBe(crc32c(bytes))
      expect(batchCodec.crc32c(bytes.subarray(5))).toBe(crc32c(bytes.subarray(5)))
    }
  })
})
