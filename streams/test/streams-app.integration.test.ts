import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Admin, type Producer, partitionKey } from '../src/core/broker.ts'
import type { OutgoingRecord } from '../src/core/record.ts'
import { RecordCursor } from '../src/core/record-cursor.ts'
import { connectKafka } from '../src/kafka/broker.ts'
import { openRocksDbStores } from '../src/rocksdb/rocksdb-stores.ts'
import { AppProcess } from './app-process.ts'
import { graceMs, type PageCount, windowSizeMs } from './counting-topology.ts'
import { kafkaBrokers } from './kafka-brokers.ts'

const partitions = 3
const pages = ['a', 'b', 'c', 'd', 'e']
const firstMs = 1_700_000_000_000
/** Longer than any machine stands still: a partition that counts as idle does not hold up the others' stream time, and its next records may be late. */
const idleMs = 60_000
const patient = { timeout: 30_000, interval: 50 }
const broker = connectKafka({ brokers: kafkaBrokers(), clientId: 'test' })

let admin: Admin
let producer: Producer
let stateDir: string
let applicationId: string
let input: string
let output: string
let sent: Map<string, number>
let visits: number
let running: AppProcess[]

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
  applicationId = `counting-${run}`
  input = `visits-${run}`
  output = `page-counts-${run}`
  stateDir = await mkdtemp(join(tmpdir(), 'millrace-streams-'))
  sent = new Map()
  visits = 0
  running = []
  await admin.createTopics(
    [input, output].map((name) => ({ name, partitions, replicationFactor: 1, config: { 'retention.ms': '-1' } })),
  )
  return async () => {
    for (const app of running) await app.stop()
    await rm(stateDir, { recursive: true, force: true })
  }
})

function start(options: Readonly<Record<string, unknown>> = {}): AppProcess {
  const app = new AppProcess({
    brokers: kafkaBrokers(),
    applicationId,
    input,
    output,
    stateDir,
    idleMs,
    ...options,
  })
  running.push(app)
  return app
}

/** Sends visits, 100 per second of event time. */
async function visit(count: number): Promise<void> {
  const records: OutgoingRecord[] = []
  for (let index = 0; index < count; index++) {
    const page = pages[visits % pages.length] ?? ''
    const atMs = firstMs + visits * 10
    const window = `${page}@${atMs - (atMs % windowSizeMs)}`
    sent.set(window, (sent.get(window) ?? 0) + 1)
    const value = Buffer.from(JSON.stringify({ page, atMs }))
    records.push({
      topic: input,
      partition: visits % partitions,
      key: Buffer.from(`user-${visits % 17}`),
      value,
      timestamp: atMs,
    })
    visits++
  }
  await producer.send(records)
}

