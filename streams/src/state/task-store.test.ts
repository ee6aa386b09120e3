import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MemoryContent, MemoryStore } from './memory-store.ts'
import type { ByteStore, ChangelogEntries, ChangelogEntry, Changes, Row } from './store.ts'
import { CachedTaskStore, type CachedTaskStoreOptions } from './task-store.ts'
import { timestampedValue } from './timestamped-value.ts'
import { keyOfWindowRow, windowChangelogKey, windowRowKey } from './window-key.ts'

const key = (text: string) => Buffer.from(text)

/** A byte store whose rows have to be loaded, as those on a disk, with a record of what was asked of it. */
class LoadedStore implements ByteStore {
  readonly content = new MemoryContent()
  readonly loads: number[] = []
  readonly writes: Changes[] = []
  readonly #inner = new MemoryStore(this.content)

  async multiGet(keys: readonly Buffer[]) {
    this.loads.push(keys.length)
    return this.#inner.multiGet(keys)
  }
  range = (from: Buffer, to: Buffer, limit: number) => this.#inner.range(from, to, limit)
  lastKey = () => this.#inner.lastKey()
  changelogOffset = () => this.#inner.changelogOffset()
  async write(changes: Changes, changelogOffset: number) {
    this.writes.push(changes)
    await this.#inner.write(changes, changelogOffset)
  }
  wipe = () => this.#inner.wipe()
  close = () => this.#inner.close()
}

function taskStore(rows: ByteStore, options: Partial<CachedTaskStoreOptions> = {}): CachedTaskStore {
  return new CachedTaskStore({ name: 'counts', timestamped: false, rows, changelogOffset: 0, ...options })
}

/** Entries of their own: those of a visit are made anew for the next. */
function entriesOf(entries: ChangelogEntries): ChangelogEntry[] {
  const own: ChangelogEntry[] = []
  entries.forEach((entry) => {
    own.push({
      key: Buffer.from(entry.key),
      value: entry.value && Buffer.from(entry.value),
      timestamp: entry.timestamp,
    })
  })
  return own
}

async function rowsOf(store: CachedTaskStore, from = key(''), to = Buffer.from([255])): Promise<string[]> {
  const found: string[] = []
  for await (const row of store.range(from, to)) found.push(`${row.key}=${row.value}`)
  return found
}

