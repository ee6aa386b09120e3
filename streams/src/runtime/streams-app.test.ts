import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { until } from '../../test/until.ts'
import type { TransactionalProducer, TransactionalProducerOptions } from '../core/broker.ts'
import { StreamsError } from '../core/errors.ts'
import type { StreamRecord } from '../core/record.ts'
import { utf8 } from '../core/serde.ts'
import type { Processor, ProcessorContext } from '../processor/processor.ts'
import { memoryStores } from '../state/memory-store.ts'
import type { ByteStoreProvider, TaskStore } from '../state/store.ts'
import { FakeBroker } from '../testing/fake-broker.ts'
import type { Topology } from '../topology/topology.ts'
import { type FailpointName, failpoints } from './failpoint.ts'
import { StreamsApp, type StreamsAppOptions, storeNames } from './streams-app.ts'

const applicationId = 'app'
const partitions = 2
const changelogTopic = 'app-counts-changelog'

/** Forwards, for each record, how many of its key there were. */
class Count implements Processor<string, string, string, string> {
  #context: ProcessorContext<string, string> | undefined
  #store: TaskStore | undefined

  init(context: ProcessorContext<string, string>): void {
    this.#context = context
    this.#store = context.store('counts')
  }

  reads(record: StreamRecord<string, string>): boolean {
    const key = Buffer.from(record.key)
    this.#store?.want(key)
    return this.#store?.has(key) === true
  }

  process(record: StreamRecord<string, string>): void {
    if (record.value === 'poison') throw new Error('poison')
    const key = Buffer.from(record.key)
    const count = String(Number(this.#store?.get(key)?.toString() ?? '0') + 1)
    this.#store?.put(key, Buffer.from(count), record.timestamp)
    this.#context?.forward({ ...record, value: count })
  }
}

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
        { kind: 'processor', name: 'count', parents: ['source'], stores: ['counts'], create: () => new Count() },
        { kind: 'sink', name: 'sink', parents: ['count'], topic: 'out', internal: false, watermarks: false, ...serdes },
      ],
      stores: [
        {
          name: 'counts',
          kind: 'key-value',
          timestamped: false,
          windowSizeMs: undefined,
          retentionMs: undefined,
          changelog: true,
        },
      ],
    },
  ],
  internalTopics: [],
}

let broker: FakeBroker
let stores: ByteStoreProvider
let apps: StreamsApp[]
const stops: { release(): void }[] = []
const sent = new Map<string, number>()

beforeEach(() => {
  broker = new FakeBroker()
  broker.createTopic('in', partitions)
  broker.createTopic('out', partitions)
  stores = memoryStores('process-1')
  apps = []
  sent.clear()
})
afterEach(async () => {
  for (const stopped of stops.splice(0)) stopped.release()
  for (const app of apps) await app.close()
})

function app(options: Partial<StreamsAppOptions> = {}): StreamsApp {
  const made = new StreamsApp({
    topology,
    applicationId,
    broker,
    stores,
    commitIntervalMs: 5,
    topicsWaitMs: 0,
    ...options,
  })
  apps.push(made)
  return made
}

/** Sends `count` records over a few keys. */
function send(count: number): void {
  for (let index = 0; index < count; index++) {
    const key = `k${index % 7}`
    sent.set(key, (sent.get(key) ?? 0) + 1)
    const value = Buffer.from('x')
    broker.append([
      { topic: 'in', partition: (index % 7) % partitions, key: Buffer.from(key), value, timestamp: index },
    ])
  }
}

function total(): number {
  return [...sent.values()].reduce((sum, count) => sum + count, 0)
}

/** Exactly once, in order: the counts of each key are 1, 2, 3, … as often as it was sent. */
function expectExact(): void {
  const seen = new Map<string, number[]>()
  for (const { key, value } of broker.read('out')) {
    const name = key?.toString() ?? ''
    seen.set(name, [...(seen.get(name) ?? []), Number(value)])
  }
  expect(Object.fromEntries([...seen].sort())).toEqual(
    Object.fromEntries([...sent].sort().map(([key, count]) => [key, Array.from({ length: count }, (_, at) => at + 1)])),
  )
}

/** The rows of the store are those of the changelog. */
async function expectStoresMatchChangelog(provider: ByteStoreProvider): Promise<void> {
  for (let partition = 0; partition < partitions; partition++) {
    const expected = new Map<string, string>()
    for (const record of broker.read(changelogTopic)) {
      if (record.partition === partition) expected.set(record.key?.toString() ?? '', record.value?.toString() ?? '')
    }
    const store = await provider.open('counts', partition)
    const rows = await store.range(Buffer.alloc(0), Buffer.alloc(8, 255), 100)
    expect(rows.map(({ key, value }) => [key.toString(), value.toString()])).toEqual([...expected].sort())
    await store.close()
  }
}

