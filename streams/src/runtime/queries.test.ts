import { beforeEach, describe, expect, it } from 'vitest'
import { int64 } from '../aggregate/numbers.ts'
import type { GroupView } from '../core/broker.ts'
import { partitionOfKey } from '../core/murmur2.ts'
import { utf8 } from '../core/serde.ts'
import { MemoryStore, memoryStores } from '../state/memory-store.ts'
import { timestampedValue } from '../state/timestamped-value.ts'
import { windowRowKey } from '../state/window-key.ts'
import { partitionPlan } from '../topology/partition-plan.ts'
import { topicNames } from '../topology/topic-names.ts'
import type { StoreSpec, Topology } from '../topology/topology.ts'
import { Queries } from './queries.ts'
import type { ReadOnlyKeyValueStore } from './queries-key-value.ts'
import type { QueryWorld } from './queries-locate.ts'
import type { Page } from './queries-page.ts'
import type { ReadOnlyWindowStore } from './queries-window.ts'
import type { RunState } from './run-states.ts'

const partitions = 3
const rows = { keySerde: utf8, resultOf: (value: Buffer) => int64.read(value, 0, value.length) }
const plain = { timestamped: true, windowSizeMs: undefined, retentionMs: undefined, changelog: true } as const
const windowed = { kind: 'window', timestamped: true, windowSizeMs: 10, changelog: true, rows } as const
const specs: readonly StoreSpec[] = [
  { ...plain, name: 'counts', kind: 'key-value', rows },
  { ...plain, name: 'raw', kind: 'key-value', timestamped: false },
  { ...windowed, name: 'tumbling', retentionMs: 100 },
  { ...windowed, name: 'hopping', retentionMs: 100, windowAdvanceMs: 5, expiry: 'start-after-close' },
  { ...windowed, name: 'by-arrival', retentionMs: 100, expiry: 'update' },
]
const serdes = { keySerde: utf8, valueSerde: utf8 }
const topology: Topology = {
  subtopologies: [
    {
      id: 0,
      nodes: [
        {
          kind: 'source',
          name: 'source',
          topic: 'in',
          internal: false,
          offsetReset: 'earliest',
          watermarks: false,
          ...serdes,
        },
      ],
      stores: specs,
    },
  ],
  internalTopics: [],
}
const names = topicNames('app')
const here = 'app-here-1'
const there = 'app-there-1'

let world: { -readonly [Name in keyof QueryWorld]: QueryWorld[Name] }
let queries: Queries
let stored: Map<string, { readonly rows: MemoryStore; standby: boolean }>

/** The group as it is divided: partition numbers by member. */
function viewOf(own: readonly number[], others: readonly number[], standbys: readonly number[] = []): GroupView {
  const at = (numbers: readonly number[]) => numbers.map((partition) => ({ topic: 'in', partition }))
  const member = { memberId: 'm', partitions: at(own), standbys: [] as readonly number[], endpoint: 'http://here:1' }
  return {
    generationId: 1,
    members: [
      { ...member, groupInstanceId: here },
      { ...member, groupInstanceId: there, partitions: at(others), standbys, endpoint: 'http://there:2' },
    ],
  }
}

beforeEach(() => {
  stored = new Map()
  world = {
    state: 'running',
    plan: partitionPlan(topology, names, new Map([['in', partitions]])),
    group: { instanceId: here, view: viewOf([0, 1, 2], []) },
    rowsOf: (store, partition) => stored.get(`${store}-${partition}`),
  }
  for (const { name } of specs) for (let partition = 0; partition < partitions; partition++) keep(name, partition)
  queries = new Queries(topology, names, world)
})

function keep(store: string, partition: number): MemoryStore {
  const kept = new MemoryStore()
  stored.set(`${store}-${partition}`, { rows: kept, standby: false })
  return kept
}

function rowsOf(store: string, partition: number): MemoryStore {
  const found = stored.get(`${store}-${partition}`)
  if (found === undefined) throw new Error(`${store}-${partition} is not kept`)
  return found.rows
}

const counted = (count: number, timestamp: number) => timestampedValue(int64.write(count), timestamp)
const partitionOf = (key: string) => partitionOfKey(Buffer.from(key), partitions)

async function putCount(key: string, count: number): Promise<void> {
  await rowsOf('counts', partitionOf(key)).write([{ key: Buffer.from(key), value: counted(count, count + 1) }], 1)
}

async function putWindow(store: string, key: string, startMs: number, count = 1): Promise<void> {
  const value = counted(count, startMs)
  await rowsOf(store, partitionOf(key)).write([{ key: windowRowKey(Buffer.from(key), startMs), value }], 1)
}

