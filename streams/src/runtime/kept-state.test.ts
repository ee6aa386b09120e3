import { beforeEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../core/logger.ts'
import { utf8 } from '../core/serde.ts'
import { memoryStores } from '../state/memory-store.ts'
import type { ByteStoreProvider } from '../state/store.ts'
import { FakeBroker } from '../testing/fake-broker.ts'
import { partitionPlan } from '../topology/partition-plan.ts'
import { topicNames } from '../topology/topic-names.ts'
import type { SourceNode, StoreSpec, Topology } from '../topology/topology.ts'
import { KeptState } from './kept-state.ts'

const source = (topic: string): SourceNode => ({
  kind: 'source',
  name: topic,
  topic,
  internal: false,
  offsetReset: 'earliest',
  watermarks: false,
  keySerde: utf8,
  valueSerde: utf8,
})
const store = (name: string, changelog = true): StoreSpec => ({
  name,
  kind: 'key-value',
  timestamped: false,
  windowSizeMs: undefined,
  retentionMs: undefined,
  changelog,
})
/** The stateless part has more tasks than the other. */
const topology: Topology = {
  subtopologies: [
    { id: 0, nodes: [source('in')], stores: [store('counts'), store('sums'), store('scratch', false)] },
    { id: 1, nodes: [source('wide')], stores: [] },
  ],
  internalTopics: [],
}
const names = topicNames('app')
const plan = partitionPlan(
  topology,
  names,
  new Map([
    ['in', 2],
    ['wide', 3],
  ]),
)
const cleanupDelayMs = 1_000

let broker: FakeBroker
let stores: ByteStoreProvider
let nowMs: number
let kept: KeptState

beforeEach(async () => {
  broker = new FakeBroker()
  for (const name of ['counts', 'sums']) broker.createTopic(names.changelog(name), 2)
  stores = memoryStores('process')
  nowMs = 0
  const clock = { nowMs: () => nowMs }
  const admin = await broker.openAdmin()
  kept = new KeptState({ topology, names, plan, admin, stores, clock, logger: silentLogger, cleanupDelayMs })
})

async function write(name: string, partition: number, changelogOffset: number): Promise<void> {
  const rows = await stores.open(name, partition)
  await rows.write([{ key: Buffer.from('a'), value: Buffer.from('1') }], changelogOffset)
  await rows.close()
}

function append(name: string, partition: number, count: number): void {
  for (let index = 0; index < count; index++) {
    broker.append([
      { topic: names.changelog(name), partition, key: Buffer.from('a'), value: Buffer.from('1'), timestamp: 0 },
    ])
  }
}

describe('how far state on disk lags behind', () => {
  it('is the sum over the stores of a number, from their offsets or from the start', async () => {
    append('counts', 0, 10)
    append('sums', 0, 7)
    append('counts', 1, 5)
    await write('counts', 0, 8)
    expect(kept.lagOf(0)).toBeUndefined()
    await kept.look(new Set())
    await kept.measure()
    expect([0, 1, 2].map((number) => kept.lagOf(number))).toEqual([2 + 7, 5, 0])
    expect([0, 1, 2].map((number) => kept.isOnDisk(number))).toEqual([true, false, false])
    expect(kept.numbers).toBe(3)
  })

  it('is the whole changelog when that does not hold the offset', async () => {
    append('counts', 0, 10)
    broker.truncateBefore({ topic: names.changelog('counts'), partition: 0 }, 4)
    await write('counts', 0, 2)
    await kept.look(new Set())
    await kept.measure()
    expect(kept.lagOf(0)).toBe(6)
  })
})

describe('state that is not in use', () => {
  it('is deleted after the delay, with all its stores', async () => {
    for (const name of ['counts', 'scratch']) await write(name, 1, 3)
    await write('counts', 0, 3)
    await kept.tidy(new Set([0]))
    nowMs = cleanupDelayMs - 1
    await kept.tidy(new Set([0]))
    expect(await stores.partitionsOnDisk('scratch')).toEqual([1])
    nowMs = cleanupDelayMs
    await kept.look(new Set([0]))
    expect(await stores.partitionsOnDisk('scratch')).toEqual([1])
    await kept.tidy(new Set([0]))
    expect(await stores.partitionsOnDisk('counts')).toEqual([0])
    expect(await stores.partitionsOnDisk('scratch')).toEqual([])
    expect(kept.isOnDisk(1)).toBe(false)
  })

  it('begins its delay anew when it was in use in between', async () => {
    await write('counts', 0, 3)
    await kept.look(new Set())
    nowMs = cleanupDelayMs / 2
    await kept.look(new Set([0]))
    await write('counts', 0, 9)
    nowMs = cleanupDelayMs
    append('counts', 0, 10)
    await kept.tidy(new Set())
    await kept.measure()
    expect(await stores.partitionsOnDisk('counts')).toEqual([0])
    expect(kept.lagOf(0)).toBe(1)
  })

  it('begins its delay anew with another membership', async () => {
    await write('counts', 0, 3)
    await kept.look(new Set())
    nowMs = 10 * cleanupDelayMs
    kept.forget()
    await kept.look(new Set())
    await kept.tidy(new Set())
    expect(await stores.partitionsOnDisk('counts')).toEqual([0])
  })
})