describe('a task store', () => {
  it('reads what was loaded, many rows at a time', async () => {
    const rows = new LoadedStore()
    await rows.write([{ key: key('a'), value: key('1') }], 5)
    const store = taskStore(rows, { changelogOffset: 5 })
    expect(store.has(key('a'))).toBe(false)
    expect(() => store.get(key('a'))).toThrow('[INVALID_STATE]')
    store.want(key('a'))
    store.want(key('b'))
    store.want(key('a'))
    await store.load()
    expect(rows.loads).toEqual([2])
    expect(store.get(key('a'))).toEqual(key('1'))
    expect(store.get(key('b'))).toBeNull()
    store.want(key('a'))
    await store.load()
    expect(rows.loads).toEqual([2])
  })

  it('shows others what is committed, and nothing of what is not', async () => {
    const rows = new LoadedStore()
    await rows.write([{ key: key('a'), value: key('1') }], 5)
    const store = taskStore(rows, { changelogOffset: 5 })
    store.put(key('a'), key('2'), 0)
    store.put(key('b'), key('2'), 0)
    const committed = () => store.committed.range(key(''), Buffer.from([255]), 10)
    expect(await committed()).toEqual([{ key: key('a'), value: key('1') }])
    store.drain()
    expect(await committed()).toEqual([{ key: key('a'), value: key('1') }])
    await store.commit(7)
    expect(await committed()).toEqual([
      { key: key('a'), value: key('2') },
      { key: key('b'), value: key('2') },
    ])
  })

  it('tells what it holds, and how often that was enough', async () => {
    const rows = new LoadedStore()
    await rows.write([{ key: key('a'), value: key('1') }], 5)
    const store = taskStore(rows, { changelogOffset: 5 })
    for (const name of ['a', 'b']) store.want(key(name))
    await store.load()
    for (const name of ['a', 'a', 'b']) store.get(key(name))
    expect(store.stats).toMatchObject({ rows: 2, reads: 3, loads: 2 })
    expect(store.stats.bytes).toBe(store.memoryBytes)
  })

  it('needs no loading over rows in memory', async () => {
    const store = taskStore(new MemoryStore())
    expect(store.has(key('a'))).toBe(true)
    expect(store.get(key('a'))).toBeNull()
    store.put(key('a'), key('1'), 10)
    store.drain()
    await store.commit(1)
    store.drain()
    expect(store.memoryBytes).toBe(0)
    expect(store.get(key('a'))).toEqual(key('1'))
  })

  it('keeps changes to itself until the commit', async () => {
    const rows = new LoadedStore()
    const store = taskStore(rows)
    store.put(key('a'), key('1'), 10)
    store.put(key('b'), key('2'), 20)
    store.put(key('a'), key('3'), 30)
    expect(store.get(key('a'))).toEqual(key('3'))
    expect(entriesOf(store.drain())).toEqual([
      { key: key('a'), value: key('3'), timestamp: 30 },
      { key: key('b'), value: key('2'), timestamp: 20 },
    ])
    expect(rows.writes).toEqual([])
    await store.commit(2)
    expect(await rows.changelogOffset()).toBe(2)
    expect(await rows.multiGet([key('a'), key('b')])).toEqual([key('3'), key('2')])
    expect(entriesOf(store.drain())).toEqual([])
  })

  it('writes nothing when nothing changed, and keeps the offset when only rows expired', async () => {
    const rows = new LoadedStore()
    const store = taskStore(rows)
    await store.commit()
    expect(rows.writes).toEqual([])
    store.put(key('a'), key('1'), 10)
    store.drain()
    await store.commit(7)
    store.expire(key('a'))
    expect(entriesOf(store.drain())).toEqual([])
    await store.commit()
    expect(rows.writes.length).toBe(2)
    expect(await rows.changelogOffset()).toBe(7)
    expect(await rows.multiGet([key('a')])).toEqual([null])
  })

  it('refuses a changelog offset that goes back', async () => {
    const store = taskStore(new LoadedStore(), { changelogOffset: 9 })
    await expect(store.commit(8)).rejects.toThrow('[INVALID_STATE]')
  })

  it('writes keys of windows as changelogs have them', () => {
    const store = taskStore(new LoadedStore(), { windowed: true })
    const rowKey = windowRowKey(key('a'), 1_000)
    store.put(rowKey, null, 10)
    expect(entriesOf(store.drain())).toEqual([{ key: windowChangelogKey(rowKey), value: null, timestamp: 10 }])
  })

  it('leaves the time of timestamped values out of the changelog', async () => {
    const rows = new LoadedStore()
    const store = taskStore(rows, { timestamped: true })
    const value = timestampedValue(key('1'), 10)
    store.put(key('a'), value, 10)
    store.put(key('b'), null, 11)
    expect(store.get(key('a'))).toEqual(value)
    expect(entriesOf(store.drain())).toEqual([
      { key: key('a'), value: key('1'), timestamp: 10 },
      { key: key('b'), value: null, timestamp: 11 },
    ])
    await store.commit(2)
    expect(await rows.multiGet([key('a'), key('b')])).toEqual([value, null])
  })

  it('forgets on rollback, drained changes too', async () => {
    const rows = new LoadedStore()
    await rows.write([{ key: key('a'), value: key('1') }], 1)
    const store = taskStore(rows, { changelogOffset: 1 })
    store.put(key('a'), key('2'), 10)
    store.drain()
    store.put(key('a'), key('3'), 10)
    store.put(key('b'), key('4'), 10)
    store.rollback()
    store.want(key('a'))
    store.want(key('b'))
    await store.load()
    expect(store.get(key('a'))).toEqual(key('1'))
    expect(store.get(key('b'))).toBeNull()
    expect(entriesOf(store.drain())).toEqual([])
  })

  it('commits what was drained, not what changed since', async () => {
    const rows = new LoadedStore()
    const store = taskStore(rows)
    store.put(key('a'), key('1'), 10)
    store.drain()
    store.put(key('a'), key('2'), 11)
    await store.commit(1)
    expect(await rows.multiGet([key('a')])).toEqual([key('1')])
    expect(store.get(key('a'))).toEqual(key('2'))
    expect(entriesOf(store.drain())).toEqual([{ key: key('a'), value: key('2'), timestamp: 11 }])
  })

  it('ranges over committed rows and changes alike', async () => {
    const rows = new LoadedStore()
    await rows.write(
      ['a', 'c', 'e', 'g'].map((name) => ({ key: key(name), value: key('old') })),
      4,
    )
    const store = taskStore(rows, { changelogOffset: 4 })
    store.put(key('b'), key('new'), 1)
    store.put(key('c'), key('new'), 1)
    store.put(key('e'), null, 1)
    store.expire(key('g'))
    store.put(key('h'), key('new'), 1)
    expect(await rowsOf(store)).toEqual(['a=old', 'b=new', 'c=new', 'h=new'])
    expect(await rowsOf(store, key('b'), key('h'))).toEqual(['b=new', 'c=new'])
  })

  it('pages long ranges and lets rows change on the way', async () => {
    const rows = new LoadedStore()
    const names = Array.from({ length: 1_300 }, (_, index) => key(String(index).padStart(5, '0')))
    await rows.write(
      names.map((name) => ({ key: name, value: key('old') })),
      1,
    )
    const store = taskStore(rows, { changelogOffset: 1 })
    let seen = 0
    for await (const row of store.range(key('0'), key('9'))) {
      store.expire(row.key)
      seen++
    }
    expect(seen).toBe(1_300)
    expect(await rowsOf(store)).toEqual([])
  })

  it('is full when changes and loads since the commit reach the bound', async () => {
    const store = taskStore(new LoadedStore(), { dirtyBytesMax: 2_000 })
    store.put(key('a'), Buffer.alloc(1_000), 1)
    expect(store.full).toBe(false)
    store.want(key('b'))
    store.want(key('c'))
    store.want(key('d'))
    await store.load()
    expect(store.full).toBe(true)
    store.drain()
    await store.commit(1)
    expect(store.full).toBe(false)
  })

  it('keeps loaded rows until they are drained and is within its bound then', async () => {
    const rows = new LoadedStore()
    const names = Array.from({ length: 100 }, (_, index) => key(`k${index}`))
    await rows.write(
      names.map((name) => ({ key: name, value: Buffer.alloc(1_000) })),
      1,
    )
    const store = taskStore(rows, { changelogOffset: 1, cachedBytesMax: 20_000 })
    for (const name of names) store.want(name)
    await store.load()
    for (const name of names) expect(store.has(name)).toBe(true)
    store.drain()
    expect(store.memoryBytes).toBeLessThanOrEqual(20_000)
    expect(store.memoryBytes).toBeGreaterThan(10_000)
  })

  it('writes rows whose table is rid of garbage and cut to the bound in one commit', async () => {
    const rows = new LoadedStore()
    const store = taskStore(rows, { cachedBytesMax: 2_000 })
    const keys = Array.from({ length: 200 }, (_, index) => key(`key-${index}`))
    for (let round = 1; round <= 4; round++) {
      for (const each of keys) store.want(each)
      await store.load()
      for (let time = 0; time < 6; time++)
        for (const each of keys) store.put(each, key(`${round}.${time}`.padEnd(60)), round)
      expect(store.drain()).toHaveLength(keys.length)
      await store.commit(round)
      const stored = (await rows.multiGet(keys)).map(String)
      expect(new Set(stored)).toEqual(new Set([`${round}.5`.padEnd(60)]))
    }
  })

  it('keeps rows in use over rows that are not', async () => {
    const rows = new LoadedStore()
    const store = taskStore(rows, { cachedBytesMax: 20_000 })
    const hot = key('hot')
    store.put(hot, Buffer.alloc(1_000), 1)
    store.drain()
    await store.commit(1)
    for (let round = 0; round < 50; round++) {
      store.get(hot)
      store.put(key(`cold${round}`), Buffer.alloc(1_000), 1)
      store.drain()
      await store.commit(2 + round)
    }
    store.drain()
    expect(store.has(hot)).toBe(true)
    expect(store.has(key('cold0'))).toBe(false)
    expect(store.memoryBytes).toBeLessThanOrEqual(20_000)
  })

  it('keeps rows for who has asked for them while a commit is under way', async () => {
    const rows = new LoadedStore()
    const store = taskStore(rows, { cachedBytesMax: 0 })
    store.put(key('a'), key('1'), 1)
    store.put(key('b'), null, 1)
    store.drain()
    const committed = store.commit(1)
    expect([store.has(key('a')), store.has(key('b'))]).toEqual([true, true])
    await committed
    expect([store.get(key('a')), store.get(key('b'))]).toEqual([key('1'), null])
    store.drain()
    expect([store.has(key('a')), store.has(key('b')), store.memoryBytes]).toEqual([false, false, 0])
  })

  describe('of windows', () => {
    const row = (name: string, startMs: number) => windowRowKey(key(name), startMs)

    async function load(store: CachedTaskStore, ...keys: Buffer[]): Promise<(string | null)[]> {
      for (const each of keys) if (!store.has(each)) store.want(each)
      await store.load()
      return keys.map((each) => store.get(each)?.toString() ?? null)
    }

    it('knows how new its rows are before one is asked for, once it was told to load', async () => {
      const rows = new LoadedStore()
      await rows.write([{ key: row('a', 20), value: key('1') }], 1)
      const store = taskStore(rows, { windowed: true, changelogOffset: 1 })
      expect(store.has(row('a', 30))).toBe(false)
      await store.load()
      expect([store.has(row('a', 30)), store.has(row('a', 20))]).toEqual([true, false])
      expect(rows.loads).toEqual([])
    })

    it('reads no row of a window that is newer than all that was stored', async () => {
      const rows = new LoadedStore()
      await rows.write([{ key: row('a', 20), value: key('1') }], 1)
      const store = taskStore(rows, { windowed: true, changelogOffset: 1 })
      expect(store.has(row('a', 30))).toBe(false)
      expect(await load(store, row('a', 30), row('a', 20), row('b', 10))).toEqual([null, '1', null])
      expect(rows.loads).toEqual([2])
      expect(store.has(row('c', 30))).toBe(true)
      expect(store.get(row('c', 30))).toBeNull()
      expect([store.has(row('c', 20)), store.has(row('c', 10))]).toEqual([false, false])
    })

    it('reads again what has left the memory, oldest windows first', async () => {
      const rows = new LoadedStore()
      const store = taskStore(rows, { windowed: true, cachedBytesMax: 20_000 })
      await load(store, row('a', 10))
      for (const startMs of [10, 20, 30]) {
        store.put(row('a', startMs), Buffer.alloc(7_000, startMs), 1)
        store.drain()
        await store.commit(startMs)
      }
      store.drain()
      expect(store.memoryBytes).toBeLessThanOrEqual(20_000)
      expect([10, 20, 30].map((startMs) => store.has(row('a', startMs)))).toEqual([false, true, true])
      expect([10, 20].map((startMs) => store.has(row('b', startMs)))).toEqual([false, true])
      expect(await load(store, row('a', 10), row('a', 20))).toEqual([
        Buffer.alloc(7_000, 10).toString(),
        Buffer.alloc(7_000, 20).toString(),
      ])
    })

    it('lose no row of a known window when garbage is cleared away', async () => {
      const rows = new LoadedStore()
      const store = taskStore(rows, { windowed: true })
      await load(store, row('first', 10))
      const names = Array.from({ length: 4_095 }, (_, i) => row(String.fromCharCode(i & 63, i >> 6), 10))
      for (const name of names) store.put(name, key('1'), 1)
      for (let round = 0; round < 100; round++) {
        for (const name of names.slice(2_048)) store.put(name, key('2'), 1)
        store.drain()
        await store.commit(round)
      }
      expect(store.memoryBytes).toBeLessThan(1_000_000)
      expect(names.map((name) => store.get(name)?.toString())).toEqual(names.map((_, i) => (i < 2_048 ? '1' : '2')))
    })

    it('are bounded within one window, too', async () => {
      const rows = new LoadedStore()
      const store = taskStore(rows, { windowed: true, cachedBytesMax: 100_000 })
      await load(store, row('first', 10))
      for (let round = 0; round < 40; round++) {
        for (let i = 0; i < 100; i++) store.put(row(`${round}-${i}`, 10), key(`${round}`), 1)
        store.drain()
        expect(store.memoryBytes).toBeLessThanOrEqual(120_000)
        await store.commit(round)
      }
      const names = Array.from({ length: 40 }, (_, round) => row(`${round}-7`, 10))
      expect(await load(store, ...names)).toEqual(names.map((_, round) => `${round}`))
      expect(await load(store, row('new', 10))).toEqual([null])
    })
  })

  it('behaves as a plain map does, whatever the order of calls', async () => {
    const letter = fc.constantFrom('a', 'b', 'c', 'd', 'e')
    const step = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({
          do: fc.constant('put' as const),
          at: letter,
          value: fc.option(fc.string({ maxLength: 3 }), { nil: null }),
        }),
      },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('expire' as const), at: letter }) },
      {
        weight: 2,
        arbitrary: fc.record({ do: fc.constantFrom('commit' as const, 'rollback' as const, 'drain' as const) }),
      },
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.constantFrom(0, 700, 4_000, 1_000_000),
        fc.boolean(),
        async (steps, cachedBytesMax, windowed) => {
          // Two windows of rows: a and b, c to e.
          const key = (name: string) =>
            windowed ? windowRowKey(Buffer.from(name), name < 'c' ? 5 : 6) : Buffer.from(name)
          const nameOf = (row: Buffer) => (windowed ? keyOfWindowRow(row) : row).toString()
          const rows = new LoadedStore()
          const store = taskStore(rows, { cachedBytesMax, windowed })
          let committed = new Map<string, string>()
          let current = new Map<string, string>()
          let offset = 0
          for (const at of steps) {
            if (at.do === 'put') {
              store.put(key(at.at), at.value === null ? null : Buffer.from(at.value), 1)
              if (at.value === null) current.delete(at.at)
              else current.set(at.at, at.value)
            } else if (at.do === 'expire') {
              store.expire(key(at.at))
              current.delete(at.at)
            } else if (at.do === 'commit') {
              store.drain()
              await store.commit(++offset)
              committed = new Map(current)
            } else if (at.do === 'rollback') {
              store.rollback()
              current = new Map(committed)
            } else store.drain()
            const found: string[] = []
            for await (const row of store.range(Buffer.alloc(0), Buffer.from([255])))
              found.push(`${nameOf(row.key)}=${row.value}`)
            expect(found).toEqual(
              [...current]
                .sort(([left], [right]) => (left < right ? -1 : 1))
                .map(([name, value]) => `${name}=${value}`),
            )
            for (const name of ['a', 'b', 'c', 'd', 'e']) {
              store.want(key(name))
              await store.load()
              expect(store.get(key(name))?.toString() ?? null).toBe(current.get(name) ?? null)
            }
          }
          const left: Row[] = [...(await rows.range(Buffer.alloc(0), Buffer.from([255]), 100))]
          expect(left.map((row) => nameOf(row.key)).sort()).toEqual([...committed.keys()].sort())
        },
      ),
    )
  })
})
