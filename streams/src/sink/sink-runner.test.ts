import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { StreamsError } from '../core/errors.ts'
import { silentLogger } from '../core/logger.ts'
import { FakeBroker } from '../testing/fake-broker.ts'
import type { BatchSink, WriteContext } from './batch-sink.ts'
import { intentOffsets } from './intent-offsets.ts'
import type { BatchLimits, WrittenBatch } from './partition-sink.ts'
import type { SinkBatch } from './sink-batch.ts'
import { createSinkRunner, type SinkRunner, type SinkRunnerOptions } from './sink-runner.ts'
import { type OffsetStore, storedOffsets } from './stored-offsets.ts'

const group = 'sink'
const topic = 'events'

/** Time that tests move by hand. */
class TestClock {
  ms = 1_000_000
  nowMs(): number {
    return this.ms
  }
}

/** Keeps what was written, as a store that ignores a token it has seen. */
class TestSink implements BatchSink {
  readonly writes: { readonly token: string; readonly range: string; readonly offsets: readonly number[] }[] = []
  /** What the store holds. */
  readonly rows = new Map<string, string>()
  readonly #tokens = new Set<string>()
  /** Called before each write is applied. */
  before: (batch: SinkBatch, context: WriteContext) => Promise<void> = async () => {}

  async write(batch: SinkBatch, context: WriteContext): Promise<void> {
    await turn()
    await this.before(batch, context)
    const rows = Array.from({ length: batch.count }, (_, row) => row)
    const range = `${batch.partition}:${batch.firstOffset}-${batch.nextOffset - 1}`
    this.writes.push({ token: context.token, range, offsets: rows.map((row) => batch.offset(row)) })
    if (context.token !== '' && this.#tokens.has(context.token)) return
    this.#tokens.add(context.token)
    for (const row of rows) {
      const place = `${batch.partition}:${batch.offset(row)}`
      if (this.rows.has(place)) throw new Error(`${place} was written twice`)
      this.rows.set(place, String(batch.value(row)))
    }
  }
}

class RetryableError extends Error {
  readonly retryable = true
}

function setUp(partitions = 1) {
  const clock = new TestClock()
  const broker = new FakeBroker({ clock })
  broker.createTopic(topic, partitions)
  const appended: number[] = Array.from({ length: partitions }, () => 0)
  const append = (count: number, partition = 0) => {
    broker.append(
      Array.from({ length: count }, () => {
        const number = appended[partition] ?? 0
        appended[partition] = number + 1
        const value = Buffer.from(`v${number}`)
        return { topic, partition, key: null, value, timestamp: clock.ms }
      }),
    )
  }
  const advance = (ms: number) => {
    clock.ms += ms
    broker.tick()
  }
  return { clock, broker, append, advance }
}

const open: { runner: SinkRunner }[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map(({ runner }) => runner.close(100)))
})

function startRunner(
  world: ReturnType<typeof setUp>,
  options: { sink: BatchSink; limits?: Partial<BatchLimits> } & Partial<
    Pick<SinkRunnerOptions, 'offsets' | 'bufferBytesMax' | 'writesMax' | 'clientId' | 'fetch' | 'groupInstanceId'>
  >,
) {
  const written: WrittenBatch[] = []
  const retries: number[] = []
  const gaps: string[] = []
  const { sink, limits, ...rest } = options
  const runner = createSinkRunner({
    broker: world.broker,
    clientId: 'test',
    groupId: group,
    topic,
    sink,
    offsets: (member) => intentOffsets(member, world.clock),
    limits: { rowsMax: 1_000, bytesMax: 1_000_000, ageMaxMs: 0, ...limits },
    clock: world.clock,
    logger: silentLogger,
    probe: {
      onWritten: (batch) => void written.push(batch),
      onRetry: ({ attempt }) => void retries.push(attempt),
      onGap: ({ fromOffset, toOffset }) => void gaps.push(`${fromOffset}-${toOffset}`),
    },
    pause: async (_attempt, signal) => {
      await turn()
      signal.throwIfAborted()
    },
    ...rest,
  })
  const handle = { runner, written, retries, gaps, started: runner.start() }
  open.push(handle)
  return handle
}

/** Lets the event loop turn until `condition` is true. */
async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    if (turns > 5_000) throw new Error('it never became true')
    await turn()
  }
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn()
}

function committed(world: ReturnType<typeof setUp>, partition = 0) {
  return world.broker.committedOffset(group, { topic, partition })
}