const allCounted = () => broker.read('out').length >= total()

/** A failpoint at which the application stops for good, as a process that was killed, once it was armed. */
function stop(at: FailpointName) {
  let armed = false
  const { promise: reached, resolve } = Promise.withResolvers<void>()
  const { promise: held, resolve: release } = Promise.withResolvers<void>()
  const stopped = {
    reached,
    release,
    arm: () => {
      armed = true
    },
    failpoint: async (name: FailpointName) => {
      if (!armed || name !== at) return
      armed = false
      resolve()
      await held
    },
  }
  stops.push(stopped)
  return stopped
}

/** Everything is restored and read to the end. */
function isSettled(counting: StreamsApp): boolean {
  const { state, tasks } = counting.snapshot()
  const atEnd = tasks.flatMap(({ inputs }) => inputs).every(({ position, highWatermark }) => position >= highWatermark)
  return state === 'running' && tasks.length === partitions && atEnd
}

/** The session timeout takes the members out that did not come back. */
async function forgetMembers(): Promise<void> {
  for (const memberId of broker.members(applicationId)) await broker.expireMember(applicationId, memberId)
}

describe('an application', () => {
  it('counts, commits and closes', async () => {
    send(100)
    const states: string[] = []
    const counting = app({ onStateChange: (to) => states.push(to) })
    await counting.start()
    await until(allCounted)
    await counting.close()
    expect(states).toEqual(['starting', 'recovering', 'running', 'closing', 'closed'])
    expectExact()
    await expectStoresMatchChangelog(stores)
    expect(storeNames(topology)).toEqual(['counts'])
  })

  it('goes on where it was, from its state or without it', async () => {
    for (const provider of [stores, stores, memoryStores('process-2'), memoryStores('process-3')]) {
      send(50)
      const counting = app({ stores: provider })
      await counting.start()
      await until(allCounted)
      await counting.close()
      await expectStoresMatchChangelog(provider)
      await forgetMembers()
    }
    expectExact()
  })

  it('shares its tasks with others', async () => {
    send(50)
    const one = app()
    const other = app({ stores: memoryStores('process-2') })
    await one.start()
    await other.start()
    await until(() => one.snapshot().tasks.length === 1 && other.snapshot().tasks.length === 1)
    send(50)
    await until(allCounted)
    await one.close()
    await other.close()
    expectExact()
  })

  it('tells where it is', async () => {
    send(14)
    const counting = app()
    expect(counting.snapshot()).toEqual({ state: 'created', tasks: [], restore: undefined, standbys: [] })
    await counting.start()
    await until(allCounted)
    const [task] = counting.snapshot().tasks
    expect(task).toMatchObject({
      id: '0_0',
      streamTimeMs: 13,
      bufferedBytes: 0,
      inputs: [{ topic: 'in', partition: 0, position: 8, highWatermark: 8 }],
    })
  })

  it('says which topics are missing', async () => {
    broker = new FakeBroker()
    await expect(app().start()).rejects.toThrow('[TOPIC_MISSING] topics in, out do not exist')
  })

  it('ends when a topic has grown: no task would process the new partitions', async () => {
    const stateless: Topology = {
      subtopologies: topology.subtopologies.map(({ nodes, ...rest }) => ({
        ...rest,
        nodes: nodes
          .filter(({ kind }) => kind !== 'processor')
          .map((node) => (node.kind === 'sink' ? { ...node, parents: ['source'] } : node)),
        stores: [],
      })),
      internalTopics: [],
    }
    send(10)
    const copying = app({ topology: stateless })
    await copying.start()
    await until(() => broker.read('out').length === 10)
    broker.growTopic('in', 4)
    const other = app({ topology: stateless, stores: memoryStores('process-2') })
    await other.start()
    await until(() => other.snapshot().tasks.length === 2)
    await other.close()
    expect(await copying.failed).toMatchObject({ code: 'TOPIC_MISMATCH', topic: 'in' })
    expect(String(await copying.failed)).toMatch(/had 2 partitions .* start all its processes again/)
  })

  it('refuses a configuration that cannot work, with every fault', () => {
    expect(() => app({ applicationId: 'no spaces', commitIntervalMs: 20_000 })).toThrow(
      /\[INVALID_CONFIG\] applicationId "no spaces".*; transactionTimeoutMs \(10000\) must be above/,
    )
  })

  it('fails on a record that it is not told to skip, and commits nothing of its transaction', async () => {
    send(10)
    broker.append([{ topic: 'in', partition: 0, key: Buffer.from('k0'), value: Buffer.from('poison'), timestamp: 1 }])
    const counting = app({ commitIntervalMs: 5_000 })
    await counting.start()
    expect(await counting.failed).toMatchObject({ code: 'PROCESSING', topic: 'in', partition: 0, offset: 6 })
    expect(counting.state).toBe('failed')
    expect(broker.read('out')).toEqual([])
    await counting.close()
    expect(counting.state).toBe('closed')
  })
})

