import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PackedRecords, unpacked } from './packed-records.ts'
import { type OutgoingRecord, SlicedRecord } from './record.ts'
import { encodeRecordBatch, RecordBatchBuilder } from './record-batch.ts'

const bytes = fc.uint8Array({ maxLength: 120 }).map((array) => Buffer.from(array))
const record = fc.record({
  topic: fc.constantFrom('a', 'b', 'c'),
  partition: fc.nat(5),
  key: fc.option(bytes),
  value: fc.option(bytes),
  timestamp: fc.nat(2 ** 40),
  headers: fc.array(fc.record({ key: fc.string({ maxLength: 5 }), value: fc.option(bytes) }), { maxLength: 2 }),
})

function packed(records: readonly OutgoingRecord[], like?: PackedRecords): PackedRecords {
  const list = new PackedRecords(like)
  for (const each of records) list.push(each)
  return list
}

describe('packed records', () => {
  it('are the records that were added, in order, also when those were written over since', () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 60 }), (records) => {
        const expected = records.map((each) => ({ ...each, key: copyOf(each.key), value: copyOf(each.value) }))
        const list = packed(records)
        for (const { key, value } of records) {
          key?.fill(0)
          value?.fill(0)
        }
        expect(list.length).toBe(records.length)
        expect(unpacked(list)).toEqual(expected)
        expect(unpacked(packed(expected, list))).toEqual(expected)
      }),
    )
  })

  it('are written to a batch as those that they were made of', () => {
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 30 }), (records) => {
        const builder = new RecordBatchBuilder()
        packed(records).forEach((each) => {
          expect(each).toBeInstanceOf(SlicedRecord)
          builder.append(each, Number.MAX_SAFE_INTEGER)
        })
        expect(builder.build()).toEqual(encodeRecordBatch(records))
      }),
    )
  })

  it('count the bytes of keys and values', () => {
    const of = { topic: 't', partition: 0, timestamp: 0 }
    expect(packed([]).bytes).toBe(0)
    expect(
      packed([
        { ...of, key: Buffer.alloc(3), value: Buffer.alloc(2_000) },
        { ...of, key: null, value: null },
      ]).bytes,
    ).toBe(2_003)
  })
})

function copyOf(of: Buffer | null): Buffer | null {
  return of === null ? null : Buffer.from(of)
}
