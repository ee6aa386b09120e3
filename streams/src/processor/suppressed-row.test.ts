import fc from 'fast-check'
import { expect, test } from 'vitest'
import { json, utf8 } from '../core/serde.ts'
import {
  readSuppressedRow,
  type SuppressedChange,
  suppressedKeyOfRow,
  suppressedRow,
  suppressedRowKey,
  suppressedTimeOfRow,
} from './suppressed-row.ts'

test('a row has the bytes that are drawn', () => {
  const headers = [
    { key: 'h', value: Buffer.from('v') },
    { key: 'n', value: null },
  ]
  const change = { value: 'new', old: 'old', final: true, timestamp: 2 ** 33 + 5, headers }
  expect(suppressedRow(change, utf8).toString('hex')).toBe(
    ['01', '07', '0000000200000005', '02', '0168', '0276', '016e', '00', '036e6577', '6f6c64'].join(''),
  )
  expect(suppressedRowKey(Buffer.from('k'), 2 ** 33 + 5).toString('hex')).toBe('00000002000000056b')
})

test('a row comes back', () => {
  const serde = json<number | string>()
  const value = fc.option(fc.oneof(fc.integer(), fc.string()))
  const header = fc.record({
    key: fc.string(),
    value: fc.option(fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))),
  })
  const change: fc.Arbitrary<SuppressedChange<number | string>> = fc.record({
    value,
    old: value,
    final: fc.boolean(),
    timestamp: fc.maxSafeNat(),
    headers: fc.array(header, { maxLength: 3 }),
  })
  fc.assert(
    fc.property(change, (one) => {
      expect(readSuppressedRow(suppressedRow(one, serde), serde)).toEqual(one)
    }),
  )
})

test('keys come back, and order by time, then by key bytes', () => {
  const at = fc.record({
    time: fc.maxSafeNat(),
    key: fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes)),
  })
  fc.assert(
    fc.property(at, at, (one, other) => {
      const [first, second] = [suppressedRowKey(one.key, one.time), suppressedRowKey(other.key, other.time)]
      expect(suppressedTimeOfRow(first)).toBe(one.time)
      expect(suppressedKeyOfRow(first)).toEqual(one.key)
      const order = Math.sign(one.time - other.time) || Buffer.compare(one.key, other.key)
      expect(Buffer.compare(first, second)).toBe(order)
    }),
  )
})

test('a row of another version is refused', () => {
  expect(() => readSuppressedRow(Buffer.of(2, 0), utf8)).toThrow('has version 1, not 2')
})
