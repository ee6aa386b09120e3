import { describe, expect, it } from 'vitest'
import { crc32c } from './crc32c.ts'

describe('crc32c', () => {
  // RFC 3720, appendix B.4, and the check value of the CRC catalogue.
  it.each([
    [Buffer.from('123456789'), 0xe3069283],
    [Buffer.alloc(32), 0x8a9136aa],
    [Buffer.alloc(32, 0xff), 0x62a8ab43],
    [Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
    [Buffer.alloc(0), 0],
  ])('of %j', (bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected)
  })

  it('is what one byte after the other gives, for every length and place', () => {
    const bytes = Buffer.from(Array.from({ length: 64 }, (_, i) => (i * 197 + 31) & 0xff))
    for (let start = 0; start < 9; start++)
      for (let end = start; end <= bytes.length; end++)
        expect(crc32c(bytes.subarray(start, end))).toBe(bitByBit(bytes.subarray(start, end)))
  })
})

/** The definition: each bit divided by the polynomial. */
function bitByBit(bytes: Buffer): number {
  let crc = -1
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}
