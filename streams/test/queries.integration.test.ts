import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { int64 } from '../src/aggregate/numbers.ts'
import { type Admin, type Producer, partitionKey } from '../src/core/broker.ts'
import { StreamsError } from '../src/core/errors.ts'
import type { OutgoingRecord } from '../src/core/record.ts'
import { RecordCursor } from '../src/core/record-cursor.ts'
import { utf8 } from '../src/core/serde.ts'
import { StreamsBuilder } from '../src/dsl/streams-builder.ts'
import { connectKafka } from '../src/kafka/broker.ts'
import { openRocksDbStores } from '../src/rocksdb/rocksdb-stores.ts'
import type { FailpointName } from '../src/runtime/failpoint.ts'
import type { Page } from '../src/runtime/queries-page.ts'
import { StreamsApp, storeNames } from '../src/runtime/streams-app.ts'
import type { ByteStoreProvider } from '../src/state/store.ts'
import type { Topology } from '../src/topology/topology.ts'
import { tumblingWindows } from '../src/windows/time-windows.ts'
import { kafkaBrokers } from './kafka-brokers.ts'
import { until } from './until.ts'

const partitions = 2
const users = Array.from({ length: 20 }, (_, index) => `user-${String(index).padStart(2, '0')}`)
const windowSizeMs = 1_000
const firstMs = 1_700_000_000_000
const broker = connectKafka({ brokers: kafkaBrokers(), clientId: 'test' })

let admin: Admin
let producer: Producer
let stateDir: string
let stores: ByteStoreProvider
let applicationId: string
let input: string
let output: string
/** Visits sent by user, and by `user@window start`. */
let sent: Map<string, number>
let visits: number

beforeAll(async () => {
  admin = await broker.openAdmin()
  producer = await broker.openProducer({ clientId: 'test' })
})
afterAll(async () => {
  await producer.close()
  await admin.close()
})
beforeEach(async () => {
  const run = randomUUID().slice(0, 8)
  applicationId = `queried-${run}`
  input = `visits-${run}`
  output = `visit-counts-${run}`
  sent = new Map()
  visits = 0
  stateDir = await mkdtemp(join(tmpdir(), 'millrace-queries-'))
  stores = await openRocksDbStores({ directory: stateDir, stores: storeNames(topology()) })
  const config = { 'retention.ms': '-1' }
  await admin.createTopics([input, output].map((name) => ({ name, partitions, replicationFactor: 1, config })))
})
afterEach(async () => {
  await stores.close()
  await rm(stateDir, { recursive: true, force: true })
})

/** Counts visits by user, and by user and second. Every count that a commit leaves in a store is published by the same commit, and no other. */
function topology(): Topology {
  const builder = new StreamsBuilder()
  const byUser = builder.stream(input, { key: utf8, value: utf8 }).groupByKey()
  byUser.count({ store: 'by-user' }).toStream().to(output, { key: utf8, value: int64 })
  byUser
    .windowedBy(tumblingWindows({ sizeMs: windowSizeMs, graceMs: 3_600_000 }))
    .count({ store: 'by-second' })
    .toStream()
    .map((count, { key, startMs }) => ({ key: `${key}@${startMs}`, value: count }))
    .to(output, { key: utf8, value: int64 })
  return builder.build()
}

/** Sends visits, 1,000 per second of event time. */
async function visit(count: number): Promise<void> {
  const records: OutgoingRecord[] = []
  for (let index = 0; index < count; index++) {
    const user = users[visits % users.length] ?? ''
    const timestamp = firstMs + visits
    for (const key of [user, `${user}@${timestamp - (timestamp % windowSizeMs)}`])
      sent.set(key, (sent.get(key) ?? 0) + 1)
    const partition = app.ownerOf('by-user', user).partition
    records.push({ topic: input, partition, key: Buffer.from(user), value: Buffer.from('x'), timestamp })
    visits++
  }
  await producer.send(records)
}

let app: StreamsApp

async function start(options: { failpoint?: (name: FailpointName) => Promise<void>; commitIntervalMs: number }) {
  const restarts: string[] = []
  app = new StreamsApp({
    topology: topology(),
    applicationId,
    broker,
    stores,
    replicationFactor: 1,
    queryEndpoint: 'http://127.0.0.1:8090',
    probes: { restarted: (code) => restarts.push(code) },
    ...options,
  })
  await app.start()
  await until(() => app.state === 'running' && app.snapshot().tasks.length === partitions)
  return restarts
}

const byUser = () => {
  const store = app.store<string, number>('by-user')
  if (store.kind !== 'key-value') throw new Error('by-user has no windows')
  return store
}

const bySecond = () => {
  const store = app.store<string, number>('by-second')
  if (store.kind !== 'window') throw new Error('by-second has windows')
  return store
}

async function every<T>(page: (after: { readonly after?: string }) => Promise<Page<T>>): Promise<readonly T[]> {
  const found: T[] = []
  for (let after: string | undefined; ; ) {
    const { rows, next } = await page(after === undefined ? {} : { after })
    found.push(...rows)
    if (next === undefined) return found
    after = next
  }
}

/** All counts of both stores, by user and by `user@window start`. */
async function allCounts(): Promise<ReadonlyMap<string, number>> {
  const keyed = await every((after) => byUser().all({ limit: 7, ...after }))
  const windowed = await every((after) => bySecond().all({ limit: 100, ...after }))
  return new Map([
    ...keyed.map(({ key, value }) => [key, value] as const),
    ...windowed.map(({ key, startMs, value }) => [`${key}@${startMs}`, value] as const),
  ])
}

