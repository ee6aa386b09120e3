import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  count,
  int64,
  json,
  memoryStores,
  nullable,
  StreamsBuilder,
  type Topology,
  tumblingWindows,
  untilTimeLimit,
  untilWindowCloses,
  utf8,
} from '../src/index.ts'
import { type CrashPoint, TopologyDriver } from '../src/testing/index.ts'
import { loadingStores } from './loading-stores.ts'

const texts = { key: utf8, value: utf8 }
const values = { key: utf8, value: json<number>() }

/** Rows as they come, held back for 10 ms. */
function delayed(bounds: { recordsMax?: number; bytesMax?: number; whenFull?: 'emit-early' | 'shut-down' } = {}) {
  const builder = new StreamsBuilder()
  builder
    .table('in', values)
    .suppress(untilTimeLimit({ limitMs: 10, ...bounds }), { store: 'held' })
    .toStream()
    .to('out')
  return builder.build()
}

function finalCounts(options: { recordsMax?: number; emit?: 'every-update' | 'updates' } = {}): Topology {
  const { emit = 'every-update', ...bounds } = options
  const builder = new StreamsBuilder()
  builder
    .stream('in', values)
    .groupByKey()
    .windowedBy(tumblingWindows({ sizeMs: 10, graceMs: 5 }))
    .count({ store: 'counts', emit })
    .suppress(untilWindowCloses(bounds), { store: 'held' })
    .results()
    .map(({ result, final }, { key, startMs }) => ({ key, value: `${startMs} ${result} ${final}` }))
    .to('out', texts)
  return builder.build()
}

async function pipe(driver: TopologyDriver, key: string, value: number | null, timestamp: number): Promise<void> {
  await driver.pipe('in', { key: utf8, value: nullable(json<number>()) }, { key, value, timestamp })
}

function outputOf(driver: TopologyDriver): readonly string[] {
  return driver.read('out', values).map(({ key, value, timestamp }) => `${key} ${value} @${timestamp}`)
}

function finalsOf(driver: TopologyDriver): readonly string[] {
  return driver.read('out', texts).map(({ key, value }) => `${key} ${value}`)
}

describe('until a time limit', () => {
  test('the last change of a row leaves when stream time has passed its first by the limit', async () => {
    const driver = new TopologyDriver(delayed())
    await pipe(driver, 'a', 1, 0)
    await pipe(driver, 'b', 2, 5)
    await pipe(driver, 'a', 3, 9)
    expect(outputOf(driver)).toEqual([])
    await pipe(driver, 'c', 4, 10)
    expect(outputOf(driver)).toEqual(['a 3 @9'])
    await pipe(driver, 'b', null, 14)
    await pipe(driver, 'd', 5, 15)
    expect(outputOf(driver)).toEqual(['b null @14'])
    await driver.close()
  })

  test.each([
    ['records', { recordsMax: 2 }],
    ['bytes', { bytesMax: 40 }],
  ])('above its bound of %s the oldest leaves early', async (_, bounds) => {
    const driver = new TopologyDriver(delayed(bounds))
    await pipe(driver, 'a', 1, 1)
    await pipe(driver, 'b', 2, 0)
    expect(outputOf(driver)).toEqual([])
    await pipe(driver, 'c', 3, 2)
    expect(outputOf(driver)).toEqual(['b 2 @0'])
    await driver.close()
  })

  test('or the application stops, if it is told to', async () => {
    const driver = new TopologyDriver(delayed({ recordsMax: 1, whenFull: 'shut-down' }), { onFailure: () => 'skip' })
    await pipe(driver, 'a', 1, 1)
    await pipe(driver, 'a', 2, 2)
    await expect(pipe(driver, 'b', 3, 3)).rejects.toMatchObject({ code: 'BUFFER_FULL', store: 'held' })
    expect(outputOf(driver)).toEqual([])
  })

  test('what left is gone from the store, and what is held is there', async () => {
    const driver = new TopologyDriver(delayed())
    await pipe(driver, 'a', 1, 0)
    await pipe(driver, 'a', 2, 1)
    await pipe(driver, 'b', 3, 20)
    const changelog = driver.bytesOf('test-held-changelog').map(({ key, value }) => [key?.toString(), value !== null])
    const [rowOfA, rowOfB] = ['\0\0\0\0\0\0\0\0a', '\0\0\0\0\0\0\0\x14b']
    expect(changelog).toEqual([
      [rowOfA, true],
      [rowOfA, true],
      [rowOfA, false],
      [rowOfB, true],
    ])
    await driver.close()
  })

  test('an update leaves with the value that was handed on before it as its old one', async () => {
    const builder = new StreamsBuilder()
    builder
      .table('in', values)
      .suppress(untilTimeLimit({ limitMs: 10 }))
      .groupBy((value) => ({ key: `group ${value}`, value: 1 }), { key: utf8, value: json<number>() })
      .count({ store: 'counts', emit: 'every-update' })
      .toStream()
      .to('out', { value: int64 })
    const driver = new TopologyDriver(builder.build())
    for (const [value, time] of [
      [1, 0],
      [2, 20],
      [3, 21],
      [4, 40],
    ] as const)
      await pipe(driver, 'a', value, time)
    expect((await driver.rows('counts')).map(({ key, value }) => `${key}: ${value}`)).toEqual([
      'group 2: 0',
      'group 4: 1',
    ])
    await driver.close()
  })
})

