import { describe, expect, it } from 'vitest'
import { defaultPartition, murmur2 } from './partitioner.ts'

describe('murmur2', () => {
  // The vectors of the Java client's UtilsTest.testMurmur2.
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('hashes %s as the Java client does', (text, expected) => {
    expect(murmur2(Buffer.from(text))).toBe(expected)
  })

  it('chooses partitions without a sign', () => {
    expect(defaultPartition(Buffer.from('21'), 7)).toBe((-973932308 & 0x7fffffff) % 7)
    expect(defaultPartition(Buffer.alloc(0), 1)).toBe(0)
  })
})