describe('batches', () => {
  it('hold every record once, in order, in contiguous ranges', async () => {
    const world = setUp(2)
    world.append(250)
    world.append(30, 1)
    const sink = new TestSink()
    startRunner(world, { sink, limits: { rowsMax: 100 } })
    await until(() => sink.rows.size === 280)
    expect(sink.writes.filter(({ range }) => range.startsWith('0:')).map(({ range }) => range)).toEqual([
      '0:0-99',
      '0:100-199',
      '0:200-249',
    ])
    expect([...sink.rows].filter(([place]) => place.startsWith('0:')).map(([, value]) => value)).toEqual(
      Array.from({ length: 250 }, (_, index) => `v${index}`),
    )
    await until(() => committed(world)?.offset === 250)
  })

  it('wait for their age, and no longer', async () => {
    const world = setUp()
    const sink = new TestSink()
    const { started } = startRunner(world, { sink, limits: { ageMaxMs: 1_000 } })
    await started
    world.append(3)
    await turns(50)
    expect(sink.writes).toEqual([])
    world.advance(999)
    await turns(50)
    expect(sink.writes).toEqual([])
    world.advance(1)
    await until(() => sink.rows.size === 3)
  })

  it('grow while the write before is on its way', async () => {
    const world = setUp()
    const sink = new TestSink()
    const release = Promise.withResolvers<void>()
    sink.before = () => release.promise
    const { started } = startRunner(world, { sink })
    await started
    world.append(1)
    await until(() => committed(world)?.metadata !== undefined)
    for (let i = 0; i < 5; i++) {
      world.append(2)
      await turns(20)
    }
    release.resolve()
    await until(() => sink.rows.size === 11)
    expect(sink.writes.map(({ range }) => range)).toEqual(['0:0-0', '0:1-10'])
  })
})