describe('SIGKILL', () => {
  it.each(failpoints.filter((name) => name.startsWith('commit:')))(
    'at %s loses nothing and doubles nothing',
    async (at) => {
      const kill = stop(at)
      send(60)
      const killed = app({ failpoint: kill.failpoint })
      await killed.start()
      await until(allCounted)
      kill.arm()
      send(60)
      await kill.reached
      await stores.close() // the dead process holds no lock
      send(30)
      const next = app()
      await next.start()
      await until(allCounted)
      await next.close()
      expectExact()
      await expectStoresMatchChangelog(stores)
    },
  )

  it('in recovery does no harm', async () => {
    send(60)
    const first = app()
    await first.start()
    await until(allCounted)
    await first.close()
    await forgetMembers()
    const kill = stop('recovery:restored')
    kill.arm()
    const place = memoryStores('process-2')
    const killed = app({ failpoint: kill.failpoint, stores: place })
    await killed.start()
    await kill.reached
    await place.close()
    send(30)
    const next = app({ stores: place })
    await next.start()
    await until(allCounted)
    await next.close()
    expectExact()
    await expectStoresMatchChangelog(place)
  })
})

describe('a zombie', () => {
  it.each(['commit:prepared', 'commit:sent', 'commit:offsets-added'] as const)(
    'that wakes up at %s is fenced and joins again',
    async (at) => {
      const pause = stop(at)
      send(60)
      const zombie = app({ failpoint: pause.failpoint })
      await zombie.start()
      await until(allCounted)
      const [memberId = ''] = broker.members(applicationId)
      pause.arm()
      send(60)
      await pause.reached
      await broker.expireMember(applicationId, memberId)
      const heir = app({ stores: memoryStores('process-2'), transactionTimeoutMs: 300 })
      await heir.start()
      pause.release()
      await broker.noticeExpiry(applicationId, memberId)
      await until(allCounted)
      send(30)
      await until(allCounted)
      expectExact()
      await zombie.close()
      await heir.close()
      await expectStoresMatchChangelog(stores).catch(() => undefined)
    },
  )
})

describe('a failure of the broker', () => {
  it.each([
    ['send', false],
    ['send', true],
    ['sendOffsets', false],
    ['sendOffsets', true],
    ['commit', false],
    ['commit', true],
    ['poll', false],
    ['committed', false],
  ] as const)('in %s, done: %s, is recovered from', async (operation, applied) => {
    const codes: string[] = []
    send(40)
    const counting = app({ probes: { restarted: (code) => codes.push(code) } })
    if (operation === 'committed') {
      broker.failNext(operation, { error: new StreamsError('TIMED_OUT', 'as asked'), applied })
    }
    await counting.start()
    await until(allCounted)
    if (operation !== 'committed') {
      broker.failNext(operation, { error: new StreamsError('OUTCOME_UNKNOWN', 'as asked'), applied })
    }
    send(40)
    await until(() => codes.length > 0)
    await until(allCounted)
    await until(() => isSettled(counting))
    await counting.close()
    expect(codes).toEqual([operation === 'committed' ? 'TIMED_OUT' : 'OUTCOME_UNKNOWN'])
    expectExact()
    await expectStoresMatchChangelog(stores)
  })

  it('that makes it forget where it wrote the changelog costs nothing but reading it again', async () => {
    class Forgetful extends FakeBroker {
      override async openTransactionalProducer(options: TransactionalProducerOptions): Promise<TransactionalProducer> {
        const inner = await super.openTransactionalProducer(options)
        return {
          send: async (records) => (await inner.send(records)).map((batch) => ({ ...batch, baseOffset: -1 })),
          sendOffsets: (group, offsets) => inner.sendOffsets(group, offsets),
          commit: () => inner.commit(),
          abort: () => inner.abort(),
          close: () => inner.close(),
        }
      }
    }
    const forgetful = new Forgetful()
    forgetful.createTopic('in', partitions)
    forgetful.createTopic('out', partitions)
    broker = forgetful
    for (let times = 0; times < 3; times++) {
      send(40)
      const counting = app()
      await counting.start()
      await until(allCounted)
      await until(() => isSettled(counting))
      expect(counting.state).toBe('running')
      await counting.close()
    }
    expectExact()
    await expectStoresMatchChangelog(stores)
  })

  it('that keeps the last commit from ending does not keep the application from closing', async () => {
    const kill = stop('commit:sent')
    send(20)
    const counting = app({ failpoint: kill.failpoint, closeDeadlineMs: 100 })
    await counting.start()
    await until(allCounted)
    kill.arm()
    send(20)
    await kill.reached
    await counting.close()
    expect(counting.state).toBe('closed')
  })

  it('that is not cured ends the application', async () => {
    for (let times = 0; times < 40; times++) {
      broker.failNext('send', { error: new StreamsError('BROKER_REFUSED', 'as asked'), applied: false })
    }
    send(1)
    const counting = app()
    await counting.start()
    expect(await counting.failed).toMatchObject({ code: 'BROKER_REFUSED' })
  })
})