function counts(): ReadOnlyKeyValueStore<string, number> {
  const store = queries.store<string, number>('counts')
  if (store.kind !== 'key-value') throw new Error('counts has no windows')
  return store
}

function windowsOf(name: string): ReadOnlyWindowStore<string, number> {
  const store = queries.store<string, number>(name)
  if (store.kind !== 'window') throw new Error(`${name} has windows`)
  return store
}

/** Every page, one after the other. */
async function every<T>(
  page: (after: { readonly after?: string }) => Promise<Page<T>>,
): Promise<readonly (readonly T[])[]> {
  const pages: (readonly T[])[] = []
  for (let after: string | undefined; ; ) {
    const { rows: found, next } = await page(after === undefined ? {} : { after })
    pages.push(found)
    if (next === undefined) return pages
    after = next
  }
}

describe('a key-value store', () => {
  it('gives the row of a key, with its time', async () => {
    await putCount('a', 7)
    expect(await counts().get('a')).toEqual({ key: 'a', value: 7, timestamp: 8 })
    expect(await counts().get('b')).toBeUndefined()
  })

  it('gives all rows in pages of one partition, each once, in the order of its keys', async () => {
    const keys = Array.from({ length: 40 }, (_, index) => `key-${String(index).padStart(2, '0')}`)
    for (const [index, key] of keys.entries()) await putCount(key, index)
    for (const limit of [1, 7, 1_000]) {
      const pages = await every((after) => counts().all({ limit, ...after }))
      for (const page of pages) {
        expect(page.length).toBeLessThanOrEqual(limit)
        expect(new Set(page.map(({ key }) => partitionOf(key))).size).toBe(1)
      }
      const inOrder = [0, 1, 2].flatMap((partition) => keys.filter((key) => partitionOf(key) === partition))
      expect(pages.flat().map(({ key }) => key)).toEqual(inOrder)
    }
  })

  it('gives a range of keys, both ends included, of one partition if told', async () => {
    for (const key of ['a', 'b', 'bb', 'c', 'd']) await putCount(key, 1)
    const found = await every((after) => counts().range({ from: 'b', to: 'c', ...after }))
    expect(
      found
        .flat()
        .map(({ key }) => key)
        .sort(),
    ).toEqual(['b', 'bb', 'c'])
    const partition = partitionOf('b')
    const { rows: some } = await counts().range({ from: 'b', to: 'c', partition })
    expect(some.map(({ key }) => key)).toEqual(['b', 'bb', 'c'].filter((key) => partitionOf(key) === partition))
    await expect(counts().range({ from: 'c', to: 'b' })).rejects.toThrow('[INVALID_QUERY] from must not lie behind to')
  })

  it('is bytes where the topology has no serdes', async () => {
    await rowsOf('raw', 0).write([{ key: Buffer.from('k'), value: Buffer.from('v') }], 1)
    const { rows: all } = await queries.store('raw').all()
    expect(all).toEqual([{ key: Buffer.from('k'), value: Buffer.from('v'), timestamp: undefined }])
  })

  it('says which row cannot be read, and which key cannot be written', async () => {
    await rowsOf('counts', partitionOf('a')).write([{ key: Buffer.from('a'), value: Buffer.alloc(9) }], 1)
    await expect(counts().get('a')).rejects.toMatchObject({ code: 'DESERIALIZATION', store: 'counts' })
    const numbered = queries.store<number, number>('counts')
    expect(() => queries.ownerOf('counts', 5)).toThrow('[INVALID_QUERY]')
    await expect(numbered.kind === 'key-value' && numbered.get(5)).rejects.toThrow('[INVALID_QUERY]')
  })
})

