import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { count } from '../aggregate/count.ts'
import { limits } from '../core/limits.ts'
import { json, utf8 } from '../core/serde.ts'
import { StreamsBuilder } from '../dsl/streams-builder.ts'
import { TopologyDriver } from '../testing/topology-driver.ts'
import { tumblingWindows } from '../windows/time-windows.ts'

/** Something that happened at one time and arrived at another. */
interface Visit {
  readonly page: string
  readonly happenedMs: number
  readonly arrivedMs: number
}

interface Counted {
  readonly page: string
  readonly startMs: number
  readonly count: number
  readonly final: boolean
}

const visits = { key: utf8, value: json<Visit>() }
const results = { key: utf8, value: json<Counted>() }
const sizeMs = 10_000
const graceMs = 60_000
const retentionMs = 86_400_000

function visitCounts(heldMax: number = limits.openWindowsMax) {
  const builder = new StreamsBuilder()
  builder
    .stream('visits', { ...visits, timestampOf: (visit) => visit.arrivedMs, arrivalTime: true })
    .groupBy((visit) => visit.page, { key: utf8 })
    .preAggregate({
      name: 'by-page',
      windowSizeMs: sizeMs,
      windowTimeOf: (visit) => visit.happenedMs,
      aggregator: count(),
    })
    .windowedBy(tumblingWindows({ sizeMs, graceMs }))
    .mergeByArrival({ store: 'visits-10s', retentionMs, heldMax })
    .results()
    .map((value, { key, startMs }) => ({
      key: `${key}@${startMs}`,
      value: { page: key, startMs, count: value.result, final: value.final },
    }))
    .to('counts', results)
  return builder.build()
}

async function send(driver: TopologyDriver, visit: Visit, partition = 0): Promise<void> {
  await driver.pipe('visits', visits, { key: 'visitor', value: visit, timestamp: 0, partition })
}

/** The last result of each window, and how often each was final. */
function latest(driver: TopologyDriver): { counts: Map<string, number>; finals: Map<string, number> } {
  const counts = new Map<string, number>()
  const finals = new Map<string, number>()
  for (const { key, value } of driver.read('counts', results)) {
    if (key === null || value === null) continue
    counts.set(key, value.count)
    if (value.final) finals.set(key, (finals.get(key) ?? 0) + 1)
  }
  return { counts, finals }
}

const nowMs = Date.UTC(2026, 0, 1)
const yearAgoMs = Date.UTC(2025, 0, 1)