describe('intents', () => {
  it('stand beside the offset while the write is on its way, and go with it', async () => {
    const world = setUp()
    world.append(7)
    const sink = new TestSink()
    let during: unknown
    sink.before = async () => {
      during = committed(world)
    }
    startRunner(world, { sink })
    await until(() => committed(world)?.offset === 7)
    expect(during).toEqual({ offset: 0, metadata: JSON.stringify({ v: 1, first: 0, next: 7, at: 1_000_000 }) })
    expect(committed(world)).toEqual({ offset: 7, metadata: '' })
    expect(sink.writes[0]?.token).toBe('events:0:0-6@1000000')
  })

  it('are repeated as exactly the same range after a crash between the write and the commit', async () => {
    const world = setUp()
    world.append(7)
    const sink = new TestSink()
    sink.before = async () => {
      // The next commit is the one that would note the write; the process ends instead.
      world.broker.failNext('groupCommit', { error: new StreamsError('FENCED', 'killed'), applied: false })
    }
    const first = startRunner(world, { sink })
    await first.runner.failed
    await first.runner.close(0)
    expect(sink.rows.size).toBe(7)

    // More has arrived, time has passed and the limits are others: the range stays the same.
    world.append(20)
    world.advance(5_000)
    sink.before = async () => {}
    startRunner(world, { sink, limits: { rowsMax: 3 } })
    await until(() => sink.rows.size === 27)
    expect(sink.writes.slice(0, 4).map(({ token, range }) => `${range} ${token}`)).toEqual([
      '0:0-6 events:0:0-6@1000000',
      '0:0-6 events:0:0-6@1000000',
      '0:7-9 events:0:7-9@1005000',
      '0:10-12 events:0:10-12@1005000',
    ])
  })

  it('are repeated after a crash before the write, too', async () => {
    const world = setUp()
    world.append(5)
    const sink = new TestSink()
    sink.before = () => Promise.reject(new Error('killed'))
    const first = startRunner(world, { sink })
    await first.runner.failed
    await first.runner.close(0)
    expect(sink.rows.size).toBe(0)
    sink.before = async () => {}
    world.append(1)
    startRunner(world, { sink })
    await until(() => sink.rows.size === 6)
    expect(sink.writes.map(({ range }) => range)).toEqual(['0:0-4', '0:5-5'])
  })

  it('are the same at every attempt to announce them: a lost one may arrive after the one that was answered', async () => {
    const world = setUp()
    world.append(2)
    const error = new StreamsError('BROKER_UNAVAILABLE', 'no answer')
    world.broker.failNext('groupCommit', { error, applied: true })
    const sink = new TestSink()
    const announced: unknown[] = []
    const { retries } = startRunner(world, {
      sink,
      offsets(member) {
        const keeper = intentOffsets(member, world.clock)
        return {
          ...keeper,
          async announce(batch) {
            const token = keeper.announce(batch).finally(() => {
              announced.push(committed(world)?.metadata)
              world.advance(1_000)
            })
            return await token
          },
        }
      },
    })
    await until(() => sink.rows.size === 2)
    expect(retries).toEqual([1])
    expect(announced).toHaveLength(2)
    expect(new Set(announced).size).toBe(1)
    expect(sink.writes[0]?.token).toBe('events:0:0-1@1000000')
  })

  it('that reach beyond the log stop the sink: the range would be filled up with other records', async () => {
    const world = setUp()
    world.append(3)
    const member = await world.broker.openGroupMember({ clientId: 'former', groupId: group })
    const listener = { onAssigned: async () => {}, onRevoked: async () => {}, onLost: async () => {} }
    await member.join([topic], listener)
    const metadata = JSON.stringify({ v: 1, first: 1, next: 9, at: 5 })
    await member.commit([{ topic, partition: 0, offset: 1, metadata }])
    await member.close()
    const { runner } = startRunner(world, { sink: new TestSink() })
    expect(await runner.failed).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE', offset: 9 })
  })

  it('end without a write when their records are gone', async () => {
    const world = setUp()
    world.append(5)
    const sink = new TestSink()
    sink.before = () => Promise.reject(new Error('killed'))
    const first = startRunner(world, { sink })
    await first.runner.failed
    await first.runner.close(0)
    sink.before = async () => {}
    world.append(3)
    world.broker.truncateBefore({ topic, partition: 0 }, 6)
    const second = startRunner(world, { sink })
    await until(() => committed(world)?.offset === 8)
    expect(sink.writes.map(({ range, offsets }) => `${range} ${offsets}`)).toEqual(['0:5-7 6,7'])
    expect(second.gaps).toEqual(['0-6'])
  })

  it('of another program are left alone', async () => {
    const world = setUp()
    world.append(4)
    const member = await world.broker.openGroupMember({ clientId: 'other', groupId: group })
    const listener = { onAssigned: async () => {}, onRevoked: async () => {}, onLost: async () => {} }
    await member.join([topic], listener)
    await member.commit([{ topic, partition: 0, offset: 2, metadata: 'not ours' }])
    await member.close()
    const sink = new TestSink()
    startRunner(world, { sink })
    await until(() => sink.rows.size === 2)
    expect(sink.writes[0]?.range).toBe('0:2-3')
  })
})

describe('errors', () => {
  it('that are retryable repeat the same batch with the same token', async () => {
    const world = setUp()
    world.append(3)
    const sink = new TestSink()
    const tokens: string[] = []
    sink.before = async (_batch, { token }) => {
      tokens.push(token)
      world.append(1)
      if (tokens.length < 4) throw new RetryableError('the database is away')
    }
    const { retries } = startRunner(world, { sink, limits: { rowsMax: 3 } })
    await until(() => sink.rows.size >= 3)
    expect(retries.slice(0, 3)).toEqual([1, 2, 3])
    expect(new Set(tokens.slice(0, 4)).size).toBe(1)
    expect(sink.writes[0]?.range).toBe('0:0-2')
  })

  it('of the group are retried where the broker is away', async () => {
    const world = setUp()
    world.append(3)
    for (let i = 0; i < 3; i++) {
      const error = new StreamsError('BROKER_UNAVAILABLE', 'away')
      world.broker.failNext('groupCommit', { error, applied: i === 1 })
      world.broker.failNext('committed', { error, applied: false })
      world.broker.failNext('poll', { error, applied: false })
    }
    const sink = new TestSink()
    startRunner(world, { sink })
    await until(() => committed(world)?.offset === 3)
    expect(sink.writes.map(({ range }) => range)).toEqual(['0:0-2'])
  })

  it('that nothing cures end the runner', async () => {
    const world = setUp()
    world.append(1)
    const sink = new TestSink()
    sink.before = () => Promise.reject(new Error('no such table'))
    const { runner } = startRunner(world, { sink })
    expect(await runner.failed).toMatchObject({ message: 'no such table' })
    expect(runner.isReady()).toBe(false)
  })
})

