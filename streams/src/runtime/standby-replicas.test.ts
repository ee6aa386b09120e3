import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { until } from '../../test/until.ts'
import { count } from '../aggregate/count.ts'
import type { Admin, GroupMember } from '../core/broker.ts'
import { StreamsError } from '../core/errors.ts'
import { limits } from '../core/limits.ts'
import { utf8 } from '../core/serde.ts'
import { merging } from '../processor/fold.ts'
import { MergeWindowsProcessor } from '../processor/merge-windows.ts'
import { memoryStores } from '../state/memory-store.ts'
import type { ByteStoreProvider } from '../state/store.ts'
import { windowChangelogKey, windowRowKey, windowStartOfRow } from '../state/window-key.ts'
import { FakeBroker } from '../testing/fake-broker.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import { partitionPlan } from '../topology/partition-plan.ts'
import { topicNames } from '../topology/topic-names.ts'
import type { StoreSpec, Topology } from '../topology/topology.ts'
import { tumblingWindows } from '../windows/time-windows.ts'
import { encodeCommitMetadata, nodeHash } from './commit-metadata.ts'
import { standbyCommittedLookMs } from './limits.ts'
import { StandbyReplicas } from './standby-replicas.ts'

const counts: StoreSpec = {
  name: 'counts',
  kind: 'key-value',
  timestamped: false,
  windowSizeMs: undefined,
  retentionMs: undefined,
  changelog: true,
}
const windows: StoreSpec = {
  name: 'windows',
  kind: 'window',
  timestamped: true,
  windowSizeMs: 1_000,
  retentionMs: 100_000,
  changelog: true,
}
const merge = {
  store: 'windows',
  keySerde: utf8,
  fold: merging(count()),
  windows: tumblingWindows({ sizeMs: 1_000, graceMs: 0 }),
  retentionMs: 100_000,
  emit: 'updates-and-close',
} as const
const topology: Topology = {
  subtopologies: [
    {
      id: 0,
      nodes: [
        {
          kind: 'source',
          name: 'in',
          topic: 'in',
          internal: false,
          offsetReset: 'earliest',
          watermarks: false,
          keySerde: utf8,
          valueSerde: utf8,
        },
        {
          kind: 'processor',
          name: 'merge',
          parents: ['in'],
          stores: ['windows'],
          create: () => new MergeWindowsProcessor(merge),
        },
      ],
      stores: [counts, windows, { ...counts, name: 'scratch', changelog: false }],
    },
  ],
  internalTopics: [],
}
const names = topicNames('app')
const plan = partitionPlan(topology, names, new Map([['in', 2]]))

let broker: FakeBroker
let clock: ManualClock
let member: GroupMember
let stores: ByteStoreProvider
let warnings: string[]
let standbys: StandbyReplicas

beforeEach(async () => {
  broker = new FakeBroker()
  clock = new ManualClock(1_000_000)
  broker.createTopic('in', 2)
  member = await broker.openGroupMember({ clientId: 'task', groupId: 'app' })
  await member.join(['in'], { async onAssigned() {}, async onRevoked() {}, async onLost() {} })
  for (const name of ['counts', 'windows']) broker.createTopic(names.changelog(name), 2)
  warnings = []
  stores = memoryStores('process')
  standbys = await replicas(stores)
})
afterEach(async () => {
  await standbys.close()
  await member.close()
})

async function replicas(
  provider: ByteStoreProvider,
  { isBusy = () => false, ...given }: { readonly isBusy?: () => boolean; readonly admin?: Admin } = {},
): Promise<StandbyReplicas> {
  const admin = given.admin ?? (await broker.openAdmin())
  const logger = { debug() {}, info() {}, warn: (_: unknown, message: string) => warnings.push(message), error() {} }
  const parts = { topology, names, plan, broker, admin, stores: provider, clock, logger, isBusy }
  return new StandbyReplicas({ ...parts, committed: (inputs) => member.committed(inputs), clientId: 'test' })
}

function append(partition: number, ...keys: readonly string[]): void {
  const value = Buffer.from('1')
  broker.append(
    keys.map((key) => ({ topic: names.changelog('counts'), partition, key: Buffer.from(key), value, timestamp: 0 })),
  )
}

