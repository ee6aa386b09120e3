import { beforeEach, describe, expect, it } from 'vitest'
import type { Admin, TopicPartition } from '../core/broker.ts'
import type { Clock } from '../core/clock.ts'
import { silentLogger } from '../core/logger.ts'
import { MemoryContent, MemoryStore } from '../state/memory-store.ts'
import { timestampedValue } from '../state/timestamped-value.ts'
import { windowChangelogKey, windowRowKey } from '../state/window-key.ts'
import { FakeBroker } from '../testing/fake-broker.ts'
import type { StoreSpec } from '../topology/topology.ts'
import { type RestoreJob, type RestoreProgress, restoreStores } from './recovery.ts'

const changelog: TopicPartition = { topic: 'app-counts-changelog', partition: 0 }
const plain: StoreSpec = {
  name: 'counts',
  kind: 'key-value',
  timestamped: false,
  windowSizeMs: undefined,
  retentionMs: undefined,
  changelog: true,
}
const all = [Buffer.alloc(0), Buffer.alloc(40, 255)] as const

let broker: FakeBroker
let admin: Admin
let content: MemoryContent

beforeEach(async () => {
  broker = new FakeBroker()
  admin = await broker.openAdmin()
  broker.createTopic(changelog.topic, 1)
  content = new MemoryContent()
})

function entry(key: string | Buffer, value: string | null, timestamp = 7) {
  return { ...changelog, key: Buffer.from(key), value: value === null ? null : Buffer.from(value), timestamp }
}

function restore(
  options: {
    spec?: StoreSpec
    interrupted?: () => boolean
    onProgress?: (at: RestoreProgress) => void
    clock?: Clock
  } = {},
) {
  const job: RestoreJob = { taskId: '0_0', spec: options.spec ?? plain, rows: new MemoryStore(content), changelog }
  return restoreStores([job], {
    broker,
    admin,
    clientId: 'test',
    clock: options.clock ?? { nowMs: () => Date.now() },
    logger: silentLogger,
    interrupted: options.interrupted ?? (() => false),
    onProgress: options.onProgress ?? (() => {}),
  })
}

async function rows(): Promise<Record<string, string>> {
  const found = await new MemoryStore(content).range(all[0], all[1], 1_000)
  return Object.fromEntries(found.map(({ key, value }) => [key.toString(), value.toString()]))
}

