import { describe, expect, it } from 'vitest'
import { backoffMs, retry, sleep } from './backoff.ts'

describe('backoffMs', () => {
  it('doubles up to the maximum and stays within the upper half', () => {
    const least = [1, 2, 3, 4, 5, 100].map((attempt) =>
      backoffMs(attempt, { baseMs: 100, maxMs: 1_000, random: () => 0 }),
    )
    const most = [1, 2, 3, 4, 5, 100].map((attempt) =>
      backoffMs(attempt, { baseMs: 100, maxMs: 1_000, random: () => 1 }),
    )
    expect(least).toEqual([50, 100, 200, 400, 500, 500])
    expect(most).toEqual([100, 200, 400, 800, 1_000, 1_000])
  })
})

describe('retry', () => {
  const waits: number[] = []
  const wait = async (ms: number) => {
    waits.push(ms)
  }

  it('repeats until success', async () => {
    const result = await retry(
      async (attempt) => {
        if (attempt < 3) throw new Error('not yet')
        return attempt
      },
      { wait, random: () => 1 },
    )
    expect(result).toBe(3)
    expect(waits).toEqual([100, 200])
  })

  it('throws the last error as it came when attempts, time or worth are used up', async () => {
    const failing = async () => Promise.reject(new Error('away'))
    await expect(retry(failing, { wait, attemptsMax: 2 })).rejects.toThrow('away')
    let nowMs = 0
    const nextMs = () => {
      nowMs += 400
      return nowMs
    }
    await expect(retry(failing, { wait, deadlineMs: 1_000, nowMs: nextMs })).rejects.toThrow('away')
    await expect(retry(failing, { wait, isRetryable: () => false })).rejects.toThrow('away')
  })

  it('gives up when the signal aborts', async () => {
    await expect(retry(async () => 1, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(sleep(60_000, AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORTED' })
  })
})
