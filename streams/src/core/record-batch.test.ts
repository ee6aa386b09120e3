import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { keyBytes, type OutgoingRecord, SlicedRecord, valueBytes } from './record.ts'
import { encodeRecordBatch, RecordBatchBuilder, soloBatchBytes } from './record-batch.ts'
import { batchPosition } from './record-batch-layout.ts'
import { plainVector } from './record-batch-vectors.ts'
import { RecordCursor } from './record-cursor.ts'

const threeRecords: readonly OutgoingRecord[] = [
  {
    topic: 't',
    partition: 0,
    key: Buffer.from('key'),
    value: Buffer.from('value'),
    timestamp: 1700000000000,
    headers: [
      { key: 'name', value: Buffer.from('value') },
      { key: 'name', value: null },
      { key: 'ünï', value: Buffer.alloc(0) },
    ],
  },
  { topic: 't', partition: 0, key: null, value: null, timestamp: 1699999999000 },
  {
    topic: 't',
    partition: 0,
    key: Buffer.alloc(0),
    value: Buffer.from('a longer value '.repeat(12)),
    timestamp: 1700000500000,
  },
]

const someBytes = fc.oneof(
  fc.constant(null),
  fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
)

const someRecord: fc.Arbitrary<OutgoingRecord> = fc.record({
  topic: fc.constant('t'),
  partition: fc.constant(0),
  key: someBytes,
  value: someBytes,
  timestamp: fc.oneof(
    fc.integer({ min: 0, max: 2 ** 48 }),
    fc.integer({ min: 1_700_000_000_000, max: 1_700_000_001_000 }),
    fc.constant(-1),
  ),
  headers: fc.array(fc.record({ key: fc.string({ unit: 'grapheme', maxLength: 10 }), value: someBytes }), {
    maxLength: 3,
  }),
})

describe('encodeRecordBatch', () => {
  it('writes the bytes of the Java client', () => {
    const producer = {
      id: Number(plainVector.readBigInt64BE(batchPosition.producerId)),
      epoch: 0,
      baseSequence: 0,
      transactional: false,
    }
    const batch = encodeRecordBatch(threeRecords, { producer })
    batch.writeInt32BE(0, batchPosition.leaderEpoch) // the broker has set it
    expect(batch.toString('hex')).toBe(plainVector.toString('hex'))
  })

  it.each(['none', 'gzip', 'zstd'] as const)('comes back through the cursor, with compression %s', (compression) => {
    fc.assert(
      fc.property(
        fc.array(someRecord, { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 0, max: 25 }),
        (records, from) => {
          const bytes = encodeRecordBatch(records, { compression })
          const cursor = new RecordCursor()
          cursor.reset({
            topic: 't',
            partition: 0,
            fetchOffset: from,
            bytes,
            highWatermark: 0,
            lastStableOffset: 0,
            abortedTransactions: [],
          })
          const read: OutgoingRecord[] = []
          for (let offset = from; cursor.next(); offset++) {
            expect(cursor.offset).toBe(offset)
            expect(cursor.nextOffset).toBe(offset + 1)
            read.push({
              topic: 't',
              partition: 0,
              key: cursor.keyStart < 0 ? null : Buffer.from(cursor.bytes.subarray(cursor.keyStart, cursor.keyEnd)),
              value:
                cursor.valueStart < 0 ? null : Buffer.from(cursor.bytes.subarray(cursor.valueStart, cursor.valueEnd)),
              timestamp: cursor.timestamp,
              headers: cursor.headers(),
            })
          }
          expect(read).toEqual(records.slice(from))
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('SlicedRecord', () => {
  it('is written as the same record with buffers of its own', () => {
    const bytesOf = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
    fc.assert(
      fc.property(fc.array(fc.tuple(bytesOf, bytesOf), { minLength: 1, maxLength: 20 }), (pairs) => {
        const plain = pairs.map(([key, value], i) => ({ topic: 't', partition: 1, key, value, timestamp: i }))
        const sliced = pairs.map(([key, value], i) => {
          const record = new SlicedRecord('t', 1, i)
          // The key lies behind the value here, and bytes of others around both.
          record.bytes = Buffer.concat([Buffer.of(1), value, key, Buffer.of(2)])
          record.valueStart = 1
          record.valueEnd = 1 + value.length
          record.keyStart = record.valueEnd
          record.keyEnd = record.keyStart + key.length
          return record
        })
        expect(encodeRecordBatch(sliced)).toEqual(encodeRecordBatch(plain))
        expect(sliced.map(({ key, value }) => [key, value])).toEqual(pairs)
        expect(sliced.map((record) => [keyBytes(record), valueBytes(record)])).toEqual(
          pairs.map(([key, value]) => [key.length, value.length]),
        )
      }),
    )
  })
})

describe('RecordBatchBuilder', () => {
  it('never passes the bound, and refuses exactly what would', () => {
    fc.assert(
      fc.property(
        fc.array(someRecord, { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 80, max: 1500 }),
        (records, bytesMax) => {
          const builder = new RecordBatchBuilder()
          const taken: OutgoingRecord[] = []
          for (const record of records) {
            const before = builder.bytes
            if (builder.append(record, bytesMax)) taken.push(record)
            else expect(builder.bytes).toBe(before)
            expect(builder.bytes).toBeLessThanOrEqual(bytesMax)
            if (soloBatchBytes(record) > bytesMax) expect(taken).not.toContain(record)
          }
          expect(builder.count).toBe(taken.length)
          if (taken.length > 0) expect(builder.build().toString('hex')).toBe(encodeRecordBatch(taken).toString('hex'))
        },
      ),
    )
  })

  it('counts what a record alone takes', () => {
    fc.assert(fc.property(someRecord, (record) => encodeRecordBatch([record]).length === soloBatchBytes(record)))
  })
})
