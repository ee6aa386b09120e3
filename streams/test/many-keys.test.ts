import { describe, expect, test } from 'vitest'
import { memoryStores, type RecordHeader, StreamsBuilder, type Topology, tumblingWindows, utf8 } from '../src/index.ts'
import { ManualClock, TopologyDriver } from '../src/testing/index.ts'
import { loadingStores } from './loading-stores.ts'

const serdes = { key: utf8, value: utf8 }
const emits = ['updates', 'updates-and-close', 'close', 'every-update'] as const
/** More than a windowed aggregation keeps decoded. */
const keyCount = 1_500

/** Values one behind the other per key and window, under `key start`. */
function joinedTopology(emit: (typeof emits)[number]): Topology {
  const builder = new StreamsBuilder()
  builder
    .stream('words', serdes)
    .groupByKey()
    .windowedBy(tumblingWindows({ sizeMs: 10, graceMs: 0 }))
    .reduce((row, value) => `${row}${value}`, { store: 'joined', emit, value: utf8, retentionMs: 1_000 })
    .toStream()
    .map((value, { key, startMs }) => ({ key: `${key} ${startMs}`, value }))
    .to('joined', serdes)
  return builder.build()
}

const places = [
  ['in memory', () => memoryStores('many-keys')],
  ['to be loaded', () => loadingStores(memoryStores('many-keys'))],
] as const

describe.each(emits)('a commit of more keys than are kept decoded, emit %s', (emit) => {
  test.each(places)('hands on what changed, as one of few keys does; rows %s', async (_, stores) => {
    const driver = new TopologyDriver(joinedTopology(emit), {
      commit: 'manual',
      clock: new ManualClock(),
      stores: stores(),
    })
    const expected = new Map<string, string>()
    const headersOf = new Map<string, readonly RecordHeader[]>()
    const send = async (index: number, timestamp: number, headers: readonly RecordHeader[] = []) => {
      const key = `k${index}`
      const value = String(timestamp % 10)
      const name = `${key} ${timestamp - (timestamp % 10)}`
      expected.set(name, `${expected.get(name) ?? ''}${value}`)
      headersOf.set(name, headers)
      await driver.pipe('words', serdes, { key, value, timestamp, headers })
    }
    const header = [{ key: 'from', value: Buffer.from('here') }]
    for (let index = 0; index < keyCount; index++) await send(index, 1)
    for (let index = 0; index < keyCount; index += 7) await send(index, 2, index % 2 === 0 ? header : [])
    for (let index = 0; index < 20; index++) await send(index, 3)
    await driver.commit()
    if (emit === 'updates' || emit === 'updates-and-close') {
      const first = driver.read('joined', serdes)
      expect(first.length).toBe(keyCount)
      expect(new Map(first.map(({ key, value }) => [key, value]))).toEqual(expected)
      expect(new Map(first.map(({ key, headers }) => [key, headers]))).toEqual(headersOf)
    }
    expect(await storedIn(driver)).toEqual(expected)
    // The next window closes the first, which a few of its rows still change.
    for (let index = 0; index < keyCount; index += 2) await send(index, 4)
    const closed = new Map(expected)
    for (let index = 0; index < keyCount; index++) await send(index, 15)
    await driver.commit()
    expect(await storedIn(driver)).toEqual(expected)
    const second = driver.read('joined', serdes)
    if (emit === 'close') expect(new Map(second.map(({ key, value }) => [key, value]))).toEqual(closed)
    if (emit === 'updates') expect(second.length).toBe(keyCount + keyCount / 2)
    await driver.close()
  })
})

async function storedIn(driver: TopologyDriver): Promise<ReadonlyMap<string, string>> {
  const rows = await driver.rows('joined')
  return new Map(rows.map(({ key, windowStartMs, value }) => [`${key} ${windowStartMs}`, String(value)]))
}