describe('windows kept by arrival', () => {
  it('count history that comes after live records, in whatever order', async () => {
    const driver = new TopologyDriver(visitCounts(), { partitions: 2 })
    await send(driver, { page: 'a', happenedMs: nowMs, arrivedMs: nowMs }, 0)
    await send(driver, { page: 'a', happenedMs: nowMs, arrivedMs: nowMs }, 1)
    for (let i = 50; i > 0; i--)
      await send(driver, { page: 'a', happenedMs: yearAgoMs + i * 1_000, arrivedMs: nowMs + i }, i % 2)
    const { counts } = latest(driver)
    expect(counts.get(`a@${nowMs}`)).toBe(2)
    expect([0, 1, 2, 3, 4, 5].map((i) => counts.get(`a@${yearAgoMs + i * sizeMs}`))).toEqual([9, 10, 10, 10, 10, 1])
    expect(driver.dropped.get('late')).toBeUndefined()
    await driver.close()
  })

  it('are final once, when nothing has come for the grace after their end', async () => {
    const driver = new TopologyDriver(visitCounts())
    await send(driver, { page: 'a', happenedMs: nowMs, arrivedMs: nowMs })
    await send(driver, { page: 'b', happenedMs: yearAgoMs, arrivedMs: nowMs + 5_000 })
    await send(driver, { page: 'c', happenedMs: nowMs, arrivedMs: nowMs + 64_999 })
    expect(latest(driver).finals).toEqual(new Map())
    await send(driver, { page: 'c', happenedMs: nowMs, arrivedMs: nowMs + 65_000 })
    expect(latest(driver).finals).toEqual(new Map([[`b@${yearAgoMs}`, 1]]))
    await send(driver, { page: 'd', happenedMs: nowMs, arrivedMs: nowMs + 70_000 })
    expect(latest(driver).finals).toEqual(new Map([[`a@${nowMs}`, 1]]))
    await driver.close()
  })

  it('are final when input stops, by the wall clock', async () => {
    const driver = new TopologyDriver(visitCounts())
    driver.clock.advance(nowMs)
    await send(driver, { page: 'a', happenedMs: nowMs, arrivedMs: nowMs })
    await driver.idle()
    expect(latest(driver).finals.size).toBe(0)
    driver.clock.advance(sizeMs + graceMs + limits.arrivalSlackMs + limits.arrivalStepMs)
    await driver.idle()
    expect(latest(driver).finals).toEqual(new Map([[`a@${nowMs}`, 1]]))
    await driver.close()
  })

  it('change after they were final, and are final again', async () => {
    const driver = new TopologyDriver(visitCounts())
    await send(driver, { page: 'a', happenedMs: nowMs, arrivedMs: nowMs })
    await send(driver, { page: 'x', happenedMs: nowMs, arrivedMs: nowMs + 100_000 })
    expect(latest(driver)).toMatchObject({ finals: new Map([[`a@${nowMs}`, 1]]) })
    await send(driver, { page: 'a', happenedMs: nowMs, arrivedMs: nowMs + 100_001 })
    expect(latest(driver).counts.get(`a@${nowMs}`)).toBe(2)
    await send(driver, { page: 'x', happenedMs: nowMs, arrivedMs: nowMs + 200_000 })
    const { counts, finals } = latest(driver)
    expect([counts.get(`a@${nowMs}`), finals.get(`a@${nowMs}`)]).toEqual([2, 1])
    await driver.close()
  })

  it('expire after their last update; what comes for such a time is late, and counted as often as it is', async () => {
    const driver = new TopologyDriver(visitCounts())
    await send(driver, { page: 'a', happenedMs: yearAgoMs, arrivedMs: nowMs })
    const laterMs = nowMs + retentionMs + limits.sweepIntervalMs
    await send(driver, { page: 'b', happenedMs: laterMs, arrivedMs: laterMs })
    expect((await driver.rows('visits-10s')).map(({ key }) => key)).toEqual(['b'])
    latest(driver)
    await send(driver, { page: 'a', happenedMs: yearAgoMs, arrivedMs: laterMs + 1 })
    await send(driver, { page: 'a', happenedMs: yearAgoMs + sizeMs, arrivedMs: laterMs + 2 })
    expect(driver.dropped.get('late')).toBe(1)
    expect(latest(driver).counts).toEqual(new Map([[`a@${yearAgoMs + sizeMs}`, 1]]))
    await driver.close()
  })

  it('are exact over crashes at any commit, and final no more than once per rest', async () => {
    const step = fc.record({
      page: fc.constantFrom('a', 'b'),
      window: fc.integer({ min: 0, max: 5 }),
      partition: fc.integer({ min: 0, max: 2 }),
      after: fc.constantFrom('nothing', 'commit', 'crash', 'before-transaction', 'after-transaction'),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const driver = new TopologyDriver(visitCounts(), { partitions: 3, commit: 'manual' })
        const expected = new Map<string, number>()
        let arrivedMs = nowMs
        for (const { page, window, partition, after } of steps) {
          const happenedMs = yearAgoMs + window * sizeMs
          await send(driver, { page, happenedMs, arrivedMs: arrivedMs++ }, partition)
          expected.set(`${page}@${happenedMs}`, (expected.get(`${page}@${happenedMs}`) ?? 0) + 1)
          if (after === 'crash') await driver.crash()
          else if (after === 'commit') await driver.commit()
          else if (after !== 'nothing') await driver.commit(after)
        }
        // Every partition moves on past the grace, so that every window is final.
        for (const partition of [0, 1, 2])
          await send(driver, { page: 'end', happenedMs: nowMs, arrivedMs: nowMs + 3_600_000 }, partition)
        await driver.commit()
        await driver.commit()
        const { counts, finals } = latest(driver)
        counts.delete(`end@${nowMs}`)
        expect(counts).toEqual(expected)
        expect(finals).toEqual(new Map([...expected].map(([key]) => [key, 1])))
        await driver.close()
      }),
      { numRuns: 60 },
    )
  })

  it('become final also when more of them wait than are held in memory, and over a crash', async () => {
    for (const crashes of [false, true]) {
      const driver = new TopologyDriver(visitCounts(2))
      const windows = 20
      for (let i = 0; i < windows; i++)
        await send(driver, { page: 'a', happenedMs: yearAgoMs + i * sizeMs, arrivedMs: nowMs + i })
      if (crashes) await driver.crash()
      expect(latest(driver).finals.size).toBe(0)
      for (let minute = 1; minute <= 6; minute++)
        await send(driver, { page: 'end', happenedMs: nowMs, arrivedMs: nowMs + minute * 60_000 })
      const { counts, finals } = latest(driver)
      for (let i = 0; i < windows; i++) {
        expect(finals.get(`a@${yearAgoMs + i * sizeMs}`)).toBeGreaterThanOrEqual(1)
        expect(counts.get(`a@${yearAgoMs + i * sizeMs}`)).toBe(1)
      }
      await driver.close()
    }
  })
})