describe('a window store', () => {
  it('gives the windows of a key, oldest first, in pages', async () => {
    for (const startMs of [0, 10, 30, 40, 60]) await putWindow('tumbling', 'a', startMs, startMs / 10)
    await putWindow('tumbling', 'aa', 10)
    const { rows: found, next } = await windowsOf('tumbling').fetch('a', { fromMs: 10, toMs: 40 })
    expect(found).toEqual(
      [10, 30, 40].map((startMs) => ({
        key: 'a',
        startMs,
        endMs: startMs + 10,
        value: startMs / 10,
        timestamp: startMs,
      })),
    )
    expect(next).toBeUndefined()
    for (const limit of [1, 2, 3]) {
      const pages = await every((after) =>
        windowsOf('tumbling').fetch('a', { fromMs: 0, toMs: 1_000, limit, ...after }),
      )
      expect(pages.flat().map(({ startMs }) => startMs)).toEqual([0, 10, 30, 40, 60])
      expect(pages.length).toBe(Math.ceil(5 / limit))
    }
  })

  it('finds hopping windows between those that start at their size', async () => {
    for (const startMs of [0, 5, 10]) await putWindow('hopping', 'a', startMs)
    const { rows: found } = await windowsOf('hopping').fetch('a', { fromMs: 1, toMs: 10 })
    expect(found.map(({ startMs, endMs }) => [startMs, endMs])).toEqual([
      [5, 15],
      [10, 20],
    ])
  })

  it('looks at a bounded number of windows for a page, and goes on behind them', async () => {
    await putWindow('by-arrival', 'a', 0)
    await putWindow('by-arrival', 'a', 100_000)
    const pages = await every((after) => windowsOf('by-arrival').fetch('a', { fromMs: 0, toMs: 200_000, ...after }))
    expect(pages.map((page) => page.map(({ startMs }) => startMs))).toEqual([[0], [], [100_000]])
  })

  it('begins with the oldest window that it has', async () => {
    await putWindow('by-arrival', 'a', 1_000_000_000)
    await putWindow('by-arrival', 'a', 1_000_000_010)
    const { rows: found, next } = await windowsOf('by-arrival').fetch('a')
    expect(found.map(({ startMs }) => startMs)).toEqual([1_000_000_000, 1_000_000_010])
    expect(next).toBeUndefined()
  })

  it('gives the windows of every key by their start', async () => {
    for (const key of ['a', 'b', 'c', 'd']) for (const startMs of [0, 10, 20]) await putWindow('tumbling', key, startMs)
    const pages = await every((after) => windowsOf('tumbling').fetchAll({ fromMs: 10, toMs: 20, limit: 3, ...after }))
    const found = pages.flat().map(({ key, startMs }) => `${key}@${startMs}`)
    expect([...found].sort()).toEqual(['a', 'b', 'c', 'd'].flatMap((key) => [`${key}@10`, `${key}@20`]).sort())
    for (let partition = 0; partition < partitions; partition++) {
      const starts = pages
        .flat()
        .filter(({ key }) => partitionOf(key) === partition)
        .map(({ startMs }) => startMs)
      expect(starts).toEqual([...starts].sort((left, right) => left - right))
    }
    expect((await every((after) => windowsOf('tumbling').all(after))).flat()).toHaveLength(12)
  })

  it('hides windows past the retention, counted from the newest start of the partition, by the rule of the store', async () => {
    const visible = async (name: string) =>
      (await windowsOf(name).fetch('a', { fromMs: 0, toMs: 1_000 })).rows.map(({ startMs }) => startMs)
    for (const name of ['tumbling', 'hopping', 'by-arrival']) {
      for (const startMs of [90, 100, 110, 200]) await putWindow(name, 'a', startMs)
    }
    // Retention 100, newest start 200: 100 is the last one hidden, or the first one shown where final results are.
    expect(await visible('tumbling')).toEqual([110, 200])
    expect(await visible('hopping')).toEqual([100, 110, 200])
    expect(await visible('by-arrival')).toEqual([90, 100, 110, 200])
    const { rows: all } = await windowsOf('tumbling').all()
    expect(all.map(({ startMs }) => startMs)).toEqual([110, 200])
  })

  it('is empty while nothing was written', async () => {
    expect(await windowsOf('tumbling').fetch('a', { fromMs: 0 })).toEqual({ rows: [], next: undefined })
    expect(await windowsOf('tumbling').all()).toEqual({ rows: [], next: undefined })
  })

  it.each([{ fromMs: 2, toMs: 1 }, { fromMs: 0.5 }, { toMs: Number.NaN }])('refuses the range %j', async (range) => {
    await expect(windowsOf('tumbling').fetch('a', range)).rejects.toMatchObject({ code: 'INVALID_QUERY' })
    await expect(windowsOf('tumbling').fetchAll(range)).rejects.toMatchObject({ code: 'INVALID_QUERY' })
  })
})

describe('pages', () => {
  it.each([0, -1, 1_001, 1.5, Number.NaN])('refuse a limit of %s', async (limit) => {
    await expect(counts().all({ limit })).rejects.toThrow('[INVALID_QUERY] limit must be a whole number from 1 to 1000')
  })

  it.each(['', 'x', '-1', '1.*', '1.a.b', 'a'.repeat(70_000)])('refuse a cursor like %j', async (after) => {
    await expect(counts().all({ after })).rejects.toThrow('[INVALID_QUERY] after must be')
  })

  it('refuse the cursor of another query', async () => {
    await putWindow('tumbling', 'a', 0)
    const after = `${partitionOf('a')}.YQ`
    await expect(windowsOf('tumbling').fetch('a', { after })).rejects.toMatchObject({ code: 'INVALID_QUERY' })
  })

  it.each([-1, 3, 0.5])('refuse partition %s', async (partition) => {
    await expect(counts().all({ partition })).rejects.toThrow(
      '[INVALID_QUERY] partition must be a whole number from 0 to 2',
    )
  })
})

