import fc from 'fast-check'
import { expect, test } from 'vitest'
import { internedUtf8 } from './interned-text.ts'

test('reads what UTF-8 says, whatever was read before', () => {
  const serde = internedUtf8()
  const text = fc.oneof(fc.constantFrom('click', 'purchase', 'é', ''), fc.string({ unit: 'grapheme', maxLength: 100 }))
  fc.assert(
    fc.property(fc.array(text, { maxLength: 50 }), (texts) => {
      for (const one of texts) {
        const bytes = Buffer.from(`<${one}>`)
        expect(serde.read(bytes, 1, bytes.length - 1)).toBe(bytes.toString('utf8', 1, bytes.length - 1))
      }
    }),
  )
})

test('keeps no view of the bytes it was given', () => {
  const serde = internedUtf8()
  const bytes = Buffer.from('click')
  serde.read(bytes, 0, 5)
  bytes.fill('x')
  expect(serde.read(bytes, 0, 5)).toBe('xxxxx')
  expect(serde.read(Buffer.from('click'), 0, 5)).toBe('click')
})