function appendWindow(key: string, startMs: number): void {
  broker.append([
    {
      topic: names.changelog('windows'),
      partition: 0,
      key: windowChangelogKey(windowRowKey(Buffer.from(key), startMs)),
      value: Buffer.from('1'),
      timestamp: startMs,
    },
  ])
}

/** What the task of number 0 would commit that has closed its windows through a time. */
async function commitThrough(streamTimeMs: number): Promise<void> {
  const times = new Map([[nodeHash('merge'), [streamTimeMs]]])
  const metadata = encodeCommitMetadata({ streamTimeMs, written: undefined, writers: [], times })
  await member.commit([{ topic: 'in', partition: 0, offset: 1, metadata }])
  clock.advance(standbyCommittedLookMs)
}

async function windowStarts(): Promise<readonly number[]> {
  const rows = await standbys.committedRows('windows', 0)?.range(Buffer.alloc(0), Buffer.alloc(40, 255), 100)
  return (rows ?? []).map(({ key }) => windowStartOfRow(key))
}

async function keysOf(store: string, partition: number): Promise<readonly string[]> {
  const rows = await standbys.committedRows(store, partition)?.range(Buffer.alloc(0), Buffer.alloc(40, 255), 1_000)
  return (rows ?? []).map(({ key }) => key.toString())
}

/** Stores of which a write can be made to fail, once. */
function failingStores(): { readonly stores: ByteStoreProvider; fail(error: StreamsError): void } {
  const inner = memoryStores('failing')
  let failure: StreamsError | undefined
  return {
    fail: (error) => {
      failure = error
    },
    stores: {
      ...inner,
      async open(store, partition) {
        const rows = await inner.open(store, partition)
        return {
          multiGet: (keys) => rows.multiGet(keys),
          range: (from, to, limit) => rows.range(from, to, limit),
          lastKey: () => rows.lastKey(),
          changelogOffset: () => rows.changelogOffset(),
          async write(changes, offset) {
            const error = failure
            failure = undefined
            if (error !== undefined) throw error
            await rows.write(changes, offset)
          },
          wipe: () => rows.wipe(),
          close: () => rows.close(),
        }
      },
    },
  }
}

