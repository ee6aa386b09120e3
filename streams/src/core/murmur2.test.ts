import { expect, test } from 'vitest'
import { murmur2, partitionOfKey } from './murmur2.ts'

test('hashes as the Java client does', () => {
  // Vectors of org.apache.kafka.common.utils.UtilsTest#testMurmur2.
  expect(murmur2(Buffer.from('21'))).toBe(-973932308)
  expect(murmur2(Buffer.from('foobar'))).toBe(-790332482)
  expect(murmur2(Buffer.from('a-little-bit-long-string'))).toBe(-985981536)
  expect(murmur2(Buffer.from('a-little-bit-longer-string'))).toBe(-1486304829)
  expect(murmur2(Buffer.from('lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8'))).toBe(-58897971)
  expect(murmur2(Buffer.from('abc'))).toBe(479470107)
})

test('a partition is never negative', () => {
  for (const key of ['', '21', 'foobar', 'é', 'a'.repeat(1000)]) {
    const partition = partitionOfKey(Buffer.from(key), 7)
    expect(partition).toBeGreaterThanOrEqual(0)
    expect(partition).toBeLessThan(7)
  }
})

test('hashes a range of bytes as those bytes alone', () => {
  const bytes = Buffer.from('a-little-bit-long-string')
  for (let start = 0; start < 6; start++) {
    for (let end = start; end <= bytes.length; end++) {
      expect(murmur2(bytes, { start, end })).toBe(murmur2(bytes.subarray(start, end)))
    }
  }
})
