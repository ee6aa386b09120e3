import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { int64 } from '../src/aggregate/numbers.ts'
import { StreamsError } from '../src/core/errors.ts'
import { utf8 } from '../src/core/serde.ts'
import {
  type ByteStoreProvider,
  memoryStores,
  StreamsApp,
  type StreamsAppOptions,
  StreamsBuilder,
} from '../src/index.ts'
import { FakeBroker } from '../src/testing/index.ts'
import { until } from './until.ts'

/*
 * Members that come and go: what stays is processed on, what moves is restored beside it or was kept warm, and no count is lost or doubled.
 * Records go to partition 0 or 1; a member's only task tells which of them it has.
 */

const applicationId = 'app'
const counts = 'counts'
const changelog = `${applicationId}-${counts}-changelog`

const builder = new StreamsBuilder()
builder
  .stream('in', { key: utf8, value: utf8 })
  .groupByKey({ key: utf8, value: utf8 })
  .count({ store: counts })
  .toStream()
  .to('out', { key: utf8, value: int64 })
const topology = builder.build()

interface Member {
  readonly app: StreamsApp
  readonly stores: ByteStoreProvider
  /** Records that restores have read so far. */
  restored(): number
}

let broker: FakeBroker
let apps: StreamsApp[]
let sent: Map<string, number>

beforeEach(() => {
  broker = new FakeBroker()
  broker.createTopic('in', 2)
  broker.createTopic('out', 2)
  apps = []
  sent = new Map()
})
afterEach(async () => {
  for (const app of apps) await app.close()
})

async function start(
  processId: string,
  options: Partial<StreamsAppOptions> = {},
  stores: ByteStoreProvider = memoryStores(processId),
): Promise<Member> {
  let restored = 0
  const app = new StreamsApp({
    topology,
    applicationId,
    broker,
    stores,
    commitIntervalMs: 5,
    topicsWaitMs: 0,
    probes: {
      restoring: ({ records }) => {
        restored = Math.max(restored, records)
      },
    },
    ...options,
  })
  apps.push(app)
  await app.start()
  return { app, stores, restored: () => restored }
}

/** One record for each of `keys` keys of a partition. */
function send(partition: number, keys: number): void {
  const value = Buffer.from('x')
  for (let index = 0; index < keys; index++) {
    const key = `${partition}-${index}`
    sent.set(key, (sent.get(key) ?? 0) + 1)
    broker.append([{ topic: 'in', partition, key: Buffer.from(key), value, timestamp: 1 }])
  }
}

/** The last count of every key, of the output as of the changelog, is what was sent. */
function isExact(): boolean {
  const expected = JSON.stringify([...sent].sort())
  return [changelog, 'out'].every((topic) => JSON.stringify([...lastCounts(topic)].sort()) === expected)
}

function lastCounts(topic: string): Map<string, number> {
  const last = new Map<string, number>()
  for (const { key, value } of broker.read(topic)) last.set(key?.toString() ?? '', Number(value?.readBigInt64BE()))
  return last
}

function partitionsOf({ app }: Member): readonly number[] {
  return app.snapshot().tasks.flatMap(({ inputs }) => inputs.map(({ partition }) => partition))
}

/** Both have one task, and run. */
function isShared(...members: readonly Member[]): boolean {
  return members.every(({ app }) => app.state === 'running' && app.snapshot().tasks.length === 1)
}

/** Stores that take nothing for a partition while their gate is closed. */
function gatedStores(processId: string) {
  const inner = memoryStores(processId)
  let gate: { readonly partition: number; readonly opened: Promise<void> } | undefined
  let reached = false
  const stores: ByteStoreProvider = {
    ...inner,
    async open(store, partition) {
      const rows = await inner.open(store, partition)
      return {
        multiGet: (keys) => rows.multiGet(keys),
        range: (from, to, limit) => rows.range(from, to, limit),
        lastKey: () => rows.lastKey(),
        changelogOffset: () => rows.changelogOffset(),
        async write(changes, offset) {
          if (gate?.partition === partition) {
            reached = true
            await gate.opened
          }
          await rows.write(changes, offset)
        },
        wipe: () => rows.wipe(),
        close: () => rows.close(),
      }
    },
  }
  return {
    stores,
    isReached: () => reached,
    close(partition: number): () => void {
      const { promise, resolve } = Promise.withResolvers<void>()
      gate = { partition, opened: promise }
      return resolve
    },
  }
}