describe('standbys', () => {
  it('follow the changelogs of the numbers that they keep, and of no others', async () => {
    append(0, 'a')
    append(1, 'z')
    await standbys.keep(new Set([0]))
    append(0, 'b')
    await until(async () => (await keysOf('counts', 0)).join() === 'a,b')
    expect(standbys.committedRows('counts', 1)).toBeUndefined()
    expect(standbys.committedRows('scratch', 0)).toBeUndefined()
    expect(standbys.snapshot()).toEqual([
      { taskId: '0_0', store: 'counts', partition: 0, position: 2, endOffset: 2 },
      { taskId: '0_0', store: 'windows', partition: 0, position: 0, endOffset: 0 },
    ])
    expect([standbys.lagOf(0), standbys.lagOf(1)]).toEqual([0, undefined])
  })

  it('also while tasks have work', async () => {
    standbys = await replicas(stores, { isBusy: () => true })
    await standbys.keep(new Set([0]))
    for (const key of ['a', 'b', 'c']) {
      append(0, key)
      await until(async () => (await keysOf('counts', 0)).includes(key))
    }
  })

  it('read committed records only', async () => {
    const producer = await broker.openTransactionalProducer({ clientId: 'test', transactionalId: 't' })
    const record = { topic: names.changelog('counts'), partition: 0, value: Buffer.from('1'), timestamp: 0 }
    await producer.send([{ ...record, key: Buffer.from('aborted') }])
    await standbys.keep(new Set([0]))
    await producer.abort()
    await producer.send([{ ...record, key: Buffer.from('committed') }])
    await producer.commit()
    await until(async () => (await keysOf('counts', 0)).length > 0)
    expect(await keysOf('counts', 0)).toEqual(['committed'])
  })

  it('give a number back with its stores closed and complete up to their offsets', async () => {
    await standbys.keep(new Set([0, 1]))
    append(0, 'a')
    append(1, 'z')
    await until(async () => (await keysOf('counts', 0)).length + (await keysOf('counts', 1)).length === 2)
    await standbys.keep(new Set([1]))
    const rows = await stores.open('counts', 0)
    expect(await rows.changelogOffset()).toBe(1)
    await rows.close()
    append(1, 'y')
    await until(async () => (await keysOf('counts', 1)).join() === 'y,z')
  })

  it('tell once that a number has caught up', async () => {
    append(0, ...Array.from({ length: limits.caughtUpLagMax + 10 }, (_, index) => `k${index}`))
    await standbys.keep(new Set([0]))
    await until(() => standbys.takeCaughtUp())
    expect(standbys.lagOf(0)).toBeLessThanOrEqual(limits.caughtUpLagMax)
    append(0, 'more')
    await until(() => standbys.lagOf(0) === 0)
    expect(standbys.takeCaughtUp()).toBe(false)
  })

  it('begin anew where the changelog begins when their offset was deleted', async () => {
    append(0, 'a', 'b', 'c')
    const rows = await stores.open('counts', 0)
    await rows.write([{ key: Buffer.from('stale'), value: Buffer.from('0') }], 1)
    await rows.close()
    broker.truncateBefore({ topic: names.changelog('counts'), partition: 0 }, 2)
    await standbys.keep(new Set([0]))
    await until(async () => (await keysOf('counts', 0)).join() === 'c')
  })

  it('keep the rows of windows that the task has still to close, though newer rows are two years ahead', async () => {
    const yearMs = 365 * 86_400_000
    const firstMs = 1_000
    appendWindow('open', firstMs)
    await standbys.keep(new Set([0]))
    await until(async () => (await windowStarts()).length === 1)
    await commitThrough(firstMs + 100_999)
    appendWindow('in a year', yearMs)
    appendWindow('in two', 2 * yearMs)
    await until(async () => (await windowStarts()).length === 3)
    // Each is written in a step of its own, and each step looks for rows that are over.
    appendWindow('and more', 2 * yearMs + 1_000)
    await until(async () => (await windowStarts()).length === 4)
    expect(await windowStarts()).toEqual([firstMs, yearMs, 2 * yearMs, 2 * yearMs + 1_000])
    await commitThrough(firstMs + 161_000)
    await until(async () => (await windowStarts()).length === 3)
    expect(await windowStarts()).toEqual([yearMs, 2 * yearMs, 2 * yearMs + 1_000])
  })

  it('delete them when the stream time that the task has committed is past them, without a new row', async () => {
    for (const startMs of [1_000, 61_000, 121_000]) appendWindow('k', startMs)
    await commitThrough(100_999)
    await standbys.keep(new Set([0]))
    await until(async () => (await windowStarts()).length === 3)
    await commitThrough(165_000)
    await until(async () => (await windowStarts()).length === 1)
    expect(await windowStarts()).toEqual([121_000])
  })

  it('try again after a failure, from what the stores hold', async () => {
    const failing = failingStores()
    standbys = await replicas(failing.stores)
    await standbys.keep(new Set([0]))
    append(0, 'a')
    await until(async () => (await keysOf('counts', 0)).length === 1)
    failing.fail(new StreamsError('STORE_FAILED', 'no space'))
    append(0, 'b')
    await until(async () => (await keysOf('counts', 0)).join() === 'a,b')
    expect(warnings).toEqual(['standbys do not follow their changelogs: they try again'])
    expect(standbys.failure).toBeUndefined()
  })

  it('are given back at once while the broker does not answer', async () => {
    const asked = Promise.withResolvers<void>()
    const admin = await broker.openAdmin()
    const silent: Admin = {
      ...admin,
      listOffsets: () => {
        asked.resolve()
        return new Promise(() => undefined)
      },
    }
    const waiting = await replicas(stores, { admin: silent })
    await waiting.keep(new Set([0]))
    await asked.promise
    await waiting.keep(new Set())
    await standbys.keep(new Set([0]))
    expect(warnings).toEqual([])
  })

  it('leave state that cannot be read to the thread', async () => {
    const failing = failingStores()
    standbys = await replicas(failing.stores)
    failing.fail(new StreamsError('STORE_CORRUPT', 'checksum mismatch'))
    append(0, 'a')
    await standbys.keep(new Set([0]))
    await until(() => standbys.failure !== undefined)
    expect(standbys.failure).toMatchObject({ code: 'STORE_CORRUPT' })
    await standbys.close()
    expect(standbys.failure).toBeUndefined()
    await failing.stores.discard()
    await standbys.keep(new Set([0]))
    await until(async () => (await keysOf('counts', 0)).join() === 'a')
  })
})
