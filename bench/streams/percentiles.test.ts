import { describe, expect, it } from 'vitest'
import { percentilesOf } from './percentiles.ts'

describe('percentilesOf', () => {
  it('takes the nearest rank', () => {
    const values = Array.from({ length: 200 }, (_, i) => 200 - i)
    expect(percentilesOf(values)).toEqual({ p50: 100, p95: 190, p99: 198, max: 200 })
    expect(percentilesOf([7])).toEqual({ p50: 7, p95: 7, p99: 7, max: 7 })
  })

  it('has none of nothing', () => {
    expect(() => percentilesOf([])).toThrow(RangeError)
  })
})