describe('a task that stays', () => {
  it('is processed on while another one is restored', async () => {
    const gated = gatedStores('process-1')
    const one = await start('process-1', {}, gated.stores)
    const other = await start('process-2')
    await until(() => isShared(one, other))
    const [kept = -1] = partitionsOf(one)
    const moved = 1 - kept
    send(kept, 20)
    send(moved, 20)
    await until(isExact)
    const open = gated.close(moved)
    await other.app.close()
    await until(gated.isReached)
    for (let round = 0; round < 3; round++) {
      send(kept, 20)
      await until(isExact)
    }
    expect(partitionsOf(one)).toEqual([kept])
    expect(one.app.state).toBe('recovering')
    const [restore] = one.app.snapshot().restore?.perStore ?? []
    expect(restore).toMatchObject({ taskId: `0_${moved}`, store: counts, partition: moved, records: 20 })
    send(moved, 20)
    open()
    await until(() => isExact() && one.app.state === 'running')
    expect([...partitionsOf(one)].sort()).toEqual([0, 1])
    expect(one.app.snapshot().restore).toBeUndefined()
  })

  it('is not disturbed when another one cannot be built at first', async () => {
    const codes: string[] = []
    const warnings: string[] = []
    const logger = { debug() {}, info() {}, warn: (_: unknown, message: string) => warnings.push(message), error() {} }
    const one = await start('process-1', { logger, probes: { restarted: (code) => codes.push(code) } })
    const other = await start('process-2')
    await until(() => isShared(one, other))
    const [kept = -1] = partitionsOf(one)
    send(0, 20)
    send(1, 20)
    await until(isExact)
    broker.failNext('committed', { error: new StreamsError('TIMED_OUT', 'as asked'), applied: false })
    await other.app.close()
    await until(() => warnings.some((message) => message.startsWith('tasks could not be built')))
    send(kept, 20)
    await until(isExact)
    expect(codes).toEqual([])
    send(1 - kept, 20)
    await until(() => isExact() && one.app.state === 'running')
    expect(codes).toEqual([])
  })

  it('does not notice that a member comes, but for the partition that it gives up', async () => {
    const codes: string[] = []
    const one = await start('process-1', { probes: { restarted: (code) => codes.push(code) } })
    await until(() => one.app.state === 'running')
    const others: Member[] = []
    for (let round = 0; round < 30; round++) {
      if (round === 5) others.push(await start('process-2'))
      send(0, 5)
      send(1, 5)
      await until(isExact)
    }
    await until(() => isShared(one, ...others))
    expect(codes).toEqual([])
  })
})

describe('members that come and go at random', () => {
  it.each([1, 2, 3, 4, 5, 6])(
    'lose no count and double none, seed %s',
    async (seed) => {
      const random = randomNumbers(seed)
      const places = new Map(['a', 'b', 'c'].map((id) => [id, memoryStores(id)]))
      const running = new Map<string, Member>()
      const numStandbys = seed % 2
      for (let step = 0; step < 25; step++) {
        const [id, stores] = [...places][random(3)] ?? ['a', memoryStores('a')]
        const member = running.get(id)
        if (member === undefined) {
          running.set(id, await start(id, { numStandbys, stateCleanupDelayMs: 30 }, stores))
        } else if (random(2) === 0) {
          running.delete(id)
          await member.app.close({ leave: random(3) > 0 })
        }
        send(random(2), 1 + random(30))
        for (let turns = random(20); turns > 0; turns--) await new Promise((resolve) => setTimeout(resolve, 1))
      }
      for (const [id, stores] of places) if (!running.has(id)) running.set(id, await start(id, { numStandbys }, stores))
      await until(isExact)
      const counts = broker.read('out').map(({ key, value }) => `${key} ${value?.readBigInt64BE()}`)
      expect(new Set(counts).size).toBe(counts.length)
      for (const { app } of running.values()) expect(app.state).not.toBe('failed')
    },
    60_000,
  )
})

/** The same for every run of a seed (mulberry32). */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

describe('a restore that is interrupted by a rebalance', () => {
  it('keeps what it has read, and gives the partition back', async () => {
    const gated = gatedStores('process-1')
    const one = await start('process-1', {}, gated.stores)
    const other = await start('process-2')
    await until(() => isShared(one, other))
    const [moved = -1] = partitionsOf(other)
    send(moved, 20)
    await until(isExact)
    const open = gated.close(moved)
    await other.app.close()
    await until(gated.isReached)
    const again = await start('process-2', {}, other.stores)
    open()
    send(moved, 20)
    await until(() => isShared(one, again) && isExact())
    expect(partitionsOf(again)).toEqual([moved])
  })
})