describe('a restore', () => {
  it('of an empty changelog is done at once', async () => {
    expect(await restore()).toEqual(new Map([['app-counts-changelog-0', 0]]))
    expect(await restoreStores([], { ...nothing(), broker, admin })).toEqual(new Map())
  })

  it('applies records in order, deletions too, and leaves out those without a key', async () => {
    broker.append([
      entry('a', '1'),
      entry('b', '1'),
      entry('a', '2'),
      entry('b', null),
      { ...entry('x', '1'), key: null },
    ])
    expect(await restore()).toEqual(new Map([['app-counts-changelog-0', 5]]))
    expect(await rows()).toEqual({ a: '2' })
    expect(content.changelogOffset).toBe(5)
  })

  it('goes on from the offset of the store', async () => {
    broker.append([entry('a', 'not read again'), entry('b', '2')])
    await new MemoryStore(content).write([{ key: Buffer.from('a'), value: Buffer.from('1') }], 1)
    await restore()
    expect(await rows()).toEqual({ a: '1', b: '2' })
  })

  it('puts the time before timestamped values and turns window keys round', async () => {
    const row = windowRowKey(Buffer.from('a'), 60_000)
    broker.append([entry(windowChangelogKey(row), '1', 61_234)])
    await restore({ spec: { ...plain, kind: 'window', timestamped: true, windowSizeMs: 1, retentionMs: 1 } })
    expect(await new MemoryStore(content).multiGet([row])).toEqual([timestampedValue(Buffer.from('1'), 61_234)])
  })

  it('leaves out what was aborted, and is not held up by markers at the end', async () => {
    const producer = await broker.openTransactionalProducer({ clientId: 'test', transactionalId: 't' })
    await producer.send([entry('a', 'committed')])
    await producer.commit()
    await producer.send([entry('a', 'aborted')])
    await producer.abort()
    expect(await restore()).toEqual(new Map([['app-counts-changelog-0', 4]]))
    expect(await rows()).toEqual({ a: 'committed' })
  })

  it('waits for a transaction that is being ended', async () => {
    const producer = await broker.openTransactionalProducer({ clientId: 'test', transactionalId: 't' })
    await producer.send([entry('a', '1')])
    let restored = false
    const restoring = restore().then(() => {
      restored = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect(restored).toBe(false)
    await producer.commit()
    await restoring
    expect(await rows()).toEqual({ a: '1' })
  })

  it('gives up when a transaction does not end', async () => {
    const producer = await broker.openTransactionalProducer({ clientId: 'test', transactionalId: 't' })
    await producer.send([entry('a', '1')])
    let nowMs = 0
    const clock = { nowMs: () => (nowMs += 50_000) }
    await expect(restore({ clock })).rejects.toThrow(/\[TIMED_OUT\].*app-counts-changelog-0 at 0 of 1/)
  })

  it('begins anew when retention has passed the offset of the store', async () => {
    broker.append(['1', '2', '3', '4'].map((value) => entry(`k${value}`, value)))
    await new MemoryStore(content).write([{ key: Buffer.from('stale'), value: Buffer.from('0') }], 1)
    broker.truncateBefore(changelog, 2)
    await restore()
    expect(await rows()).toEqual({ k3: '3', k4: '4' })
    expect(content.changelogOffset).toBe(4)
  })

  it('keeps rows of windows when retention has passed the offset of the store', async () => {
    const rowKey = (key: string) => windowRowKey(Buffer.from(key), 60_000)
    broker.append(['1', '2', '3', '4'].map((key) => entry(windowChangelogKey(rowKey(key)), key)))
    await new MemoryStore(content).write([{ key: rowKey('old'), value: Buffer.from('0') }], 1)
    broker.truncateBefore(changelog, 4)
    const windows: StoreSpec = { ...plain, kind: 'window', windowSizeMs: 1, retentionMs: 1 }
    expect(await restore({ spec: windows })).toEqual(new Map([['app-counts-changelog-0', 4]]))
    expect(await new MemoryStore(content).multiGet([rowKey('old')])).toEqual([Buffer.from('0')])
  })

  it('begins anew when the changelog is shorter than the offset of the store', async () => {
    broker.append([entry('a', '1')])
    await new MemoryStore(content).write([{ key: Buffer.from('stale'), value: Buffer.from('0') }], 99)
    await restore()
    expect(await rows()).toEqual({ a: '1' })
    expect(content.changelogOffset).toBe(1)
  })

  it('stops when it is interrupted, and goes on later', async () => {
    broker.append([entry('a', '1')])
    expect(await restore({ interrupted: () => true })).toBeUndefined()
    await restore()
    expect(await rows()).toEqual({ a: '1' })
  })

  it('keeps what it has read when it is interrupted', async () => {
    const records = Array.from({ length: 500 }, (_, index) => entry(`k${index}`, '1'))
    broker.append(records)
    const producer = await broker.openTransactionalProducer({ clientId: 'test', transactionalId: 't' })
    await producer.send([entry('open', '1')])
    let polls = 0
    expect(await restore({ interrupted: () => polls++ === 2 })).toBeUndefined()
    expect(content.changelogOffset).toBe(500)
    expect(Object.keys(await rows())).toHaveLength(500)
    await producer.close()
  })

  it('hands each store over when it is complete, whatever the others still lack', async () => {
    broker.createTopic('app-other-changelog', 1)
    broker.append([entry('a', '1')])
    const producer = await broker.openTransactionalProducer({ clientId: 'test', transactionalId: 't' })
    await producer.send([{ ...entry('b', '1'), topic: 'app-other-changelog' }])
    const job: RestoreJob = { taskId: '0_0', spec: plain, rows: new MemoryStore(content), changelog }
    const other: RestoreJob = {
      taskId: '1_0',
      spec: { ...plain, name: 'other' },
      rows: new MemoryStore(),
      changelog: { topic: 'app-other-changelog', partition: 0 },
    }
    const restored: string[] = []
    const done = Promise.withResolvers<void>()
    const restoring = restoreStores([other, job], {
      ...nothing(),
      broker,
      admin,
      onRestored: async ({ taskId }, offset) => {
        restored.push(`${taskId} ${offset}`)
        done.resolve()
      },
    })
    await done.promise
    expect(restored).toEqual(['0_0 1'])
    await producer.commit()
    await restoring
    expect(restored).toEqual(['0_0 1', '1_0 2'])
  })

  it('tells how far it is', async () => {
    broker.append(Array.from({ length: 500 }, (_, index) => entry(`k${index}`, '1')))
    const seen: RestoreProgress[] = []
    await restore({ onProgress: (progress) => seen.push(progress) })
    expect(seen.at(0)).toMatchObject({ stores: 1, records: 0, remaining: 500, secondsLeft: undefined })
    expect(seen.at(-1)).toMatchObject({ stores: 1, records: 500, remaining: 0, secondsLeft: 0 })
    expect(seen.at(-1)?.perStore).toEqual([
      { taskId: '0_0', store: 'counts', partition: 0, records: 500, remaining: 0 },
    ])
  })
})

function nothing() {
  return {
    clientId: 'test',
    clock: { nowMs: () => 0 },
    logger: silentLogger,
    interrupted: () => false,
    onProgress: () => {},
  }
}
