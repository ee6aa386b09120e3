import { afterEach, beforeEach, expect, it } from 'vitest'
import { utf8 } from '../src/core/serde.ts'
import { StreamsBuilder } from '../src/dsl/streams-builder.ts'
import { StreamsApp } from '../src/runtime/streams-app.ts'
import { memoryStores } from '../src/state/memory-store.ts'
import { FakeBroker } from '../src/testing/fake-broker.ts'
import { until } from './until.ts'

const users = ['ann', 'bob', 'cid', 'dan']
const partitions = 2

let broker: FakeBroker
let apps: StreamsApp[]

beforeEach(() => {
  broker = new FakeBroker()
  broker.createTopic('visits', partitions)
  apps = []
})
afterEach(async () => {
  for (const app of apps) await app.close()
})

function start(name: string): StreamsApp {
  const builder = new StreamsBuilder()
  builder.stream('visits', { key: utf8, value: utf8 }).groupByKey().count({ store: 'counts' })
  const app = new StreamsApp({
    topology: builder.build(),
    applicationId: 'app',
    broker,
    stores: memoryStores(name),
    commitIntervalMs: 5,
    topicsWaitMs: 0,
    numStandbys: 1,
    queryEndpoint: `http://${name}`,
  })
  apps.push(app)
  return app
}

async function countOf(app: StreamsApp, user: string, staleOk: boolean): Promise<number | undefined> {
  const store = app.store<string, number>('counts')
  return store.kind === 'key-value' ? (await store.get(user, { staleOk }))?.value : undefined
}

it('a copy answers for its owner, but only those who take what may be old', async () => {
  const one = start('one')
  const two = start('two')
  await one.start()
  await two.start()
  await until(() => apps.every((app) => app.state === 'running' && app.snapshot().tasks.length === 1))
  for (const user of users) {
    const { partition } = one.ownerOf('counts', user)
    for (let visit = 0; visit < 3; visit++)
      broker.append([{ topic: 'visits', partition, key: Buffer.from(user), value: Buffer.from('x'), timestamp: visit }])
  }
  for (const user of users) {
    const owner = one.ownerOf('counts', user)
    expect(two.ownerOf('counts', user)).toEqual({ ...owner, isLocal: !owner.isLocal })
    const [mine, other] = owner.isLocal ? [one, two] : [two, one]
    const [own, copy] = owner.isLocal ? ['http://one', 'http://two'] : ['http://two', 'http://one']
    expect(owner).toMatchObject({ endpoint: own, standbys: [copy] })
    await until(async () => (await countOf(mine, user, false)) === 3)
    await until(async () => (await countOf(other, user, true)) === 3)
    await expect(countOf(other, user, false)).rejects.toMatchObject({ code: 'STORE_ELSEWHERE', endpoint: own })
  }
  const [snapshot] = await one.stores()
  expect([...(snapshot?.partitions ?? []), ...(snapshot?.standbys ?? [])].sort()).toEqual([0, 1])
})
