import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  count,
  int64,
  json,
  mean,
  memoryStores,
  nullable,
  of,
  StreamsBuilder,
  sum,
  type Table,
  type Topology,
  tumblingWindows,
  untilTimeLimit,
  utf8,
} from '../src/index.ts'
import { type CrashPoint, TopologyDriver } from '../src/testing/index.ts'
import { loadingStores } from './loading-stores.ts'

const numbers = { key: utf8, value: json<number>() }

/** Updates of one key as text, `~` being deletions, through operators on a table. */
async function through(
  updates: readonly (number | null)[],
  operators: (table: Table<string, number | null>) => Table<string, number | null>,
  options: { readonly store?: string } = {},
): Promise<string> {
  const builder = new StreamsBuilder()
  operators(builder.table('in', { ...numbers, ...options }))
    .toStream()
    .to('out', numbers)
  const driver = new TopologyDriver(builder.build(), { stores: loadingStores(memoryStores('test')) })
  for (const [timestamp, value] of updates.entries()) await pipe(driver, 'k', value, timestamp)
  const output = driver.read('out', numbers).map(({ value }) => value ?? '~')
  await driver.close()
  return output.join(' ')
}

async function pipe(driver: TopologyDriver, key: string | null, value: number | null, timestamp = 0): Promise<void> {
  await driver.pipe('in', { key: utf8, value: nullable(json<number>()) }, { key, value, timestamp })
}

async function rowsOf(driver: TopologyDriver, store: string): Promise<readonly string[]> {
  return (await driver.rows(store)).map(({ key, value }) => `${key} ${value}`)
}

describe('a filter', () => {
  const isLarge = (value: number) => value > 2

  test('deletes what it does not accept, also what was not there, if nobody knows', async () => {
    expect(await through([1, 3, 4, 2, null], (table) => table.filter(isLarge))).toBe('~ 3 4 ~ ~')
    expect(await through([1, 3], (table) => table.filterNot(isLarge))).toBe('1 ~')
  })

  test('deletes only what was there, if the table knows its old values', async () => {
    expect(await through([1, 3, 4, 2, null], (table) => table.filter(isLarge), { store: 'rows' })).toBe('3 4 ~')
  })

  test('or if what follows asks for them', async () => {
    const output = await through([1, 3, 4, 2, null], (table) =>
      table.filter(isLarge).suppress(untilTimeLimit({ limitMs: 0 })),
    )
    expect(output).toBe('3 4 ~')
  })

  test('keeps its rows in a store, if it is given one', async () => {
    const builder = new StreamsBuilder()
    builder.table('in', numbers).filter(isLarge, { store: 'large' })
    const driver = new TopologyDriver(builder.build())
    await pipe(driver, 'a', 3)
    await pipe(driver, 'b', 5)
    await pipe(driver, 'a', 1)
    await pipe(driver, null, 5)
    expect(await rowsOf(driver, 'large')).toEqual(['b 5'])
    expect(driver.dropped).toEqual(new Map([['null-key', 1]]))
    await driver.close()
  })
})

test('mapValues is not asked about rows that are deleted, and may delete', async () => {
  const output = await through([1, 2, null], (table) => table.mapValues((value) => (value === 2 ? null : value * 10)))
  expect(output).toBe('10 ~ ~')
})

test('operators on windows keep the windows', async () => {
  const builder = new StreamsBuilder()
  builder
    .stream('in', numbers)
    .groupByKey()
    .windowedBy(tumblingWindows({ sizeMs: 10, graceMs: 0 }))
    .count({ emit: 'updates-and-close' })
    .mapValues((value, { startMs }) => `${startMs}: ${value}`, { value: utf8, store: 'texts' })
    .filter((text) => text !== '0: 1')
    .results()
    .map(({ result, final }, { key }) => ({ key, value: `${result}${final ? '!' : ''}` }))
    .to('out', { key: utf8, value: utf8 })
  const driver = new TopologyDriver(builder.build())
  for (const time of [1, 2, 10]) await pipe(driver, 'k', 0, time)
  const values = driver.read('out', { key: utf8, value: utf8 }).map(({ value }) => value)
  expect(values).toEqual(['0: 2', '10: 1', '0: 2!'])
  expect((await driver.rows('texts')).map(({ key, value }) => ({ key, value }))).toEqual([
    { key: { key: 'k', startMs: 0, endMs: 10 }, value: '0: 2' },
    { key: { key: 'k', startMs: 10, endMs: 20 }, value: '10: 1' },
  ])
  await driver.close()
})

test('a stream becomes a table, through a repartition when its key was changed', async () => {
  const builder = new StreamsBuilder()
  builder
    .stream('in', { key: utf8, value: nullable(json<number>()) })
    .selectKey((value, key) => (value === 9 ? null : `${key}!`))
    .toTable({ key: utf8, store: 'rows' })
  const driver = new TopologyDriver(builder.build(), { partitions: 3 })
  for (const [key, value] of [
    ['a', 1],
    ['b', 2],
    ['a', 9],
    ['b', null],
    ['c', 4],
  ] as const)
    await pipe(driver, key, value)
  expect((await rowsOf(driver, 'rows')).toSorted()).toEqual(['a! 1', 'c! 4'])
  expect(driver.dropped).toEqual(new Map([['null-key-repartition', 1]]))
  await driver.close()
})