const isCounted = async () => {
  const counts = await allCounts()
  return [...sent].every(([key, count]) => counts.get(key) === count)
}

/** Every count that was published by a commit, by its key. */
async function published(): Promise<ReadonlyMap<string, ReadonlySet<number>>> {
  const all = Array.from({ length: partitions }, (_, partition) => ({ topic: output, partition }))
  const ends = await admin.listOffsets(all, 'latestCommitted')
  const fetcher = await broker.openFetcher({ clientId: 'test' })
  const found = new Map<string, Set<number>>()
  try {
    fetcher.assign(all.map((each) => ({ ...each, offset: 0 })))
    const cursor = new RecordCursor()
    while (all.some((each) => (fetcher.position(each) ?? 0) < (ends.get(partitionKey(each)) ?? 0))) {
      for (const batches of await fetcher.poll(100)) {
        cursor.reset(batches)
        while (cursor.next()) {
          const key = cursor.bytes.toString('utf8', cursor.keyStart, cursor.keyEnd)
          const counts = found.get(key) ?? new Set()
          found.set(key, counts.add(int64.read(cursor.bytes, cursor.valueStart, cursor.valueEnd)))
        }
      }
    }
  } finally {
    await fetcher.close()
  }
  return found
}

it('shows what commits have published and nothing else, while records flow and transactions are aborted', async () => {
  let commits = 0
  const restarts = await start({
    commitIntervalMs: 150,
    // Everything is in the transaction but its end: what it holds is aborted, and counted again.
    failpoint: async (name) => {
      if (name === 'commit:offsets-added' && (++commits === 4 || commits === 9))
        throw new StreamsError('OUTCOME_UNKNOWN', 'a failure that was asked for')
    },
  })
  const seen = new Map<string, Set<number>>()
  const latest = new Map<string, number>()
  const note = (key: string, count: number) => {
    seen.set(key, (seen.get(key) ?? new Set()).add(count))
    expect(count, `${key} goes back`).toBeGreaterThanOrEqual(latest.get(key) ?? 0)
    latest.set(key, count)
  }

  let sending = true
  let failed = false
  let queries = 0
  // The queries have met the stores between many commits: else there is nothing to be found out. However slow or quick the machine is.
  const isEnough = () => queries > 50 && (seen.get('user-10')?.size ?? 0) > 10
  const sender = (async () => {
    for (let batch = 0; (batch < 150 || !isEnough()) && !failed; batch++) {
      // While the work is done again nobody knows who has what.
      await until(() => app.state === 'running')
      await visit(200)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    sending = false
  })()
  while (sending) {
    const user = users[queries++ % users.length] ?? ''
    try {
      const row = await byUser().get(user)
      if (row !== undefined) note(user, row.value)
      for (const { key, value } of await every((after) => byUser().range({ from: 'user-05', to: 'user-15', ...after })))
        note(key, value)
      const fromMs = firstMs + visits - 3 * windowSizeMs
      for (const { startMs, value } of (await bySecond().fetch(user, { fromMs })).rows)
        note(`${user}@${startMs}`, value)
      for (const { key, startMs, value } of await every((after) => bySecond().fetchAll({ fromMs, ...after })))
        note(`${key}@${startMs}`, value)
    } catch (error) {
      failed = !(error instanceof StreamsError) || error.code !== 'STORE_NOT_READY'
      if (failed) throw error
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
  await sender
  await until(isCounted)
  expect(Object.fromEntries([...(await allCounts())].sort())).toEqual(Object.fromEntries([...sent].sort()))
  await app.close()

  expect(restarts).toEqual(['OUTCOME_UNKNOWN', 'OUTCOME_UNKNOWN'])
  const committed = await published()
  const uncommitted = [...seen].flatMap(([key, counts]) =>
    [...counts].filter((count) => committed.get(key)?.has(count) !== true).map((count) => `${key}: ${count}`),
  )
  expect(uncommitted).toEqual([])
  expect(isEnough()).toBe(true)
})

it('hides what a transaction holds until it is committed, however long that takes', async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  const { promise: held, resolve: onHeld } = Promise.withResolvers<void>()
  let armed = false
  await start({
    commitIntervalMs: 50,
    failpoint: async (name) => {
      if (!armed || name !== 'commit:offsets-added') return
      armed = false
      onHeld()
      await released
    },
  })
  await visit(2_000)
  await until(isCounted)
  const before = await allCounts()
  armed = true
  await visit(1_000)
  await held
  await visit(1_000)
  // Processed, and changed in memory: some in the open transaction, some beside it.
  const isProcessed = () =>
    app.snapshot().tasks.every(({ inputs }) => inputs.every(({ position, highWatermark }) => position >= highWatermark))
  await until(isProcessed)
  expect(Object.fromEntries(await allCounts())).toEqual(Object.fromEntries(before))
  expect(await byUser().get('user-00')).toMatchObject({ value: 100 })
  release()
  await until(isCounted)
  expect(await byUser().get('user-00')).toMatchObject({ value: 200 })
  expect(app.ownerOf('by-second', 'user-00')).toMatchObject({ isLocal: true, endpoint: 'http://127.0.0.1:8090' })
  await app.close()
  await expect(byUser().get('user-00')).rejects.toMatchObject({ code: 'CLOSED' })
})