describe('state that cannot be read', () => {
  it('is discarded and rebuilt while the application runs', async () => {
    let damaged = false
    let discarded = 0
    const readable = <T>(use: () => Promise<T>): Promise<T> => {
      if (damaged) throw new StreamsError('STORE_CORRUPT', 'checksum mismatch')
      return use()
    }
    const place = memoryStores('process-1')
    const onDisk: ByteStoreProvider = {
      ...place,
      async open(store, partition) {
        const inner = await place.open(store, partition)
        return {
          multiGet: async (keys) => readable(() => inner.multiGet(keys)),
          range: (from, to, limit) => inner.range(from, to, limit),
          lastKey: () => inner.lastKey(),
          changelogOffset: () => inner.changelogOffset(),
          write: async (changes, offset) => readable(() => inner.write(changes, offset)),
          wipe: () => inner.wipe(),
          close: () => inner.close(),
        }
      },
      async discard() {
        damaged = false
        discarded++
        await place.discard()
      },
    }
    send(60)
    const counting = app({ stores: onDisk, stateBytesMax: 0 })
    await counting.start()
    await until(allCounted)
    damaged = true
    send(60)
    await until(() => discarded > 0)
    await until(allCounted)
    await until(() => isSettled(counting))
    await counting.close()
    expect(discarded).toBe(1)
    expectExact()
    await expectStoresMatchChangelog(place)
  })
})

describe('at least once', () => {
  it('loses nothing when it is killed', async () => {
    const kill = stop('commit:sent')
    send(60)
    const killed = app({ failpoint: kill.failpoint, guarantee: 'at_least_once' })
    await killed.start()
    await until(allCounted)
    kill.arm()
    send(60)
    await kill.reached
    await stores.close()
    const next = app({ guarantee: 'at_least_once' })
    await next.start()
    const last = () => {
      const counts = new Map(broker.read('out').map(({ key, value }) => [key?.toString() ?? '', Number(value)]))
      return [...sent].every(([key, count]) => (counts.get(key) ?? 0) >= count)
    }
    await until(last)
    await until(() => isSettled(next))
    await next.close()
    await expectStoresMatchChangelog(stores)
  })
})

describe('records that retention deleted before they were processed', () => {
  it('are passed over, loudly', async () => {
    send(70)
    const first = app()
    await first.start()
    await until(allCounted)
    await first.close()
    send(70)
    broker.truncateBefore({ topic: 'in', partition: 0 }, 60)
    const lines: string[] = []
    const logger = { debug() {}, info() {}, warn() {}, error: (_: unknown, message: string) => lines.push(message) }
    const next = app({ logger })
    await next.start()
    await until(() => broker.read('out').filter(({ partition }) => partition === 1).length >= 60)
    await until(() => lines.length > 0)
    expect(lines[0]).toMatch(/deleted before they were processed: going on from the earliest offset/)
    expect(next.state).toBe('running')
  })
})

describe('a committed offset that lies beyond the end of its log', () => {
  it('ends the application: from the beginning, records would count twice', async () => {
    send(70)
    const first = app()
    await first.start()
    await until(allCounted)
    await first.close()
    const admin = await broker.openAdmin()
    await admin.deleteTopics(['in'])
    broker.createTopic('in', partitions)
    const counted = broker.read('out').length
    send(14)
    const next = app()
    await next.start()
    const error = await next.failed
    expect(error).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE', topic: 'in', partition: 0, offset: 40 })
    expect(String(error)).toMatch(/in-0 was processed up to offset 40, but its log has 0 to 8: .* of group app/)
    expect(broker.read('out')).toHaveLength(counted)
  })
})
