import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  count,
  hoppingWindows,
  memoryStores,
  StreamsBuilder,
  type TimeWindows,
  type Topology,
  tumblingWindows,
  utf8,
} from '../src/index.ts'
import { type CrashPoint, ManualClock, TopologyDriver } from '../src/testing/index.ts'
import { loadingStores } from './loading-stores.ts'

const serdes = { key: utf8, value: utf8 }
const emits = ['updates', 'close', 'updates-and-close'] as const
const crashPoints: readonly (CrashPoint | 'after-commit')[] = [
  'before-transaction',
  'after-transaction',
  'after-commit',
]

/** Counts per key and window, straight from the source or through partials. Results are `count final`, under `key start`. */
function countsTopology(
  windows: TimeWindows,
  of: { emit: (typeof emits)[number]; preAggregateMs?: number; retentionMs?: number },
): Topology {
  const builder = new StreamsBuilder()
  const events = builder.stream('events', { key: utf8, value: utf8 })
  const options = {
    store: 'counts',
    emit: of.emit,
    ...(of.retentionMs === undefined ? {} : { retentionMs: of.retentionMs }),
  }
  const table =
    of.preAggregateMs === undefined
      ? events.groupByKey().windowedBy(windows).count(options)
      : events
          .groupByKey()
          .preAggregate({ name: 'partials', windowSizeMs: of.preAggregateMs, aggregator: count() })
          .windowedBy(windows)
          .merge(options)
  table
    .results()
    .map(({ result, final }, { key, startMs }) => ({ key: `${key} ${startMs}`, value: `${result} ${final}` }))
    .to('counts', serdes)
  return builder.build()
}

async function pipe(driver: TopologyDriver, key: string, timestamp: number, partition = 0): Promise<void> {
  await driver.pipe('events', serdes, { key, value: '', timestamp, partition })
}

/** The first commit sends partials on their way, the second commits what they made. */
async function commitAll(driver: TopologyDriver): Promise<void> {
  await driver.commit()
  await driver.commit()
}

function finalsOf(driver: TopologyDriver): readonly string[] {
  const results = driver.read('counts', serdes).filter(({ value }) => value?.endsWith('true') === true)
  return results.map(({ key, value }) => `${key} ${value?.split(' ')[0]}`)
}

describe.each([
  ['counted directly', {}],
  ['counted through partials', { preAggregateMs: 5 }],
])('final results, %s', (_, way) => {
  const windows = tumblingWindows({ sizeMs: 10, graceMs: 5 })
  const times = [0, 4, 9, 12, 14, 15, 26, 27, 31, 45, 46, 60, 61, 99]
  const expected = ['a 0 3', 'a 10 3', 'a 20 2', 'a 30 1', 'a 40 2', 'a 60 2']

  // Retention beyond the close: rows that were handed on stay in the store for queries, and must not be handed on again.
  test.each([15, 100])(
    'come once and all, whichever commit a crash hits, with a retention of %d ms',
    async (retentionMs) => {
      for (let crashed = 0; crashed < times.length; crashed++) {
        for (const at of crashPoints) {
          const stores = loadingStores(memoryStores('test'))
          const topology = countsTopology(windows, { emit: 'updates-and-close', retentionMs, ...way })
          const driver = new TopologyDriver(topology, { commit: 'manual', stores })
          for (const [index, time] of times.entries()) {
            await pipe(driver, 'a', time)
            if (index !== crashed) await driver.commit()
            else if (at !== 'after-commit') await driver.commit(at)
            else {
              await driver.commit()
              await driver.crash()
            }
          }
          await driver.commit()
          await driver.commit()
          expect(finalsOf(driver)).toEqual(expected)
          await driver.close()
        }
      }
    },
  )

  test('are the same set for every emit mode that has them', async () => {
    const sets = await Promise.all(
      (['close', 'updates-and-close'] as const).map(async (emit) => {
        const driver = new TopologyDriver(countsTopology(windows, { emit, ...way }))
        for (const time of times) await pipe(driver, 'a', time)
        return finalsOf(driver)
      }),
    )
    expect(sets).toEqual([expected, expected])
  })

  test('survive jumps of stream time far beyond the retention', async () => {
    // Kafka Streams 4.1 loses all of them: the rows are out of its store before it looks for closed windows.
    const driver = new TopologyDriver(countsTopology(windows, { emit: 'close', ...way }))
    for (let i = 0; i < 100; i++) await pipe(driver, 'a', i * 1_000)
    expect(finalsOf(driver)).toEqual(Array.from({ length: 99 }, (_, i) => `a ${i * 1_000} 1`))
  })
})

describe('stream time', () => {
  const windows = tumblingWindows({ sizeMs: 10, graceMs: 0 })

  test('survives a restart: what was late stays late', async () => {
    for (const way of [{}, { preAggregateMs: 10 }]) {
      const driver = new TopologyDriver(countsTopology(windows, { emit: 'close', ...way }), { commit: 'manual' })
      await pipe(driver, 'a', 25)
      await driver.commit()
      await driver.crash()
      await pipe(driver, 'a', 5)
      await pipe(driver, 'a', 22)
      await commitAll(driver)
      expect(driver.dropped).toEqual(new Map([['late', 1]]))
      await pipe(driver, 'a', 30)
      await commitAll(driver)
      expect(finalsOf(driver)).toEqual(['a 20 2'])
      await driver.close()
    }
  })

  test('of a task without watermarks is the largest timestamp, also after a restart', async () => {
    const driver = new TopologyDriver(countsTopology(windows, { emit: 'close' }), { commit: 'manual' })
    await pipe(driver, 'a', 25)
    await pipe(driver, 'a', 7)
    await driver.commit()
    await driver.crash()
    expect(await driver.streamTimeMs('0_0')).toBe(25)
  })
})

