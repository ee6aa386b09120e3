import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ByteStore, ByteStoreProvider, Row } from '../../state/store.ts'

/** How the suite gets at an implementation. */
export interface ByteStoreSubject {
  /** A provider on a new, empty place, for stores named `first` and `second`. */
  create(): Promise<ByteStoreProvider>
  /** Closes the provider and opens the same place again, as a restart does. Absent: nothing survives the provider. */
  restart?(provider: ByteStoreProvider): Promise<ByteStoreProvider>
}

/** What every `ByteStoreProvider` and its stores must do. An implementation is done when this is green. */
export function describeByteStores(name: string, subject: ByteStoreSubject): void {
  describe(`${name}: byte stores`, () => {
    let provider: ByteStoreProvider
    let store: ByteStore

    beforeEach(async () => {
      provider = await subject.create()
      store = await provider.open('first', 0)
    })
    afterEach(() => provider.close())

    it('return values in the order of the keys, null where there is no row', async () => {
      await store.write([put('a', '1'), put('b', ''), put('c', '3')], 3)
      expect(await store.multiGet([key('c'), key('x'), key('b'), key('a'), key('a')])).toEqual([
        key('3'),
        null,
        Buffer.alloc(0),
        key('1'),
        key('1'),
      ])
      expect(await store.multiGet([])).toEqual([])
    })

    it('apply the changes of a write in their order', async () => {
      await store.write([put('a', '1'), drop('a'), put('b', '2'), put('b', '3'), drop('never')], 1)
      expect(await store.multiGet([key('a'), key('b')])).toEqual([null, key('3')])
    })

    it('know no changelog offset before the first write, and the last one after it', async () => {
      expect(await store.changelogOffset()).toBeUndefined()
      await store.write([], 0)
      expect(await store.changelogOffset()).toBe(0)
      await store.write([put('a', '1')], 2 ** 40 + 7)
      expect(await store.changelogOffset()).toBe(2 ** 40 + 7)
    })

    it('range in the order of unsigned bytes, the end exclusive, at most as many as asked', async () => {
      const keys = [[], [0], [0, 0], [1], [127], [128], [255], [255, 255]].map((bytes) => Buffer.from(bytes))
      await store.write(
        [...keys].reverse().map((each) => ({ key: each, value: Buffer.from(each) })),
        1,
      )
      const from = async (start: number[], end: number[], limit = 100) =>
        (await store.range(Buffer.from(start), Buffer.from(end), limit)).map((row) => [...row.key])
      expect(await from([], [255, 255, 255])).toEqual(keys.map((each) => [...each]))
      expect(await from([0, 0], [128])).toEqual([[0, 0], [1], [127]])
      expect(await from([0], [255], 3)).toEqual([[0], [0, 0], [1]])
      expect(await from([2], [2])).toEqual([])
      expect(await from([3], [2])).toEqual([])
      expect(await from([0], [1], 0)).toEqual([])
    })

    it('know the largest key of their partition', async () => {
      const others = await Promise.all([provider.open('first', 1), provider.open('second', 0)])
      for (const other of others) await other.write([put('z', '1')], 1)
      expect(await store.lastKey()).toBeUndefined()
      await store.write([], 1)
      expect(await store.lastKey()).toBeUndefined()
      await store.write([put('a', '1'), put('c', '1'), put('b', '1')], 2)
      expect(await store.lastKey()).toEqual(key('c'))
      await store.write([{ key: Buffer.from([255, 255]), value: key('1') }, drop('c')], 3)
      expect(await store.lastKey()).toEqual(Buffer.from([255, 255]))
      await store.write([drop('a'), drop('b'), { key: Buffer.from([255, 255]), value: null }], 4)
      expect(await store.lastKey()).toBeUndefined()
    })

    it('estimate how much is stored', async () => {
      expect(await provider.estimate('second')).toMatchObject({ rows: 0 })
      const rows = Array.from({ length: 100 }, (_, index) => put(`k${index}`, 'x'.repeat(1_000)))
      await store.write(rows, 1)
      const { rows: count, bytes } = await provider.estimate('first')
      expect(count).toBeGreaterThanOrEqual(100)
      expect(bytes).toBeGreaterThanOrEqual(100_000)
    })

    it('page by the last key and a zero byte behind it', async () => {
      const all = Array.from({ length: 2_500 }, (_, index) => put(String(index).padStart(6, '0'), String(index)))
      await store.write(all, 1)
      const seen: Row[] = []
      for (let start = key(''); ; ) {
        const page = await store.range(start, Buffer.from([255]), 1_000)
        seen.push(...page)
        const last = page.at(-1)
        if (last === undefined) break
        start = Buffer.concat([last.key, Buffer.alloc(1)])
      }
      expect(seen.map((row) => row.value.toString())).toEqual(all.map((_, index) => String(index)))
    })

    it('keep partitions and stores apart', async () => {
      const others = await Promise.all([
        provider.open('first', 1),
        provider.open('first', 256),
        provider.open('second', 0),
      ])
      await store.write([put('a', '1')], 1)
      for (const other of others) {
        expect(await other.multiGet([key('a')])).toEqual([null])
        expect(await other.changelogOffset()).toBeUndefined()
        await other.write([put('a', 'other')], 9)
      }
      expect(await store.range(key(''), Buffer.from([255, 255]), 10)).toEqual([{ key: key('a'), value: key('1') }])
      await store.wipe()
      expect(await store.multiGet([key('a')])).toEqual([null])
      expect(await store.changelogOffset()).toBeUndefined()
      for (const other of others) {
        expect(await other.multiGet([key('a')])).toEqual([key('other')])
        expect(await other.changelogOffset()).toBe(9)
      }
    })

    it('take writes again after a wipe', async () => {
      await store.write([put('a', '1'), put('b', '1')], 1)
      await store.wipe()
      await store.write([put('b', '2')], 5)
      expect(await store.multiGet([key('a'), key('b')])).toEqual([null, key('2')])
      expect(await store.changelogOffset()).toBe(5)
    })

    it('take large values and many rows at once', async () => {
      const large = Buffer.alloc(1_000_000, 7)
      await store.write(
        Array.from({ length: 20 }, (_, index) => ({ key: key(`k${index}`), value: large })),
        1,
      )
      const found = await store.multiGet(Array.from({ length: 20 }, (_, index) => key(`k${index}`)))
      expect(found.every((value) => value?.equals(large))).toBe(true)
    })

    it('are open once', async () => {
      await expect(provider.open('first', 0)).rejects.toThrow('[INVALID_STATE]')
      await store.close()
      await store.close()
      store = await provider.open('first', 0)
    })

    it("answer nothing once they are closed: the rows may be the next owner's", async () => {
      await store.write([put('a', '1')], 1)
      const under = store.multiGet([key('a')]).catch((error: unknown) => error)
      await store.close()
      // As it was, or not at all.
      const answer = await under
      if (answer instanceof Error) expect(answer).toMatchObject({ code: 'STORE_NOT_READY' })
      else expect(answer).toEqual([key('1')])
      const next = await provider.open('first', 0)
      await next.write([put('a', '2')], 2)
      const later = [store.multiGet([key('a')]), store.range(key('a'), key('b'), 1), store.lastKey()]
      for (const read of later) await expect(read).rejects.toMatchObject({ code: 'STORE_NOT_READY' })
      expect(await next.multiGet([key('a')])).toEqual([key('2')])
      await next.close()
    })

    it('list the partitions that hold rows', async () => {
      expect(await provider.partitionsOnDisk('first')).toEqual([])
      await (await provider.open('first', 12)).write([put('a', '1')], 1)
      await (await provider.open('first', 3)).write([], 1)
      expect(await provider.partitionsOnDisk('first')).toEqual([3, 12])
      expect(await provider.partitionsOnDisk('second')).toEqual([])
    })

    it('begin empty after a discard', async () => {
      await store.write([put('a', '1')], 1)
      await store.close()
      const { processId } = provider
      await provider.discard()
      store = await provider.open('first', 0)
      expect(await store.multiGet([key('a')])).toEqual([null])
      expect(await store.changelogOffset()).toBeUndefined()
      expect(provider.processId).toBe(processId)
      await store.write([put('a', '2')], 1)
      expect(await store.multiGet([key('a')])).toEqual([key('2')])
    })

    it('close more than once', async () => {
      await provider.close()
      await provider.close()
    })

    it('hold what a plain map holds, whatever is written', async () => {
      const bytes = fc.uint8Array({ maxLength: 4 }).map((each) => Buffer.from(each))
      const change = fc.record({ key: bytes, value: fc.option(bytes, { nil: null }) })
      await fc.assert(
        fc.asyncProperty(fc.array(fc.array(change, { maxLength: 8 }), { maxLength: 5 }), async (writes) => {
          await store.wipe()
          const expected = new Map<string, Row>()
          for (const [index, changes] of writes.entries()) {
            await store.write(changes, index)
            for (const { key, value } of changes) {
              if (value === null) expected.delete(key.toString('hex'))
              else expected.set(key.toString('hex'), { key, value })
            }
          }
          const rows = await store.range(Buffer.alloc(0), Buffer.alloc(8, 255), 1_000)
          expect(rows).toEqual([...expected.values()].sort((left, right) => Buffer.compare(left.key, right.key)))
        }),
        { numRuns: 50 },
      )
    })

    const { restart } = subject
    // What does not outlive its process has nothing to find.
    if (restart === undefined) return
    it('find rows, offset and process id again after a restart', async () => {
      await store.write([put('a', '1'), put('b', '2')], 1)
      await store.write([drop('a')], 42)
      const { processId } = provider
      provider = await restart(provider)
      store = await provider.open('first', 0)
      expect(await store.multiGet([key('a'), key('b')])).toEqual([null, key('2')])
      expect(await store.changelogOffset()).toBe(42)
      expect(provider.processId).toBe(processId)
    })
  })
}

function key(text: string): Buffer {
  return Buffer.from(text)
}

function put(name: string, value: string) {
  return { key: key(name), value: key(value) }
}

function drop(name: string) {
  return { key: key(name), value: null }
}
