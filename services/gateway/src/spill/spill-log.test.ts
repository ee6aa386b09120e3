import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '@millrace/kit'
import { afterEach, describe, expect, it } from 'vitest'
import { FaultyFiles, seeded } from '../../test/faulty-files.ts'
import type { SpillFiles } from './files.ts'
import { openNodeFiles } from './node-files.ts'
import type { SpillDraft, SpillEntry } from './spill-format.ts'
import { SpillLog, spillStart } from './spill-log.ts'

const logger = createLogger({ service: 'test', level: 'silent' })
const noSpace = Object.assign(new Error('no space'), { code: 'ENOSPC' })

function draft(text: string, bytes = 40): SpillDraft {
  const value = Buffer.alloc(Math.max(bytes, text.length), '.')
  value.write(text)
  return { topic: 'events', records: [{ topic: 'events', partition: 0, timestamp: 1, key: null, value }] }
}

const textOf = (entry: SpillEntry) => entry.records[0]?.value?.toString().replace(/\.+$/, '')

function open(files: SpillFiles, bytesMax = 1e6): Promise<SpillLog> {
  return SpillLog.open({ files, bytesMax, logger })
}

async function readAll(log: SpillLog): Promise<SpillEntry[]> {
  const all: SpillEntry[] = []
  for (let cursor = spillStart; ; ) {
    const read = await log.read(cursor, 300)
    if (read.entries.length === 0) return all.filter((entry) => entry.sequence >= log.position)
    all.push(...read.entries)
    cursor = read.cursor
  }
}

const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

async function realFiles(): Promise<SpillFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'spill-'))
  folders.push(folder)
  return openNodeFiles(folder)
}

describe.each([
  ['in memory', async () => new FaultyFiles()],
  ['on a disk', realFiles],
])('the spill log %s', (_, openFiles) => {
  it('keeps what it was given, in order, over restarts', async () => {
    const files = await openFiles()
    const first = await open(files)
    await Promise.all(['a', 'b', 'c'].map((text) => first.append(draft(text))))
    await first.append(draft('d', 5_000))
    await first.close()
    const second = await open(files)
    expect([second.id, second.entries, second.position]).toEqual([first.id, 4, 0])
    await second.append(draft('e'))
    expect((await readAll(second)).map(textOf)).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(second.bytesFrom(spillStart)).toBeGreaterThan(5_000)
    await second.close()
  })

  it('forgets what was released, and gives its room back', async () => {
    const files = await openFiles()
    const log = await open(files, 4_000)
    for (let i = 0; i < 20; i++) await log.append(draft(`${i}`, 100))
    await log.release(12)
    expect((await readAll(log)).map(textOf)).toEqual(['12', '13', '14', '15', '16', '17', '18', '19'])
    expect(log.bytes).toBeLessThan(2_000)
    await log.release(20)
    expect([log.bytes, log.entries]).toEqual([0, 0])
    expect((await files.list()).filter((name) => name.endsWith('.spill'))).toEqual([])
    await log.append(draft('20'))
    await log.close()
    const again = await open(files)
    expect((await readAll(again)).map((entry) => [entry.sequence, textOf(entry)])).toEqual([[20, '20']])
    await again.close()
  })

  it('never gives a number twice, even when everything was released before a restart', async () => {
    const files = await openFiles()
    const first = await open(files)
    await first.append(draft('a'))
    await first.release(1)
    await first.close()
    const second = await open(files)
    await second.append(draft('b'))
    expect((await readAll(second)).map(({ sequence }) => sequence)).toEqual([1])
    await second.close()
  })
})

