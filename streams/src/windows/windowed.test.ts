import { expect, test } from 'vitest'
import { utf8 } from '../core/serde.ts'
import { windowedKey } from './windowed.ts'

test('a windowed key has the bytes of Kafka Streams and comes back', () => {
  const serde = windowedKey(utf8, { sizeMs: 10_000 })
  const windowed = { key: 'click', startMs: 1_763_731_200_000, endMs: 1_763_731_210_000 }
  const bytes = serde.write(windowed)
  expect(bytes.toString('hex')).toBe(
    `${Buffer.from('click').toString('hex')}${(1_763_731_200_000).toString(16).padStart(16, '0')}`,
  )
  expect(serde.read(bytes, 0, bytes.length)).toEqual(windowed)
  expect(() => serde.read(bytes, 0, 7)).toThrow('at least 8 bytes')
})