describe('finding a store', () => {
  it('knows only those of the topology', () => {
    expect(() => queries.store('other')).toThrow(
      '[STORE_UNKNOWN] there is no store "other"; the topology has counts, raw, tumbling, hopping, by-arrival',
    )
  })

  it.each(['created', 'starting'] as RunState[])('is too early while the application is %s', async (state) => {
    world.state = state
    world.plan = undefined
    world.group = undefined
    world.rowsOf = () => undefined
    for (const query of [counts().get('a'), counts().all()])
      await expect(query).rejects.toMatchObject({ code: 'STORE_NOT_READY', retryable: true })
    expect(() => queries.ownerOf('counts', 'a')).toThrow('[STORE_NOT_READY]')
  })

  it.each(['closed', 'failed'] as RunState[])('is too late when the application is %s', async (state) => {
    world.state = state
    for (const query of [counts().get('a'), counts().all()])
      await expect(query).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('waits for what is being restored, rather than to answer without it', async () => {
    await putCount('a', 1)
    stored.delete(`counts-${partitionOf('a')}`)
    for (const query of [counts().get('a'), counts().all()])
      await expect(query).rejects.toThrow(`partition ${partitionOf('a')} is being restored; try again`)
  })

  it('tells who has what is elsewhere', async () => {
    const elsewhere = partitionOf('a')
    const own = [0, 1, 2].filter((partition) => partition !== elsewhere)
    world.group = { instanceId: here, view: viewOf(own, [elsewhere], own) }
    stored.delete(`counts-${elsewhere}`)
    await expect(counts().get('a')).rejects.toMatchObject({
      code: 'STORE_ELSEWHERE',
      endpoint: 'http://there:2',
      partition: elsewhere,
    })
    expect(queries.ownerOf('counts', 'a')).toEqual({
      partition: elsewhere,
      endpoint: 'http://there:2',
      isLocal: false,
      standbys: [],
    })
    const ours = ['b', 'c', 'd', 'e'].find((key) => partitionOf(key) !== elsewhere) ?? ''
    expect(queries.ownerOf('counts', ours)).toEqual({
      partition: partitionOf(ours),
      endpoint: 'http://here:1',
      isLocal: true,
      standbys: ['http://there:2'],
    })
    // What is here is all there is to page through.
    await putCount(ours, 1)
    expect((await every((after) => counts().all(after))).flat().map(({ key }) => key)).toEqual([ours])
    await expect(counts().all({ after: String(elsewhere) })).rejects.toMatchObject({ code: 'STORE_ELSEWHERE' })
  })

  it('says that nobody has what is on its way', async () => {
    world.group = { instanceId: here, view: viewOf([], []) }
    stored.clear()
    await expect(counts().get('a')).rejects.toThrow('is on its way from one member to another; try again')
  })

  it('reads copies that may lag behind only when told', async () => {
    await putCount('a', 3)
    world.group = { instanceId: here, view: viewOf([], [0, 1, 2]) }
    for (const store of stored.values()) store.standby = true
    await expect(counts().get('a')).rejects.toMatchObject({ code: 'STORE_ELSEWHERE' })
    expect((await counts().all()).rows).toEqual([])
    expect(await counts().get('a', { staleOk: true })).toMatchObject({ value: 3 })
    expect((await every((after) => counts().all({ staleOk: true, ...after }))).flat()).toHaveLength(1)
    expect(await queries.snapshot(memoryStores('here'))).toMatchObject(
      specs.map(({ name }) => ({ name, partitions: [], standbys: [0, 1, 2] })),
    )
  })
})

it('tells which stores there are, and how large they are', async () => {
  const place = memoryStores('here')
  const store = await place.open('counts', 1)
  await store.write([{ key: Buffer.from('k'), value: Buffer.from('four') }], 1)
  const [snapshot] = await queries.snapshot(place)
  expect(snapshot).toEqual({
    name: 'counts',
    kind: 'key-value',
    windowSizeMs: undefined,
    retentionMs: undefined,
    partitions: [0, 1, 2],
    standbys: [],
    rowsEstimate: 1,
    bytesEstimate: 5,
  })
})
