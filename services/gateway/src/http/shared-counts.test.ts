import { describe, expect, it } from 'vitest'
import { rateLimitLeaseMax, rateLimitStoreRetryMs, rateLimitWindowMs } from '../limits.ts'
import { type LeaseStore, SharedCounts } from './shared-counts.ts'

/** A store in memory that several gateways share, with one clock for all. */
function openTest() {
  const test = {
    nowMs: 1_000_000,
    failure: undefined as Error | undefined,
    asked: [] as number[],
    countedAlone: 0,
    lines: [] as string[],
  }
  const windows = new Map<string, { taken: number; endMs: number }>()
  const store: Pick<LeaseStore, 'take'> = {
    async take(key, { wanted, max }) {
      test.asked.push(wanted)
      if (test.failure !== undefined) throw test.failure
      let window = windows.get(key)
      if (window === undefined || test.nowMs >= window.endMs) {
        window = { taken: 0, endMs: test.nowMs + rateLimitWindowMs }
        windows.set(key, window)
      }
      const granted = Math.max(0, Math.min(wanted, max - window.taken))
      window.taken += granted
      return { granted, taken: window.taken, endsInMs: window.endMs - test.nowMs }
    },
  }
  const log = (_fields: unknown, line: string) => test.lines.push(line)
  const gateway = () =>
    new SharedCounts({
      store,
      nowMs: () => test.nowMs,
      logger: { info: log, warn: log },
      onCountedAlone: () => test.countedAlone++,
    })
  return { test, gateway }
}

describe('counting with others', () => {
  it('lets through what the limit says over all gateways, one by one when it is small', async () => {
    const { test, gateway } = openTest()
    const [one, two] = [gateway(), gateway()]
    const counts: number[] = []
    for (let i = 0; i < 8; i++) counts.push((await (i % 2 === 0 ? one : two).add('a', test.nowMs, 5)).count)
    expect(counts).toEqual([1, 2, 3, 4, 5, 6, 6, 6])
    // Both have learned that nothing is left, and ask no more until the window ends.
    const { length } = test.asked
    expect(one.add('a', test.nowMs, 5)).toEqual({ count: 6, endMs: test.nowMs + rateLimitWindowMs })
    expect(test.asked).toHaveLength(length)
    test.nowMs += rateLimitWindowMs
    expect(await two.add('a', test.nowMs, 5)).toEqual({ count: 1, endMs: test.nowMs + rateLimitWindowMs })
  })

  it('takes a thousandth of a large limit at a time, and counts on without a promise', async () => {
    const { test, gateway } = openTest()
    const counter = gateway()
    expect((await counter.add('a', test.nowMs, 10_000)).count).toBe(1)
    for (let i = 2; i <= 10; i++) expect(counter.add('a', test.nowMs, 10_000)).toMatchObject({ count: i })
    expect(await counter.add('a', test.nowMs, 10_000)).toMatchObject({ count: 11 })
    await counter.add('b', test.nowMs, 1e9)
    expect(test.asked).toEqual([10, 10, rateLimitLeaseMax])
  })

  it('asks once for all that wait, and refuses those for whom nothing is left', async () => {
    const { test, gateway } = openTest()
    const counter = gateway()
    const counted = await Promise.all(Array.from({ length: 10 }, () => counter.add('a', test.nowMs, 4)))
    expect(counted.map(({ count }) => count)).toEqual([1, 2, 3, 4, 5, 5, 5, 5, 5, 5])
    expect(test.asked).toEqual([1, 9])
  })

  it('uses what it has taken before it refuses', async () => {
    const { test, gateway } = openTest()
    const [one, two] = [gateway(), gateway()]
    for (let i = 0; i < 2_498; i++) await one.add('a', test.nowMs, 2_500)
    // Two of the window are left, and both are there for this one.
    expect((await two.add('a', test.nowMs, 2_500)).count).toBe(2_499)
    expect((await two.add('a', test.nowMs, 2_500)).count).toBe(2_500)
    expect((await two.add('a', test.nowMs, 2_500)).count).toBe(2_501)
    expect((await one.add('a', test.nowMs, 2_500)).count).toBe(2_501)
  })

  it('counts for itself while the store is away, asks again after a while, and says each once', async () => {
    const { test, gateway } = openTest()
    const counter = gateway()
    await counter.add('a', test.nowMs, 5)
    test.failure = new Error('away')
    const waiting = await Promise.all([counter.add('a', test.nowMs, 5), counter.add('a', test.nowMs, 5)])
    expect(waiting.map(({ count }) => count)).toEqual([1, 2])
    expect(counter.isShared).toBe(false)
    // Without a question: the store has just not answered.
    expect(counter.add('a', test.nowMs, 5)).toMatchObject({ count: 3 })
    expect(test.asked).toHaveLength(2)
    test.nowMs += rateLimitStoreRetryMs
    expect((await counter.add('a', test.nowMs, 5)).count).toBe(4)
    expect(test.asked).toHaveLength(3)
    expect(test.countedAlone).toBe(4)

    test.failure = undefined
    test.nowMs += rateLimitStoreRetryMs
    expect((await counter.add('a', test.nowMs, 5)).count).toBe(2)
    expect(counter.isShared).toBe(true)
    expect(test.lines).toHaveLength(2)
    expect(test.lines[0]).toContain('counts for itself')
    expect(test.lines[1]).toContain('count together')
  })
})