/** Visits every few milliseconds until `ended` resolves. */
async function visitWhile(ended: Promise<unknown>): Promise<void> {
  let more = true
  void ended.then(() => {
    more = false
  })
  while (more) {
    await visit(50)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Every record of the output that is committed, by key, in order. */
async function results(): Promise<ReadonlyMap<string, readonly PageCount[]>> {
  const all = Array.from({ length: partitions }, (_, partition) => ({ topic: output, partition }))
  const ends = await admin.listOffsets(all, 'latestCommitted')
  const fetcher = await broker.openFetcher({ clientId: 'test' })
  const found = new Map<string, PageCount[]>()
  try {
    fetcher.assign(all.map((each) => ({ ...each, offset: 0 })))
    const cursor = new RecordCursor()
    while (all.some((each) => (fetcher.position(each) ?? 0) < (ends.get(partitionKey(each)) ?? 0))) {
      for (const batches of await fetcher.poll(100)) {
        cursor.reset(batches)
        while (cursor.next()) {
          const key = cursor.bytes.toString('utf8', cursor.keyStart, cursor.keyEnd)
          const value: PageCount = JSON.parse(cursor.bytes.toString('utf8', cursor.valueStart, cursor.valueEnd))
          found.set(key, [...(found.get(key) ?? []), value])
        }
      }
    }
  } finally {
    await fetcher.close()
  }
  return found
}

/** What is published is exact. Asked again: a window closes in the commit of its last count or in one after it. */
async function expectExact(): Promise<void> {
  await vi.waitFor(async () => expectExactly(await results()), patient)
}

/** The last count of every window is that of the visits sent; counts never go down; a final result comes once, last, and for every window that has closed. */
function expectExactly(found: ReadonlyMap<string, readonly PageCount[]>): void {
  const last = Object.fromEntries([...found].map(([window, counts]) => [window, counts.at(-1)?.count]).sort())
  expect(last).toEqual(Object.fromEntries([...sent].sort()))
  const closedBeforeMs = firstMs + visits * 10 - graceMs - windowSizeMs
  for (const [window, counts] of found) {
    const numbers = counts.map(({ count }) => count)
    expect(numbers, window).toEqual([...numbers].sort((left, right) => left - right))
    const finals = counts.filter(({ final }) => final).length
    const startMs = Number(window.split('@')[1])
    if (startMs + windowSizeMs + graceMs <= closedBeforeMs) expect(finals, `finals of ${window}`).toBe(1)
    expect(finals, `finals of ${window}`).toBeLessThanOrEqual(1)
    if (finals === 1) expect(counts.at(-1)?.final, `last of ${window}`).toBe(true)
  }
}

async function counted(waitMs = 60_000): Promise<void> {
  const deadlineMs = Date.now() + waitMs
  for (;;) {
    const found = await results()
    const missing = [...sent].filter(([window, count]) => found.get(window)?.at(-1)?.count !== count)
    if (missing.length === 0) return
    if (Date.now() > deadlineMs)
      throw new Error(`${missing.length} windows are not right after ${waitMs} ms, as ${missing[0]}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** No transaction is left open, on any topic of the application. */
async function expectNothingOpen(): Promise<void> {
  const topics = [output, `${applicationId}-by-page-repartition`, `${applicationId}-page-counts-changelog`]
  const all = topics.flatMap((topic) => Array.from({ length: partitions }, (_, partition) => ({ topic, partition })))
  // A commit is answered when it is decided; the marks that end it in each partition follow.
  await vi.waitFor(
    async () => expect(await admin.listOffsets(all, 'latestCommitted')).toEqual(await admin.listOffsets(all, 'latest')),
    patient,
  )
}

/** Rows of the state directory, by partition; closes it again. */
async function storedRows(directory: string): Promise<Readonly<Record<string, string>>> {
  const provider = await openRocksDbStores({ directory, stores: ['page-counts'] })
  const rows: Record<string, string> = {}
  for (let partition = 0; partition < partitions; partition++) {
    const store = await provider.open('page-counts', partition)
    for (const { key, value } of await store.range(Buffer.alloc(0), Buffer.alloc(40, 255), 100_000)) {
      rows[`${partition} ${key.toString('hex')}`] = value.toString('hex')
    }
  }
  await provider.close()
  return rows
}

describe('SIGKILL of an application', () => {
  it('while records flow, again and again, leaves every count exact', async () => {
    // Who comes back takes its own place, and does not wait for the end of its session, which is longer than any start takes.
    const sessionTimeoutMs = 45_000
    for (let round = 0; round < 4; round++) {
      const app = start({ sessionTimeoutMs })
      await app.printed('running')
      const died = new Promise((resolve) => setTimeout(resolve, 400 + 150 * round)).then(() => app.kill())
      await visitWhile(died)
    }
    const app = start({ sessionTimeoutMs })
    const startedMs = Date.now()
    await app.printed('running')
    const recoveredMs = Date.now() - startedMs
    await visit(500)
    await counted()
    await expectExact()
    expect(await app.stop()).toBe(0)
    await expectNothingOpen()
    expect(recoveredMs).toBeLessThan(sessionTimeoutMs)
  }, 240_000)

  it.each([
    ['commit:prepared', 5],
    ['commit:sent', 6],
    ['commit:offsets-added', 4],
    ['commit:committed', 5],
    ['commit:stored', 8],
  ])(
    'at %s leaves every count exact',
    async (dieAt, dieOnPass) => {
      const dying = start({ dieAt, dieOnPass })
      await dying.printed('running')
      await visitWhile(dying.ended())
      expect(await dying.ended()).toBe('SIGKILL')
      await visit(200)
      const next = start()
      await counted()
      await expectExact()
      expect(await next.stop()).toBe(0)
      await expectNothingOpen()
    },
    120_000,
  )
})

describe('a state directory', () => {
  it('that is deleted is rebuilt with the same content', async () => {
    const app = start()
    await visit(5_000)
    await counted()
    expect(await app.stop()).toBe(0)
    const before = await storedRows(stateDir)
    expect(Object.keys(before).length).toBeGreaterThan(0)
    await rm(stateDir, { recursive: true })
    const again = start()
    await again.printed('running')
    expect(again.lines.some((line) => line.includes('stores restored'))).toBe(true)
    expect(await again.stop()).toBe(0)
    expect(await storedRows(stateDir)).toEqual(before)
    await visit(500)
    start()
    await counted()
    await expectExact()
  }, 180_000)
})

describe('a restore', () => {
  it('that is killed in its midst goes on from what it has written', async () => {
    const app = start()
    await visit(5_000)
    await counted()
    expect(await app.stop()).toBe(0)
    const before = await storedRows(stateDir)
    await rm(stateDir, { recursive: true })
    const dying = start({ dieAt: 'recovery:written', dieOnPass: 1 })
    expect(await dying.ended()).toBe('SIGKILL')
    const restored = new Set(Object.keys(await storedRows(stateDir)).map((row) => row.split(' ')[0]))
    expect(restored.size).toBe(1)
    const again = start()
    await again.printed('stores restored')
    await again.printed('running')
    const whole = offsetsRestored(dying)
    expect(offsetsRestored(again)).toBeGreaterThan(0)
    expect(offsetsRestored(again)).toBeLessThan(whole)
    expect(await again.stop()).toBe(0)
    expect(await storedRows(stateDir)).toEqual(before)
    await visit(500)
    start()
    await counted()
    await expectExact()
  }, 180_000)
})

/** Changelog offsets that the restores of a process had before them, all together. */
function offsetsRestored(app: AppProcess): number {
  const begun = app.lines.filter((line) => line.startsWith('log restoring stores from their changelogs '))
  return begun.reduce((sum, line) => {
    const fields: { readonly remaining: number } = JSON.parse(line.slice(line.indexOf('{')))
    return sum + fields.remaining
  }, 0)
}

/** Where the changelogs end, by partition. */
async function changelogEnds(): Promise<ReadonlyMap<number, number>> {
  const topic = `${applicationId}-page-counts-changelog`
  const all = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
  const ends = await admin.listOffsets(all, 'latest')
  return new Map(all.map((each) => [each.partition, ends.get(partitionKey(each)) ?? 0]))
}

/** What it has last said of its copies is all there is. */
function expectCaughtUp(app: AppProcess, ends: ReadonlyMap<number, number>): void {
  const last = app.lines.findLast((line) => line.startsWith('standbys '))
  const copies: readonly { partition: number; position: number }[] = JSON.parse(last?.slice('standbys '.length) ?? '[]')
  expect(copies.length).toBeGreaterThan(0)
  for (const { partition, position } of copies) expect(position).toBeGreaterThanOrEqual(ends.get(partition) ?? 0)
}

describe('a standby', () => {
  it('takes over from a process that is killed with next to nothing to restore', async () => {
    const options = { numStandbys: 1, sessionTimeoutMs: 6_000 }
    const one = start(options)
    await one.printed('running')
    const other = start({ ...options, stateDir: join(stateDir, 'other') })
    await other.printed('tasks are ready')
    for (let round = 0; round < 5; round++) {
      await visit(1_000)
      await counted()
    }
    await vi.waitFor(async () => expectCaughtUp(one, await changelogEnds()), patient)
    const before = offsetsRestored(one)
    await other.kill()
    await visit(400)
    await counted()
    await expectExact()
    const lengths = [...(await changelogEnds()).values()]
    expect(offsetsRestored(one) - before).toBeLessThan(Math.min(...lengths.filter((length) => length > 0)) / 5)
    expect(await one.stop()).toBe(0)
  }, 240_000)
})

describe('two applications', () => {
  it('share the tasks, and the one takes over when the other is killed', async () => {
    const one = start()
    await one.printed('running')
    const other = start({ stateDir: join(stateDir, 'other') })
    await other.printed('tasks are ready')
    await visitWhile(new Promise((resolve) => setTimeout(resolve, 500)).then(() => other.kill()))
    await visit(500)
    await counted()
    await expectExact()
    expect(await one.stop()).toBe(0)
  }, 240_000)

  it('do not disturb each other when one stands still for longer than the session and goes on', async () => {
    const one = start()
    await one.printed('running')
    const zombie = start({ stateDir: join(stateDir, 'other') })
    await zombie.printed('tasks are ready')
    await visit(300)
    await visitWhile(new Promise((resolve) => setTimeout(resolve, 300)).then(() => zombie.signal('SIGSTOP')))
    await visit(500)
    await counted()
    zombie.signal('SIGCONT')
    await visit(500)
    await counted()
    await expectExact()
    await visit(500)
    await counted()
    await expectExact()
    expect(await zombie.stop()).toBe(0)
    expect(await one.stop()).toBe(0)
    await expectNothingOpen()
  }, 180_000)
})
