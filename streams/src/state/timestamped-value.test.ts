import fc from 'fast-check'
import { expect, it } from 'vitest'
import { timestampedValue, timestampOfRow, valueOfRow } from './timestamped-value.ts'

it('has the bytes that Kafka Streams writes', () => {
  expect(timestampedValue(Buffer.from('x'), 1_700_000_010_000).toString('hex')).toBe('0000018bcfe58f1078')
  expect(timestampedValue(Buffer.from('x'), -1).toString('hex')).toBe('ffffffffffffffff78')
})

it('round-trips', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER }), (bytes, timestamp) => {
      const row = timestampedValue(Buffer.from(bytes), timestamp)
      expect(timestampOfRow(row)).toBe(timestamp)
      expect(valueOfRow(row).equals(Buffer.from(bytes))).toBe(true)
    }),
  )
})
