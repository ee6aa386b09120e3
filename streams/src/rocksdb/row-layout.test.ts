import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  decodeOffset,
  encodeOffset,
  keyOfRow,
  offsetKey,
  partitionBound,
  partitionOfKey,
  rowKey,
} from './row-layout.ts'

const partition = fc.integer({ min: 0, max: 2 ** 31 - 2 })
const key = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes))

it('has the bytes that earlier versions wrote', () => {
  expect(rowKey(258, Buffer.from('ab')).toString('hex')).toBe('00000102016162')
  expect(offsetKey(1).toString('latin1')).toBe('\0\0\0\u0001\0changelog-offset')
  expect(encodeOffset(2 ** 32 + 5).toString('hex')).toBe('0000000100000005')
})

it('keeps a partition within its bounds, and the order of keys', () => {
  fc.assert(
    fc.property(partition, key, key, (number, left, right) => {
      const row = rowKey(number, left)
      expect(keyOfRow(row).equals(left)).toBe(true)
      expect(partitionOfKey(row)).toBe(number)
      expect(Buffer.compare(partitionBound(number), offsetKey(number))).toBe(-1)
      expect(Buffer.compare(offsetKey(number), row)).toBe(-1)
      expect(Buffer.compare(row, partitionBound(number + 1))).toBe(-1)
      expect(Buffer.compare(row, rowKey(number, right))).toBe(Buffer.compare(left, right))
    }),
  )
})

it('round-trips offsets, and tells other bytes', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (offset) => {
      expect(decodeOffset(encodeOffset(offset))).toBe(offset)
    }),
  )
  expect(decodeOffset(Buffer.alloc(7))).toBeUndefined()
})