describe('a standby', () => {
  const numStandbys = 1
  const hasCaughtUp = ({ app }: Member) => {
    const { standbys } = app.snapshot()
    return standbys.length === 1 && standbys.every(({ position, endOffset }) => position >= endOffset && position > 0)
  }

  it('takes over without a restore', async () => {
    const one = await start('process-1', { numStandbys })
    const other = await start('process-2', { numStandbys })
    await until(() => isShared(one, other))
    for (let round = 0; round < 5; round++) {
      send(0, 100)
      send(1, 100)
      await until(isExact)
    }
    await until(() => hasCaughtUp(one) && hasCaughtUp(other))
    const inChangelog = broker.read(changelog).filter(({ partition }) => partitionsOf(other).includes(partition))
    await other.app.close()
    await until(() => one.app.state === 'running' && one.app.snapshot().tasks.length === 2)
    expect(inChangelog.length).toBeGreaterThanOrEqual(500)
    expect(one.restored()).toBeLessThan(inChangelog.length / 5)
    expect(one.app.snapshot().standbys).toEqual([])
    send(0, 100)
    send(1, 100)
    await until(isExact)
  })

  it('holds the committed rows of the task it copies, and none of aborted transactions', async () => {
    const one = await start('process-1', { numStandbys })
    const other = await start('process-2', { numStandbys })
    await until(() => isShared(one, other))
    const [copied = -1] = partitionsOf(one)
    send(copied, 50)
    await until(isExact)
    const failed = new StreamsError('REBALANCED', 'as asked')
    broker.failNext('commit', { error: failed, applied: false })
    send(copied, 50)
    await until(isExact)
    expect(broker.read(changelog, 'uncommitted').length).toBeGreaterThan(broker.read(changelog).length)
    const stored = await storedCounts(one, copied)
    await one.app.close({ leave: false })
    await until(() => hasCaughtUp(other))
    await other.app.close()
    expect(await storedCounts(other, copied)).toEqual(stored)
    expect(stored).toHaveLength(50)
  })

  it('that was the owner keeps its rows, and one that is behind warms up before it becomes the owner', async () => {
    const keys = 11_000
    const one = await start('process-1', { numStandbys })
    send(0, keys)
    send(1, keys)
    await until(isExact)
    const other = await start('process-2', { numStandbys })
    let wasStandby = false
    await until(() => {
      const { tasks, standbys } = other.app.snapshot()
      wasStandby ||= tasks.length === 0 && standbys.length > 0
      return isShared(one, other)
    })
    expect(wasStandby).toBe(true)
    expect(other.restored()).toBeLessThan(keys / 5)
    const [moved = -1] = partitionsOf(other)
    await until(() => hasCaughtUp(one))
    expect(one.app.snapshot().standbys).toMatchObject([{ taskId: `0_${moved}`, store: counts, partition: moved }])
    await other.app.close()
    await until(() => one.app.state === 'running' && one.app.snapshot().tasks.length === 2)
    expect(one.restored()).toBeLessThan(keys / 5)
    send(moved, 10)
    await until(isExact)
  }, 90_000)
})

/** The rows of a store that nobody has open. */
async function storedCounts({ stores, app }: Member, partition: number): Promise<readonly string[]> {
  await app.close()
  const rows = await stores.open(counts, partition)
  const found = await rows.range(Buffer.alloc(0), Buffer.alloc(8, 255), 100_000)
  await rows.close()
  return found.map(({ key, value }) => `${key.toString()} ${value.toString('hex')}`)
}

describe('an application that closes', () => {
  it('leaves, so that others take its tasks over at once', async () => {
    const one = await start('process-1')
    const other = await start('process-2')
    await until(() => isShared(one, other))
    await other.app.close()
    expect(broker.members(applicationId)).toHaveLength(1)
    await until(() => one.app.snapshot().tasks.length === 2)
  })

  it('stays a member for a restart when it is told so, and gets its task back', async () => {
    const one = await start('process-1')
    const other = await start('process-2')
    await until(() => isShared(one, other))
    const before = partitionsOf(other)
    await other.app.close({ leave: false })
    expect(broker.members(applicationId)).toHaveLength(2)
    send(0, 10)
    send(1, 10)
    const again = await start('process-2', {}, other.stores)
    await until(() => isShared(one, again) && isExact())
    expect(partitionsOf(again)).toEqual(before)
  })
})

describe('state of a partition that has gone to another member', () => {
  it('is deleted after the delay', async () => {
    const one = await start('process-1', { stateCleanupDelayMs: 20 })
    send(0, 10)
    send(1, 10)
    await until(isExact)
    expect(await one.stores.partitionsOnDisk(counts)).toEqual([0, 1])
    const other = await start('process-2', { stateCleanupDelayMs: 20 })
    await until(() => isShared(one, other))
    let onDisk: readonly number[] = []
    const look = () => {
      void one.stores.partitionsOnDisk(counts).then((found) => {
        onDisk = found
      })
      return onDisk.length === 1
    }
    await until(look)
    expect(onDisk).toEqual(partitionsOf(one))
    send(0, 10)
    send(1, 10)
    await until(isExact)
  })
})