describe('until windows close', () => {
  test('each result is handed on once, by window and key', async () => {
    const driver = new TopologyDriver(finalCounts())
    for (const [key, time] of [
      ['b', 1],
      ['a', 2],
      ['b', 3],
      ['a', 14],
      ['b', 9],
    ] as const)
      await pipe(driver, key, 0, time)
    expect(finalsOf(driver)).toEqual([])
    await pipe(driver, 'c', 0, 15)
    expect(finalsOf(driver)).toEqual(['a 0 1 false', 'b 0 3 false'])
    await driver.close()
  })

  test('without a bound as many as there are; above one the application stops', async () => {
    const driver = new TopologyDriver(finalCounts({ recordsMax: 2 }))
    await pipe(driver, 'a', 0, 1)
    await pipe(driver, 'b', 0, 1)
    await expect(pipe(driver, 'c', 0, 1)).rejects.toThrow('at most 2 records and Infinity bytes are allowed')
  })

  test('rows that were deleted by then give nothing', async () => {
    const builder = new StreamsBuilder()
    builder
      .stream('in', values)
      .groupByKey()
      .windowedBy(tumblingWindows({ sizeMs: 10, graceMs: 0 }))
      .count()
      .filter((value) => value !== 2)
      .suppress(untilWindowCloses())
      .toStream()
      .map((value, { key }) => ({ key, value: `${value}` }))
      .to('out', texts)
    const driver = new TopologyDriver(builder.build())
    for (const key of ['a', 'a', 'b']) await pipe(driver, key, 0, 1)
    await pipe(driver, 'c', 0, 10)
    expect(finalsOf(driver)).toEqual(['b 1'])
    await driver.close()
  })

  test('behind watermarks the task decides, also when nothing comes here any more', async () => {
    const builder = new StreamsBuilder()
    builder
      .stream('in', values)
      .groupByKey()
      .preAggregate({ name: 'by-key', windowSizeMs: 10, aggregator: count() })
      .windowedBy(tumblingWindows({ sizeMs: 10, graceMs: 0 }))
      .merge()
      .suppress(untilWindowCloses(), { value: int64 })
      .toStream()
      .map((value, { key }) => ({ key, value: `${value}` }))
      .to('out', texts)
    const driver = new TopologyDriver(builder.build(), { partitions: { in: 2 } })
    const record = { key: 'a', value: 0 }
    await driver.pipe('in', values, { ...record, timestamp: 3, partition: 0 })
    await driver.pipe('in', values, { ...record, timestamp: 30, partition: 0 })
    expect(finalsOf(driver)).toEqual([])
    await driver.pipe('in', values, { ...record, timestamp: 20, partition: 1 })
    expect(finalsOf(driver)).toEqual(['a 1'])
    await driver.close()
  })
})

test('crashes at any point of any commit change nothing of what is handed on', async () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ key: fc.constantFrom('a', 'b', 'ab'), value: fc.option(fc.nat(9)), time: fc.nat(60) }),
    },
    fc.constantFrom<'commit' | 'crash' | CrashPoint>('commit', 'crash', 'before-transaction', 'after-transaction'),
  )
  const bounds = fc.constantFrom({}, { recordsMax: 2 })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), bounds, fc.boolean(), async (steps, of, isFinal) => {
      const topology = isFinal ? finalCounts() : delayed(of)
      const whole = new TopologyDriver(topology)
      const stores = loadingStores(memoryStores('test'))
      const broken = new TopologyDriver(topology, { commit: 'manual', stores })
      for (const one of steps) {
        if (typeof one === 'object') {
          for (const driver of [whole, broken]) await pipe(driver, one.key, isFinal ? 0 : one.value, one.time)
        } else if (one === 'crash') await broken.crash()
        else await broken.commit(one === 'commit' ? undefined : one)
      }
      await broken.commit()
      const bytes = (driver: TopologyDriver) =>
        driver.bytesOf('out').map(({ key, value, timestamp }) => [key, value, timestamp])
      expect(bytes(broken)).toEqual(bytes(whole))
      await whole.close()
      await broken.close()
    }),
    { numRuns: 60 },
  )
})

test('limits and bounds are checked', () => {
  expect(() => untilTimeLimit({ limitMs: -1, recordsMax: 0 })).toThrow(
    '[INVALID_TOPOLOGY] untilTimeLimit: recordsMax must be a whole number above 0, not 0; limitMs must be a whole number from 0 on, not -1',
  )
  expect(() => untilWindowCloses({ bytesMax: 1.5 })).toThrow('bytesMax must be a whole number above 0, not 1.5')
  expect(untilTimeLimit({ limitMs: 5 })).toMatchObject({ recordsMax: 100_000, bytesMax: 64 * 1024 * 1024 })
  expect(untilWindowCloses()).toMatchObject({ recordsMax: Number.POSITIVE_INFINITY, whenFull: 'shut-down' })
  const builder = new StreamsBuilder()
  builder
    .stream('in', values)
    .groupByKey()
    .aggregate(count())
    .suppress(untilTimeLimit({ limitMs: 1 }), { store: 'held' })
  expect(() => builder.build()).toThrow('store "held": the serde of its values is not known here')
})
