import fc from 'fast-check'
import { expect, test } from 'vitest'
import { utf8 } from '../core/serde.ts'
import { changeSerde } from './change-serde.ts'

const serde = changeSerde(utf8)

function hex(value: string | null, old: string | null): string {
  return serde.write({ value, old, final: false }).toString('hex')
}

// Written by org.apache.kafka.streams.kstream.internals.ChangedSerializer 4.1.0.
test('a change has the bytes of Kafka Streams', () => {
  expect(hex('new', null)).toBe('6e657701')
  expect(hex(null, 'old')).toBe('6f6c6400')
  expect(hex('new', 'old')).toBe('066e65776f6c6402')
  expect(hex('', 'old')).toBe('006f6c6402')
  expect(hex('x'.repeat(200), 'y')).toBe(`9003${'78'.repeat(200)}7902`)
})

test('a change comes back, also from the middle of a buffer', () => {
  const text = fc.option(fc.string({ maxLength: 200 }))
  fc.assert(
    fc.property(text, text, (value, old) => {
      fc.pre(value !== null || old !== null)
      const bytes = Buffer.concat([Buffer.of(9, 9), serde.write({ value, old, final: false }), Buffer.of(2)])
      expect(serde.read(bytes, 2, bytes.length - 1)).toEqual({ value, old, final: false })
    }),
  )
})

test('what is no change is refused', () => {
  expect(() => serde.write({ value: null, old: null, final: false })).toThrow('a change needs a new or an old value')
  expect(() => serde.read(Buffer.of(7), 0, 1)).toThrow('a change ends with 0, 1 or 2, not 7')
  expect(() => serde.read(Buffer.of(8, 65, 2), 0, 3)).toThrow('a new value of 4 bytes passes the end by 3')
})
