import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ByteStoreProvider } from '../state/store.ts'
import { describeByteStores } from '../testing/contracts/store.ts'
import { openRocksDbStores } from './rocksdb-stores.ts'

const stores = ['first', 'second']
let root: string
let places = 0

beforeEach(async () => {
  root ??= await mkdtemp(join(tmpdir(), 'millrace-rocksdb-'))
  places++
})
afterEach(() => rm(place(), { recursive: true, force: true }))
afterAll(() => rm(root, { recursive: true, force: true }))

const place = () => join(root, String(places))
const open = (names: readonly string[] = stores) => openRocksDbStores({ directory: place(), stores: names })

describeByteStores('RocksDB', {
  create: () => open(),
  restart: async (provider) => {
    await provider.close()
    return open()
  },
})

describe('a state directory', () => {
  it('is locked while it is open, and says by whom', async () => {
    const provider = await open()
    await expect(open()).rejects.toThrow(/\[STORE_LOCKED\].*is in use by process \d+ on .*: stop that process/)
    await provider.close()
    await (await open()).close()
  })

  it('opens with stores of an earlier topology, and keeps them', async () => {
    await fill(await open(['first', 'gone']), 'gone')
    await fill(await open(['first', 'added']), 'added')
    const provider = await open(['first', 'gone'])
    expect(await storedValue(provider, 'gone')).toEqual(Buffer.from('1'))
    await expect(provider.open('unknown', 0)).rejects.toThrow('[INVALID_STATE]')
    await provider.close()
  })

  it.each([
    ['a manifest with a flipped bit', flipIn('MANIFEST')],
    ['a table cut short', async () => truncate(await fileOf('.sst'), 100)],
    ['a missing table', async () => rm(await fileOf('.sst'))],
    ['an empty CURRENT', () => writeFile(join(place(), 'rocksdb', 'CURRENT'), '')],
    ['stores that nobody listed', () => rm(join(place(), 'stores'))],
  ])('with %s is moved aside and begun anew', async (_, damage) => {
    const before = await open([...stores, 'gone'])
    await fill(before, 'first')
    await (await open()).close() // what was in the log becomes a table
    await damage()
    const provider = await open()
    expect(await storedValue(provider, 'first')).toBeNull()
    expect(provider.processId).toBe(before.processId)
    await provider.close()
    expect(await readdir(join(place(), 'rocksdb.damaged'))).not.toEqual([])
  })

  it('reports a damaged row as such, and can be discarded', async () => {
    await fill(await open(), 'first')
    await (await open()).close()
    await flipIn('.sst', 10)()
    const provider = await open()
    await expect(storedValue(provider, 'first')).rejects.toThrow('[STORE_CORRUPT]')
    await provider.discard()
    expect(await storedValue(provider, 'first')).toBeNull()
    await provider.close()
  })

  it('that is being closed answers or refuses the reads under way, and refuses those that come later', async () => {
    const provider = await open()
    const store = await provider.open('first', 0)
    const rows = Array.from({ length: 1_000 }, (_, index) => ({
      key: Buffer.from(`k${index}`),
      value: Buffer.from('1'),
    }))
    await store.write(rows, 1)
    const under = [
      store.range(Buffer.alloc(0), Buffer.from([255]), 1_000),
      store.range(Buffer.alloc(0), Buffer.from([255]), 1),
    ]
    const looked = store.multiGet([Buffer.from('k1')])
    const closed = provider.close()
    const settled = await Promise.allSettled([...under, looked])
    for (const each of settled)
      if (each.status === 'rejected') expect(each.reason).toMatchObject({ code: 'STORE_FAILED', store: 'first' })
    await closed
    for (const read of [
      store.multiGet([Buffer.from('k1')]),
      store.range(Buffer.alloc(0), Buffer.from([255]), 1),
      store.lastKey(),
    ])
      await expect(read).rejects.toMatchObject({ code: 'STORE_FAILED', store: 'first' })
  })

  it('that is a file is refused, not replaced', async () => {
    await writeFile(place(), 'mine')
    await expect(open()).rejects.toThrow('[STORE_FAILED]')
    expect(await readFile(place(), 'utf8')).toBe('mine')
    await rm(place())
    await mkdir(place())
    await writeFile(join(place(), 'rocksdb'), 'mine')
    await expect(open()).rejects.toThrow('[STORE_FAILED]')
    expect(await readFile(join(place(), 'rocksdb'), 'utf8')).toBe('mine')
  })

  it('holds every write that was acknowledged before SIGKILL', async () => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'write-until-killed.fixture.ts'), place()], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let acknowledged = 0
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged = Number(line)
      if (acknowledged >= 300 && !child.killed) child.kill('SIGKILL')
    }
    if (child.signalCode === null) await once(child, 'exit')
    expect(child.signalCode).toBe('SIGKILL')
    const provider = await open()
    const store = await provider.open('first', 0)
    const offset = await store.changelogOffset()
    expect(offset).toBeGreaterThanOrEqual(acknowledged)
    const rows = await store.range(Buffer.alloc(0), Buffer.alloc(8, 255), 100_000)
    expect(rows.length).toBe((offset ?? 0) * 10)
    await provider.close()
  })
})

async function fill(provider: ByteStoreProvider, name: string): Promise<void> {
  const store = await provider.open(name, 0)
  await store.write([{ key: Buffer.from('a'), value: Buffer.from('1') }], 1)
  await provider.close()
}

async function storedValue(provider: ByteStoreProvider, name: string): Promise<Buffer | null | undefined> {
  const store = await provider.open(name, 0)
  try {
    return (await store.multiGet([Buffer.from('a')]))[0]
  } finally {
    await store.close()
  }
}

async function fileOf(part: string): Promise<string> {
  const directory = join(place(), 'rocksdb')
  const name = (await readdir(directory)).find((each) => each.includes(part))
  if (name === undefined) throw new Error(`no file with "${part}" in ${directory}`)
  return join(directory, name)
}

function flipIn(part: string, at = 20): () => Promise<void> {
  return async () => {
    const path = await fileOf(part)
    const bytes = await readFile(path)
    bytes[at] = (bytes[at] ?? 0) ^ 0xff
    await writeFile(path, bytes)
  }
}
