import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { count, int64, json, memoryStores, nullable, StreamsBuilder, sum, tumblingWindows, utf8 } from '../src/index.ts'
import { type CrashPoint, TopologyDriver } from '../src/testing/index.ts'
import { loadingStores } from './loading-stores.ts'

const texts = { key: utf8, value: utf8 }
const counts = { key: utf8, value: int64 }

function wordCounts(emit: 'updates' | 'every-update' = 'updates') {
  const builder = new StreamsBuilder()
  builder
    .stream('lines', texts)
    .flatMapValues((line) => line.split(' '))
    .groupBy((word) => (word === '' ? null : word), texts)
    .count({ store: 'counts', emit })
    .toStream()
    .to('counts')
  return builder.build()
}

async function pipeLine(driver: TopologyDriver, line: string, partition = 0): Promise<void> {
  await driver.pipe('lines', texts, { key: null, value: line, timestamp: 1, partition })
}

describe('an aggregation', () => {
  test('hands on one record per changed row and commit, or each update', async () => {
    for (const [emit, expected] of [
      ['updates', ['a 3', 'b 1']],
      ['every-update', ['a 1', 'b 1', 'a 2', 'a 3']],
    ] as const) {
      const driver = new TopologyDriver(wordCounts(emit), { commit: 'manual' })
      await pipeLine(driver, 'a b a')
      await pipeLine(driver, 'a')
      await driver.commit()
      await driver.commit()
      expect(driver.read('counts', counts).map(({ key, value }) => `${key} ${value}`)).toEqual(expected)
    }
  })

  test('is exact over partitions, with rows that have to be loaded, whatever crashes', async () => {
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ line: fc.array(fc.constantFrom('a', 'b', 'c', 'd')), partition: fc.nat(2) }),
      },
      fc.constant('commit' as const),
      fc.constant('crash' as const),
      fc.constantFrom<CrashPoint>('before-transaction', 'after-transaction'),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const stores = loadingStores(memoryStores('test'))
        const driver = new TopologyDriver(wordCounts(), { partitions: 3, commit: 'manual', stores })
        const expected = new Map<string, number>()
        for (const one of steps) {
          if (one === 'commit') await driver.commit()
          else if (one === 'crash') await driver.crash()
          else if (typeof one === 'string') await driver.commit(one)
          else {
            await pipeLine(driver, one.line.join(' '), one.partition)
            for (const word of one.line) expected.set(word, (expected.get(word) ?? 0) + 1)
          }
        }
        await driver.commit()
        await driver.commit()
        const rows = (await driver.rows('counts')).map(({ key, value }) => [key, value] as const)
        expect(new Map(rows)).toEqual(expected)
        const last = new Map(driver.read('counts', counts).map(({ key, value }) => [key, value]))
        expect(last).toEqual(expected)
        await driver.close()
      }),
      { numRuns: 40 },
    )
  })

  test('counts the records that it drops: those without a key before a repartition, those without key or value after it', async () => {
    const builder = new StreamsBuilder()
    builder
      .stream('in', { key: utf8, value: nullable(utf8) })
      .groupByKey()
      .count({ store: 'direct' })
    const driver = new TopologyDriver(builder.build())
    await driver.pipe('in', texts, { key: null, value: 'a', timestamp: 1 })
    await driver.pipe('in', texts, { key: 'a', value: null, timestamp: 1 })
    expect(driver.dropped).toEqual(
      new Map([
        ['null-key', 1],
        ['null-value', 1],
      ]),
    )
    const words = new TopologyDriver(wordCounts())
    await pipeLine(words, 'a  b')
    expect(words.dropped).toEqual(new Map([['null-key-repartition', 1]]))
  })

  test('deletes a row that becomes null, and begins anew', async () => {
    const builder = new StreamsBuilder()
    const value = nullable(json<number>())
    builder
      .stream('in', { key: utf8, value })
      .groupByKey()
      .reduce((row, next) => (row === null || next === null || row + next === 0 ? null : row + next), { store: 'sums' })
      .toStream()
      .to('sums')
    const driver = new TopologyDriver(builder.build())
    for (const [number, timestamp] of [
      [5, 70],
      [-5, 20],
      [4, 30],
    ] as const)
      await driver.pipe('in', { key: utf8, value }, { key: 'k', value: number, timestamp })
    expect(driver.read('sums', { key: utf8, value }).map((one) => [one.value, one.timestamp])).toEqual([
      [5, 70],
      [null, 70],
      [4, 30],
    ])
    expect(await driver.rows('sums')).toMatchObject([{ key: 'k', value: 4, timestamp: 30 }])
    expect(driver.bytesOf('test-sums-changelog').map((record) => record.value?.toString() ?? null)).toEqual([
      '5',
      null,
      '4',
    ])
  })
})

describe('bytes and names in changelogs are those of Kafka Streams', () => {
  test('a count is a long under the key, with the row’s timestamp', async () => {
    const driver = new TopologyDriver(wordCounts())
    await pipeLine(driver, 'a a')
    const [, last] = driver.bytesOf('test-counts-changelog')
    expect(last).toMatchObject({ key: Buffer.from('a'), value: Buffer.from('0000000000000002', 'hex'), timestamp: 1 })
  })

  test('a window’s row is under key, start and sequence number', async () => {
    const builder = new StreamsBuilder()
    builder
      .stream('in', texts)
      .groupByKey()
      .windowedBy(tumblingWindows({ sizeMs: 10, graceMs: 0 }))
      .count({ store: 'windows' })
    const driver = new TopologyDriver(builder.build())
    await driver.pipe('in', texts, { key: 'k', value: '', timestamp: 27 })
    expect(driver.bytesOf('test-windows-changelog')).toMatchObject([
      { key: Buffer.from('6b000000000000001400000000', 'hex'), value: int64.write(1), timestamp: 27 },
    ])
  })

  test('the version of an aggregator is part of the names, from the second on', () => {
    const builder = new StreamsBuilder()
    const grouped = builder.stream('in', { key: utf8, value: json<number>() }).groupByKey()
    grouped.aggregate({ ...sum(), version: 2 }, { store: 'sums' })
    grouped
      .preAggregate({ name: 'partials', windowSizeMs: 10, aggregator: { ...count(), version: 3 } })
      .windowedBy(tumblingWindows({ sizeMs: 10, graceMs: 0 }))
      .merge({ store: 'windows' })
    const { subtopologies, internalTopics } = builder.build()
    expect(subtopologies.flatMap(({ stores }) => stores.map(({ name }) => name))).toEqual(['sums-v2', 'windows-v3'])
    expect(internalTopics).toEqual([{ name: 'partials-v3', partitions: undefined }])
  })
})
