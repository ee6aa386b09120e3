import { describe, expect, it } from 'vitest'
import { spillPauseMsMax } from '../limits.ts'
import { restMs } from './replay-pace.ts'

describe('the pace of the replay', () => {
  it('leaves half of the time to others when little is appended', () => {
    expect(restMs({ tookMs: 30, replayedBytes: 1_000, shrunkBytes: 1_000 })).toBe(30)
    expect(restMs({ tookMs: 30_000, replayedBytes: 1_000, shrunkBytes: 1_000 })).toBe(spillPauseMsMax)
  })

  it.each([0, 0.1, 0.24, 0.26, 0.5, 0.75, 0.9])('empties the log when %d of what it can is appended', (share) => {
    const stepBytes = 1_000
    const stepMs = 20
    const appendedPerMs = (share * stepBytes) / stepMs
    let log = 100 * stepBytes
    let ms = 0
    // Without rest it is empty in a third of this.
    const msMax = (3 * ((log / stepBytes) * stepMs)) / (1 - share)
    while (log > 0 && ms <= msMax) {
      const before = log
      log += appendedPerMs * stepMs - stepBytes
      const rest = restMs({ tookMs: stepMs, replayedBytes: stepBytes, shrunkBytes: before - log })
      log += appendedPerMs * rest
      ms += stepMs + rest
    }
    expect(log).toBeLessThanOrEqual(0)
  })
})