describe('the spill log', () => {
  it('refuses what is over its bound, and takes it when there is room again', async () => {
    const log = await open(new FaultyFiles(), 2_000)
    const taken: number[] = []
    for (let i = 0; i < 20; i++) {
      await log.append(draft(`${i}`, 200)).then(
        () => taken.push(i),
        (error) => expect(error).toMatchObject({ code: 'SPILL_UNAVAILABLE', retryAfterSeconds: 15 }),
      )
    }
    expect(taken.length).toBeGreaterThan(3)
    expect(log.bytes).toBeLessThanOrEqual(2_000)
    expect((await readAll(log)).map(textOf)).toEqual(taken.map(String))
    await log.release(taken.length)
    await log.append(draft('later', 200))
    expect((await readAll(log)).map(textOf)).toEqual(['later'])
  })

  it('counts what waits for the disk against its bound', async () => {
    const log = await open(new FaultyFiles(), 2_000)
    const results = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => log.append(draft(`${i}`, 200))))
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBeLessThan(9)
    expect(log.bytes).toBeLessThanOrEqual(2_000)
  })

  it('answers only after the disk has it, and syncs once for those that come meanwhile', async () => {
    const files = new FaultyFiles()
    const log = await open(files)
    await log.append(draft('first'))
    const gate = Promise.withResolvers<void>()
    files.onSync = () => gate.promise
    const syncs = files.syncs
    const answered: number[] = []
    const all = Array.from({ length: 50 }, (_, i) => log.append(draft(`${i}`)).then(() => answered.push(i)))
    await new Promise((resolve) => setImmediate(resolve))
    expect(answered).toEqual([])
    gate.resolve()
    await Promise.all(all)
    expect(answered).toEqual(Array.from({ length: 50 }, (_, i) => i))
    expect(files.syncs - syncs).toBeLessThanOrEqual(2)
  })

  it.each([
    ['a full disk', 'write', 0.5],
    ['a full disk at a new segment', 'create', 0],
    ['a disk that does not sync', 'sync', 1],
    ['a directory that does not sync', 'syncDirectory', 1],
  ] as const)('refuses what %s does not take, and goes on', async (_, operation, partial) => {
    const files = new FaultyFiles()
    const log = await open(files, 8_000)
    await log.append(draft('a', 990))
    files.failNext(operation, noSpace, partial)
    const error = await log.append(draft('lost', 900)).catch((cause) => cause)
    expect(error).toMatchObject({ code: 'SPILL_UNAVAILABLE' })
    expect(error.detail).toContain('is full')
    await log.append(draft('b'))
    expect((await readAll(log)).map(textOf)).toEqual(['a', 'b'])
    await log.close()
    const again = await open(files)
    expect((await readAll(again)).map(textOf)).toEqual(['a', 'b'])
    expect(again.lost).toBe(0)
  })

  it('passes over what a failed write has left, when that cannot be taken back', async () => {
    const files = new FaultyFiles()
    const log = await open(files)
    await log.append(draft('a'))
    files.failNext('sync', noSpace)
    files.failNext('truncate', noSpace)
    await expect(log.append(draft('refused'))).rejects.toMatchObject({ code: 'SPILL_UNAVAILABLE' })
    await log.append(draft('b'))
    const again = await open(files)
    expect((await readAll(again)).map(textOf)).toEqual(['a', 'b'])
    expect(again.lost).toBe(0)
  })

  it('goes on around damage, tells how much is lost, and keeps the file', async () => {
    const files = new FaultyFiles()
    const log = await open(files)
    for (const text of ['a', 'b', 'c', 'd']) await log.append(draft(text))
    const [name = ''] = (await files.list()).filter((file) => file.endsWith('.spill'))
    files.damage(name, (content) => content.writeUInt8(255, content.indexOf('b.....')))
    const again = await open(files)
    expect([again.lost, (await readAll(again)).map(textOf)]).toEqual([1, ['a', 'c', 'd']])
    expect(await files.list()).toContain(`${name}.damaged`)
    const third = await open(files)
    expect((await readAll(third)).map(textOf)).toEqual(['a', 'c', 'd'])
  })

  it('keeps its name when the position is lost', async () => {
    const files = new FaultyFiles()
    const log = await open(files)
    await log.append(draft('a'))
    await files.remove('position')
    const again = await open(files)
    expect([again.id, (await readAll(again)).map(textOf)]).toEqual([log.id, ['a']])
  })

  it('has another name in another directory, whose numbers begin again', async () => {
    expect((await open(new FaultyFiles())).id).not.toBe((await open(new FaultyFiles())).id)
  })

  it('may be read by its user alone', async () => {
    const files = await realFiles()
    const log = await open(files)
    await log.append(draft('a'))
    const folder = folders[0] ?? ''
    for (const name of await readdir(folder)) expect((await stat(join(folder, name))).mode & 0o077).toBe(0)
    await log.close()
  })
})

describe('whatever happens at whatever moment,', () => {
  it.each(Array.from({ length: 60 }, (_, seed) => seed))(
    'what was acknowledged and not released is there, once and in order (seed %i)',
    async (seed) => {
      const random = seeded(seed)
      let files = new FaultyFiles()
      let log = await open(files, 30_000)
      /** Acknowledged, in order, from `log.position` on; and what may or may not be there. */
      let kept: string[] = []
      const unknown = new Set<string>()
      let made = 0

      const appendSome = async () => {
        const texts = Array.from({ length: 1 + Math.floor(random() * 5) }, () => `${made++}`)
        const results = await Promise.allSettled(
          texts.map((text) => log.append(draft(text, Math.floor(random() * 2_000)))),
        )
        for (const [i, { status }] of results.entries()) {
          if (status === 'fulfilled') kept.push(texts[i] ?? '')
        }
      }
      const check = async () => {
        const found = (await readAll(log)).map((entry) => textOf(entry) ?? '')
        expect(found.filter((text) => !unknown.has(text))).toEqual(kept)
        expect(new Set(found).size).toBe(found.length)
        // What has survived a power cut is there for good, what has not never comes back.
        unknown.clear()
        kept = found
      }

      for (let step = 0; step < 40; step++) {
        const choice = random()
        if (choice < 0.45) await appendSome()
        else if (choice < 0.6) {
          const entries = await readAll(log)
          const count = Math.floor(random() * (entries.length + 1))
          const last = entries[count - 1]
          if (last !== undefined) await log.release(last.sequence + 1)
          kept = kept.slice(count)
        } else if (choice < 0.75) {
          const operation = (['write', 'sync', 'create', 'truncate', 'syncDirectory'] as const)[
            Math.floor(random() * 5)
          ]
          files.failNext(operation ?? 'write', noSpace, random())
          await appendSome()
          files.heal()
        } else if (choice < 0.9) {
          // A power cut while something is being written.
          const text = `${made++}`
          unknown.add(text)
          files.onSync = () => new Promise(() => {})
          log.append(draft(text, 500)).catch(() => {})
          for (let turns = Math.floor(random() * 6); turns > 0; turns--) await Promise.resolve()
          files = files.crash(random)
          log = await open(files, 30_000)
          await check()
        } else await check()
      }
      await check()
      expect(log.lost).toBe(0)
    },
  )
})
