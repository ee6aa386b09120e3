import { afterEach, beforeEach, expect, it } from 'vitest'
import { int64 } from '../src/aggregate/numbers.ts'
import type { GroupMember } from '../src/core/broker.ts'
import { utf8 } from '../src/core/serde.ts'
import { memoryStores, StreamsApp, type StreamsAppOptions, StreamsBuilder } from '../src/index.ts'
import { FakeBroker } from '../src/testing/index.ts'
import { until } from './until.ts'

/*
 * What an application does while something else takes its time: a rebalance that waits for another member, a transaction of another process that
 * does not end, a clock that was set back.
 */

const applicationId = 'app'
const builder = new StreamsBuilder()
builder
  .stream('in', { key: utf8, value: utf8 })
  .groupByKey({ key: utf8, value: utf8 })
  .count({ store: 'counts' })
  .toStream()
  .to('out', { key: utf8, value: int64 })
const topology = builder.build()

let broker: FakeBroker
let apps: StreamsApp[]
let releases: (() => void)[]

beforeEach(() => {
  broker = new FakeBroker()
  for (const topic of ['in', 'out', 'other']) broker.createTopic(topic, 2)
  apps = []
  releases = []
})
afterEach(async () => {
  for (const release of releases) release()
  for (const app of apps) await app.close({ leave: false })
})

async function start(options: Partial<StreamsAppOptions> = {}): Promise<StreamsApp> {
  const stores = memoryStores('process-1')
  const app = new StreamsApp({
    topology,
    applicationId,
    broker,
    stores,
    commitIntervalMs: 5,
    topicsWaitMs: 0,
    ...options,
  })
  apps.push(app)
  await app.start()
  return app
}

function send(count: number): void {
  const value = Buffer.from('x')
  for (let index = 0; index < count; index++)
    broker.append([{ topic: 'in', partition: index % 2, key: Buffer.from(`k${index}`), value, timestamp: 1 }])
}

function processed(app: StreamsApp): number {
  return app
    .snapshot()
    .tasks.flatMap(({ inputs }) => inputs)
    .reduce((sum, { position }) => sum + position, 0)
}

/** What the last counts of all keys add up to. */
function counted(): number {
  const last = new Map<string, number>()
  for (const { key, value } of broker.read('out')) last.set(key?.toString() ?? '', Number(value?.readBigInt64BE()))
  return [...last.values()].reduce((sum, count) => sum + count, 0)
}

/** A member whose commit does not end, so that the group's next join waits for it, up to its bound. */
async function slowMember(): Promise<GroupMember> {
  const member = await broker.openGroupMember({
    clientId: 'slow',
    groupId: applicationId,
    assignment: 'same-number',
    rebalance: 'cooperative',
  })
  await member.join(['other'], { onAssigned: async () => {}, onRevoked: async () => {}, onLost: async () => {} })
  const { promise, resolve } = Promise.withResolvers<void>()
  releases.push(resolve)
  member.inGeneration(() => promise).catch(() => undefined)
  return member
}

function warnings() {
  const texts: string[] = []
  const logger = { debug() {}, info() {}, warn: (_: unknown, text: string) => texts.push(text), error() {} }
  return { texts, logger }
}

it('processes on while commits wait for a rebalance, commit after commit', async () => {
  const app = await start()
  send(10)
  await until(() => counted() === 10)
  const member = await slowMember()
  member.rejoin()
  for (let total = 20; total <= 200; total += 10) {
    send(10)
    await until(() => processed(app) === total)
  }
  expect(counted()).toBe(10)
  for (const release of releases) release()
  await until(() => counted() === 200)
})

it('commits what is in its open transaction when a rebalance begins, in place of leaving it open meanwhile', async () => {
  const copying = new StreamsBuilder()
  copying.stream('in', { key: utf8, value: utf8 }).to('out', { key: utf8, value: utf8 })
  const app = await start({ topology: copying.build(), commitIntervalMs: 9_000 })
  await until(() => app.state === 'running')
  const member = await slowMember()
  await until(() => app.state === 'running')
  // More than is kept in memory until the commit.
  const value = Buffer.from('x')
  for (let index = 0; index < 600; index++)
    broker.append([{ topic: 'in', partition: 0, key: Buffer.alloc(20_000, `${index}.`), value, timestamp: 1 }])
  await until(() => broker.read('out', 'uncommitted').length > 0)
  expect(broker.read('out')).toEqual([])
  member.rejoin()
  await until(() => broker.read('out').length > 0)
})

it('closes in time while its commit waits for a rebalance', async () => {
  const { texts, logger } = warnings()
  const app = await start({ logger, closeDeadlineMs: 1_000 })
  send(10)
  await until(() => counted() === 10)
  const member = await slowMember()
  member.rejoin()
  send(10)
  await until(() => processed(app) === 20)
  await app.close({ leave: false })
  expect(texts).toEqual([expect.stringMatching(/^the last commit failed/)])
})

it('closes in time while its tasks wait for a transaction of another process', async () => {
  const { texts, logger } = warnings()
  const producer = await broker.openTransactionalProducer({ clientId: 'other', transactionalId: 'other' })
  const nobody = { groupId: applicationId, generationId: -1, memberId: '', groupInstanceId: null }
  await producer.sendOffsets(nobody, [{ topic: 'in', partition: 0, offset: 0, metadata: '' }])
  const app = await start({ logger, closeDeadlineMs: 1_000 })
  await until(() => broker.members(applicationId).length === 1)
  await app.close({ leave: false })
  expect(texts).toEqual([])
})

it('commits after the clock was set back', async () => {
  let offsetMs = 0
  const app = await start({ clock: { nowMs: () => Date.now() + offsetMs } })
  send(10)
  await until(() => counted() === 10)
  offsetMs = -3_600_000
  send(10)
  await until(() => processed(app) === 20)
  await until(() => counted() === 20)
})

it('ends when another process with the same state comes, in place of fighting with it for ever', async () => {
  const first = await start()
  await until(() => first.state === 'running')
  const second = await start()
  expect(await first.failed).toMatchObject({ code: 'FENCED' })
  send(10)
  await until(() => counted() === 10)
  expect(second.state).toBe('running')
})
