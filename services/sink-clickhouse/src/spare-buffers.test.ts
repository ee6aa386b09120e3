import { describe, expect, it } from 'vitest'
import { SpareBuffers } from './spare-buffers.ts'

describe('SpareBuffers', () => {
  it('hands a buffer out again that is large enough, and to one taker only', () => {
    const spares = new SpareBuffers(2)
    const first = spares.take(1_000_000)
    expect(first.length).toBeGreaterThanOrEqual(1_000_000)
    spares.give(first)
    expect(spares.take(1_000_100)).toBe(first)
    expect(spares.take(1_000_000)).not.toBe(first)
  })

  it('keeps the largest, and gives the smallest that will do', () => {
    const spares = new SpareBuffers(2)
    const [small, middle, large] = [Buffer.alloc(10), Buffer.alloc(20), Buffer.alloc(30)]
    for (const buffer of [large, small, middle]) spares.give(buffer)
    expect(spares.take(5)).toBe(middle)
    expect(spares.take(25)).toBe(large)
    expect(spares.take(5)).not.toBe(small)
  })
})
