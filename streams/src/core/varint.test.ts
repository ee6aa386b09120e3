import fc from 'fast-check'
import { expect, test } from 'vitest'
import { UvarintReader, uvarintBytes, writeUvarint } from './varint.ts'

test('bytes are LEB128', () => {
  const bytes = Buffer.alloc(10)
  expect(writeUvarint(bytes, 300, 0)).toBe(2)
  expect(bytes.subarray(0, 2).toString('hex')).toBe('ac02')
  expect(writeUvarint(bytes, Number.MAX_SAFE_INTEGER, 0)).toBe(8)
  expect(bytes.subarray(0, 8).toString('hex')).toBe('ffffffffffffff0f')
})

test('what is written is read again, and takes as many bytes as was said', () => {
  const numbers = fc.array(fc.maxSafeNat(), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(numbers, (values) => {
      const bytes = Buffer.alloc(values.length * 8)
      let end = 0
      for (const value of values) {
        const next = writeUvarint(bytes, value, end)
        expect(next - end).toBe(uvarintBytes(value))
        end = next
      }
      const reader = new UvarintReader()
      reader.reset(bytes, 0, end)
      expect(values.map(() => reader.next())).toEqual(values)
      expect(reader.at).toBe(end)
    }),
  )
})

test('refuses what is cut off or too large', () => {
  const reader = new UvarintReader()
  reader.reset(Buffer.from('ac', 'hex'), 0, 1)
  expect(() => reader.next()).toThrow('cut off')
  reader.reset(Buffer.alloc(10, 0xff), 0, 10)
  expect(() => reader.next()).toThrow('larger')
})