describe('a grouped table', () => {
  interface Row {
    readonly group: string | null
    readonly amount: number
  }
  const rows = { key: utf8, value: json<Row>() }

  function totals(emit: 'every-update' | 'updates' = 'every-update'): Topology {
    const builder = new StreamsBuilder()
    const grouped = builder
      .table('in', rows)
      .groupBy(({ group, amount }) => ({ key: group, value: amount }), { ...numbers, name: 'by-group' })
    grouped.count({ store: 'counts', emit }).toStream().to('counts', { value: int64 })
    grouped.aggregate(sum(), { store: 'sums', emit })
    grouped.aggregate(
      of((amount: number) => amount * 2, mean()),
      { store: 'means', emit },
    )
    grouped.reduce(
      { add: (one, other) => one + other, subtract: (one, other) => one - other },
      { store: 'reduced', emit },
    )
    return builder.build()
  }

  async function pipeRow(driver: TopologyDriver, key: string, value: Row | null): Promise<void> {
    await driver.pipe('in', { key: utf8, value: nullable(json<Row>()) }, { key, value, timestamp: 0 })
  }

  test('takes a row that moves out of its old group first; one that stays changes once', async () => {
    const driver = new TopologyDriver(totals())
    await pipeRow(driver, 'a', { group: 'x', amount: 1 })
    await pipeRow(driver, 'b', { group: 'x', amount: 5 })
    await pipeRow(driver, 'a', { group: 'y', amount: 2 })
    await pipeRow(driver, 'a', { group: 'y', amount: 3 })
    await pipeRow(driver, 'b', { group: null, amount: 3 })
    const changes = driver.read('counts', { key: utf8, value: int64 }).map(({ key, value }) => `${key} ${value}`)
    expect(changes).toEqual(['x 1', 'x 2', 'x 1', 'y 1', 'y 1', 'x 0'])
    await driver.close()
  })

  test('is exact over partitions, with rows that have to be loaded, whatever crashes', async () => {
    const row = fc.record({ group: fc.constantFrom('x', 'y', 'z', null), amount: fc.nat(9) })
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd'), row: fc.option(row) }) },
      fc.constantFrom<'commit' | 'crash' | CrashPoint>('commit', 'crash', 'before-transaction', 'after-transaction'),
    )
    const emits = fc.constantFrom('every-update' as const, 'updates' as const)
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), emits, async (steps, emit) => {
        const stores = loadingStores(memoryStores('test'))
        const driver = new TopologyDriver(totals(emit), { partitions: 2, commit: 'manual', stores })
        const table = new Map<string, Row>()
        for (const one of steps) {
          if (typeof one === 'object') {
            await pipeRow(driver, one.key, one.row)
            if (one.row === null) table.delete(one.key)
            else table.set(one.key, one.row)
          } else if (one === 'crash') await driver.crash()
          else await driver.commit(one === 'commit' ? undefined : one)
        }
        await driver.commit()
        await driver.commit()
        const counts = new Map<string, number>()
        const sums = new Map<string, number>()
        for (const { group, amount } of table.values()) {
          if (group === null) continue
          counts.set(group, (counts.get(group) ?? 0) + 1)
          sums.set(group, (sums.get(group) ?? 0) + amount)
        }
        const expectedCounts = (group: string) => counts.get(group) ?? 0
        const expectedSums = (group: string) => sums.get(group) ?? 0
        for (const { key, value } of await driver.rows('counts')) expect(value).toBe(expectedCounts(String(key)))
        for (const store of ['sums', 'reduced'])
          for (const { key, value } of await driver.rows(store)) expect(value).toBe(expectedSums(String(key)))
        for (const { key, value } of await driver.rows('means')) {
          const records = expectedCounts(String(key))
          expect(value).toBe(records === 0 ? null : (2 * expectedSums(String(key))) / records)
        }
        const groupsSeen = new Set((await driver.rows('counts')).map(({ key }) => key))
        for (const group of counts.keys()) expect(groupsSeen).toContain(group)
        await driver.close()
      }),
      { numRuns: 40 },
    )
  })

  test('needs a table that knows what its rows were before', () => {
    const builder = new StreamsBuilder()
    builder
      .stream('in', numbers)
      .groupByKey()
      .preAggregate({ name: 'by-key', windowSizeMs: 10, aggregator: count() })
      .windowedBy(tumblingWindows({ sizeMs: 10, graceMs: 0 }))
      .mergeByArrival({ store: 'windows', retentionMs: 100 })
      .groupBy((value, { key }) => ({ key, value }), numbers)
      .count()
    expect(() => builder.build()).toThrow('the table does not know the values its rows had before')
  })
})

test('old values of windows are those that were handed on, also when the last update and the close come together', async () => {
  const builder = new StreamsBuilder()
  builder
    .stream('in', numbers)
    .groupByKey()
    .windowedBy(tumblingWindows({ sizeMs: 10, graceMs: 0 }))
    .aggregate(sum(), { emit: 'updates-and-close' })
    .groupBy((total, { startMs }) => ({ key: `${startMs}`, value: total }), numbers)
    .aggregate(sum(), { store: 'sums' })
  const driver = new TopologyDriver(builder.build(), { commit: 'manual' })
  await pipe(driver, 'a', 1, 1)
  await driver.commit()
  await pipe(driver, 'a', 2, 2)
  await pipe(driver, 'b', 4, 3)
  await pipe(driver, 'b', 8, 25)
  await driver.commit()
  await driver.commit()
  expect(await rowsOf(driver, 'sums')).toEqual(['0 7', '20 8'])
  await driver.close()
})