describe('partitions without input', () => {
  const windows = tumblingWindows({ sizeMs: 10, graceMs: 0 })

  test('hold results back until they are idle, and no longer', async () => {
    const topology = countsTopology(windows, { emit: 'close', preAggregateMs: 10 })
    const driver = new TopologyDriver(topology, { partitions: 3 })
    await pipe(driver, 'a', 5, 0)
    await pipe(driver, 'a', 6, 1)
    await pipe(driver, 'a', 25, 0)
    await pipe(driver, 'a', 26, 1)
    expect(finalsOf(driver)).toEqual([])
    await driver.idle()
    expect(finalsOf(driver)).toEqual(['a 0 2'])
    // One that comes back counts again.
    await pipe(driver, 'a', 35, 2)
    await pipe(driver, 'a', 36, 0)
    expect(finalsOf(driver)).toEqual(['a 20 2'])
    await pipe(driver, 'a', 47, 2)
    await pipe(driver, 'a', 48, 0)
    await pipe(driver, 'a', 49, 1)
    expect(finalsOf(driver)).toEqual(['a 30 2'])
    expect(driver.dropped).toEqual(new Map())
  })

  test('are still idle after a restart', async () => {
    const topology = countsTopology(windows, { emit: 'close', preAggregateMs: 10 })
    const driver = new TopologyDriver(topology, { partitions: 2 })
    await pipe(driver, 'a', 5, 0)
    await driver.idle()
    await driver.crash()
    await pipe(driver, 'a', 25, 0)
    expect(finalsOf(driver)).toEqual(['a 0 1'])
  })
})

test('a partial is late for the window whose end lies at stream time minus grace, and counts with all its records', async () => {
  const windows = tumblingWindows({ sizeMs: 10, graceMs: 5 })
  const driver = new TopologyDriver(countsTopology(windows, { emit: 'updates', preAggregateMs: 10 }), {
    commit: 'manual',
  })
  await pipe(driver, 'a', 24)
  await driver.commit()
  await pipe(driver, 'a', 14)
  await driver.commit()
  expect(driver.dropped).toEqual(new Map())
  await pipe(driver, 'a', 25)
  await driver.commit()
  for (const time of [10, 11, 19]) await pipe(driver, 'a', time)
  await driver.commit()
  expect(driver.dropped).toEqual(new Map([['late', 3]]))
})

test('a window time that is no whole number fails its record', async () => {
  const builder = new StreamsBuilder()
  builder
    .stream('events', { key: utf8, value: utf8 })
    .groupByKey()
    .preAggregate({ name: 'p', windowSizeMs: 10, aggregator: count(), windowTimeOf: (value) => Number(value) })
    .windowedBy(tumblingWindows({ sizeMs: 10, graceMs: 0 }))
    .merge()
  const driver = new TopologyDriver(builder.build())
  const record = { key: 'a', value: 'soon', timestamp: 0 }
  await expect(driver.pipe('events', serdes, record)).rejects.toThrow('windowTimeOf must give a whole number')
})

describe('every record is counted or late, and late once per window', () => {
  const times = fc.array(fc.nat(200), { minLength: 1, maxLength: 60 })
  const options = fc.record({
    sizeMs: fc.integer({ min: 1, max: 40 }),
    hops: fc.integer({ min: 1, max: 4 }),
    graceMs: fc.nat(30),
    emit: fc.constantFrom(...emits),
    commitEvery: fc.integer({ min: 1, max: 5 }),
    isPreAggregated: fc.boolean(),
  })

  test('tumbling and hopping, with and without partials', async () => {
    await fc.assert(
      fc.asyncProperty(times, options, async (timestamps, of) => {
        const sizeMs = of.sizeMs * of.hops
        const windows = hoppingWindows({ sizeMs, advanceMs: of.sizeMs, graceMs: of.graceMs })
        const way = of.isPreAggregated ? { preAggregateMs: of.sizeMs } : {}
        const topology = countsTopology(windows, { emit: of.emit, retentionMs: 10_000, ...way })
        const driver = new TopologyDriver(topology, { commit: 'manual' })
        for (const [index, time] of timestamps.entries()) {
          await pipe(driver, 'a', time)
          if (index % of.commitEvery === 0) await driver.commit()
        }
        await commitAll(driver)
        const counted = (await driver.rows('counts')).reduce((sum, { value }) => sum + Number(value), 0)
        const windowsOf = (time: number): number => Math.min(of.hops, Math.floor(time / of.sizeMs) + 1)
        const expected = timestamps.reduce((sum, time) => sum + windowsOf(time), 0)
        expect(counted + (driver.dropped.get('late') ?? 0)).toBe(expected)
        await driver.close()
      }),
      { numRuns: 60 },
    )
  })
})

test('closed windows are looked for at most once per emit interval, by the wall clock', async () => {
  const clock = new ManualClock(10_000)
  const builder = new StreamsBuilder()
  builder
    .stream('events', { key: utf8, value: utf8 })
    .groupByKey()
    .windowedBy(tumblingWindows({ sizeMs: 10, graceMs: 0 }))
    .count({ emit: 'close', emitIntervalMs: 1_000 })
    .results()
    .map(({ result }, { key, startMs }) => ({ key: `${key} ${startMs}`, value: `${result} true` }))
    .to('counts', serdes)
  const driver = new TopologyDriver(builder.build(), { clock })
  await pipe(driver, 'a', 5)
  await pipe(driver, 'a', 15)
  expect(finalsOf(driver)).toEqual([])
  clock.advance(1_000)
  await pipe(driver, 'a', 25)
  expect(finalsOf(driver)).toEqual(['a 0 1', 'a 10 1'])
})