describe('back pressure', () => {
  it('bounds what is held, loses nothing, and lets the lag show', async () => {
    const world = setUp()
    world.append(10_000)
    const sink = new TestSink()
    const release = Promise.withResolvers<void>()
    sink.before = () => release.promise
    let held = 0
    const { runner } = startRunner(world, { sink, limits: { rowsMax: 100 }, fetch: { partitionBytesMax: 10_000 } })
    for (let i = 0; i < 300; i++) {
      await turn()
      held = Math.max(held, runner.lags()[0]?.bufferedBytes ?? 0)
    }
    // A batch on its way, one that waits, and the rest of the last fetch: 300 records of 5 bytes at most, not 10,000.
    expect(held).toBeGreaterThan(300)
    expect(held).toBeLessThan(1_500)
    await runner.refreshEnds()
    expect(runner.lags()).toMatchObject([{ writtenOffset: 0, endOffset: 10_000, oldestPendingMs: 1_000_000 }])
    release.resolve()
    await until(() => sink.rows.size === 10_000)
    await until(() => runner.lags()[0]?.writtenOffset === 10_000)
    expect(runner.lags()).toMatchObject([{ endOffset: 10_000, oldestPendingMs: undefined }])
  })

  it('counts the bytes of all partitions together', async () => {
    const world = setUp(4)
    for (let partition = 0; partition < 4; partition++) world.append(2_000, partition)
    const sink = new TestSink()
    startRunner(world, {
      sink,
      limits: { rowsMax: 100_000, ageMaxMs: 1e9 },
      bufferBytesMax: 2_000,
      fetch: { partitionBytesMax: 1_000, fetchBytesMax: 4_000 },
    })
    // Nothing is ever old or full: only the bound on what is held makes batches due.
    await until(() => sink.rows.size > 7_000)
  })
})

describe('rebalances', () => {
  it('hand partitions over without loss or repetition', async () => {
    const world = setUp(4)
    const sink = new TestSink()
    const limits = { rowsMax: 10 }
    const first = startRunner(world, { sink, limits, clientId: 'a' })
    await first.started
    for (let partition = 0; partition < 4; partition++) world.append(95, partition)
    await until(() => sink.rows.size > 50)
    const second = startRunner(world, { sink, limits, clientId: 'b' })
    await second.started
    for (let partition = 0; partition < 4; partition++) world.append(50, partition)
    await until(() => sink.rows.size === 4 * 145)
    expect(first.runner.lags()).toHaveLength(2)
    expect(second.runner.lags()).toHaveLength(2)
    await second.runner.close(1_000)
    world.append(5, 3)
    await until(() => sink.rows.size === 4 * 145 + 5)
    expect(first.runner.lags()).toHaveLength(4)
  })

  it('leave partitions that stay where they are: what is on its way goes on', async () => {
    const world = setUp(2)
    const sink = new TestSink()
    const release = Promise.withResolvers<void>()
    sink.before = () => release.promise
    const first = startRunner(world, { sink, clientId: 'a' })
    await first.started
    world.append(3)
    world.append(3, 1)
    await until(() => committed(world, 0)?.metadata !== undefined && committed(world, 1)?.metadata !== undefined)
    const second = startRunner(world, { sink, clientId: 'b' })
    await turns(200)
    const [kept] = first.runner.lags()
    expect(first.runner.lags()).toHaveLength(1)
    release.resolve()
    await second.started
    await until(() => [0, 1].every((partition) => committed(world, partition)?.offset === 3))
    // Nothing was taken back from the first but the partition that moved: its write was not repeated.
    expect(sink.writes.filter(({ range }) => range === `${kept?.partition}:0-2`)).toHaveLength(1)
  })

  it('that refuse a commit of a partition that stays let it go on from the commits', async () => {
    const world = setUp()
    const sink = new TestSink()
    const { runner, started } = startRunner(world, { sink })
    await started
    sink.before = async () => {
      sink.before = async () => {}
      world.broker.failNext('groupCommit', {
        error: new StreamsError('REBALANCED', 'the group has moved on'),
        applied: false,
      })
    }
    world.append(4)
    await until(() => sink.writes.length === 2)
    world.append(2)
    await until(() => committed(world)?.offset === 6)
    expect(sink.writes.slice(0, 2).map(({ token }) => token)).toEqual(['events:0:0-3@1000000', 'events:0:0-3@1000000'])
    expect(sink.rows.size).toBe(6)
    expect(runner.isReady()).toBe(true)
  })

  it('do not come about when a static member is restarted', async () => {
    const world = setUp(2)
    const sink = new TestSink()
    const first = startRunner(world, { sink, groupInstanceId: 'one' })
    await first.started
    const members = world.broker.members(group)
    await first.runner.close(1_000)
    expect(world.broker.members(group)).toEqual(members)
    const second = startRunner(world, { sink, groupInstanceId: 'one' })
    await second.started
    world.append(3)
    world.append(3, 1)
    await until(() => sink.rows.size === 6)
    expect(second.runner.lags()).toHaveLength(2)
  })

  it('stop a member that was expelled from committing, and do not end it', async () => {
    const world = setUp()
    world.append(2)
    const sink = new TestSink()
    const zombieHolds = Promise.withResolvers<void>()
    sink.before = () => zombieHolds.promise
    const zombie = startRunner(world, { sink, clientId: 'zombie' })
    await until(() => committed(world)?.metadata !== undefined)
    const [memberId = ''] = world.broker.members(group)
    await world.broker.expireMember(group, memberId)

    const heir = new TestSink()
    startRunner(world, { sink: heir, clientId: 'heir' })
    await until(() => committed(world)?.offset === 2)
    expect(heir.writes.map(({ token }) => token)).toEqual(['events:0:0-1@1000000'])
    zombieHolds.resolve()
    await until(() => sink.writes.length === 1)
    // The zombie wrote with the same token, which the store ignores; its commit is refused.
    expect(sink.writes[0]?.token).toBe('events:0:0-1@1000000')
    await turns(20)
    expect(committed(world)).toEqual({ offset: 2, metadata: '' })
    await world.broker.noticeExpiry(group, memberId)
    world.append(1)
    await until(() => sink.rows.size + heir.rows.size >= 5)
    expect(zombie.runner.isReady()).toBe(true)
  })
})

describe('stored offsets', () => {
  function storeOf(offsets: Map<number, number>) {
    const settled: number[] = []
    const store: OffsetStore = {
      positions: async () => offsets,
      settle: async ({ offset }) => void settled.push(offset),
    }
    return { store, settled }
  }

  it('decide where to go on, whatever the group says; the group is only told', async () => {
    const world = setUp()
    world.append(10)
    const { store, settled } = storeOf(new Map([[0, 4]]))
    const sink = new TestSink()
    const { runner } = startRunner(world, {
      sink,
      offsets: (member) => storedOffsets({ store, member, clock: world.clock, logger: silentLogger }),
    })
    await until(() => sink.rows.size === 6)
    expect(sink.writes[0]).toMatchObject({ token: '', range: '0:4-9' })
    await until(() => committed(world)?.offset === 10)
    world.append(2)
    await until(() => sink.rows.size === 8)
    await runner.close(1_000)
    expect(committed(world)).toEqual({ offset: 12, metadata: '' })
    expect(settled).toEqual([12])
  })

  it('beyond the end of the log stop the sink, instead of skipping what comes', async () => {
    const world = setUp()
    world.append(3)
    const { store } = storeOf(new Map([[0, 400]]))
    const { runner } = startRunner(world, {
      sink: new TestSink(),
      offsets: (member) => storedOffsets({ store, member, clock: world.clock, logger: silentLogger }),
    })
    const error = await runner.failed
    expect(error).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
    expect(String(error)).toContain('the topic was deleted and created again')
  })
})

describe('close', () => {
  it('writes what was taken in, however young', async () => {
    const world = setUp(2)
    const sink = new TestSink()
    const { runner, started } = startRunner(world, { sink, limits: { ageMaxMs: 1e9 } })
    await started
    world.append(5)
    world.append(6, 1)
    await until(() => runner.lags().filter(({ oldestPendingMs }) => oldestPendingMs !== undefined).length === 2)
    await runner.close(1_000)
    expect(sink.rows.size).toBe(11)
    expect([committed(world, 0)?.offset, committed(world, 1)?.offset]).toEqual([5, 6])
    expect(world.broker.members(group)).toEqual([])
    await runner.close(1_000)
  })

  it('gives up on a store that is away, and leaves the intent to the next owner', async () => {
    const world = setUp()
    world.append(2)
    const sink = new TestSink()
    sink.before = () => Promise.reject(new RetryableError('away'))
    const { runner, retries } = startRunner(world, { sink })
    await until(() => retries.length > 3)
    await runner.close(10)
    expect(committed(world)?.metadata).toContain('"next":2')
  })
})
