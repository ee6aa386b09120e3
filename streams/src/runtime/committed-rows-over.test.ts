import { beforeEach, describe, expect, it } from 'vitest'
import { type CommittedOffset, partitionKey, type TopicPartition } from '../core/broker.ts'
import { StreamsError } from '../core/errors.ts'
import { silentLogger } from '../core/logger.ts'
import { utf8 } from '../core/serde.ts'
import type { CommittedTimes, RowsOver } from '../processor/processor.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import { partitionPlan } from '../topology/partition-plan.ts'
import { topicNames } from '../topology/topic-names.ts'
import type { ProcessorNode, SourceNode, StoreSpec, Topology } from '../topology/topology.ts'
import { encodeCommitMetadata, nodeHash } from './commit-metadata.ts'
import { CommittedRowsOver } from './committed-rows-over.ts'
import { standbyCommittedLookMs } from './limits.ts'

const windows: StoreSpec = {
  name: 'windows',
  kind: 'window',
  timestamped: true,
  windowSizeMs: 1_000,
  retentionMs: 1_000,
  changelog: true,
}

function source(topic: string): SourceNode {
  const serdes = { keySerde: utf8, valueSerde: utf8 }
  return { kind: 'source', name: topic, topic, internal: false, offsetReset: 'earliest', watermarks: false, ...serdes }
}

/** Says that all is over through its first time, updated through the stream time. */
function rowsOver({ streamTimeMs, times: [startMsMax = -1] }: CommittedTimes): RowsOver | undefined {
  return startMsMax < 0 ? undefined : { startMsMax, updatedMsMax: streamTimeMs }
}

function counting(name: string): ProcessorNode {
  return {
    kind: 'processor',
    name,
    parents: ['a', 'b'],
    stores: ['windows'],
    create: () => ({ process() {}, rowsOver }),
  }
}

/** One that works on the rows and does not say which are over. */
const silent: ProcessorNode = { ...counting('silent'), create: () => ({ process() {} }) }

function topologyWith(...nodes: readonly ProcessorNode[]): Topology {
  return {
    subtopologies: [{ id: 0, nodes: [source('a'), source('b'), ...nodes], stores: [windows] }],
    internalTopics: [],
  }
}

let clock: ManualClock
let committed: Map<string, CommittedOffset>
let asked: TopicPartition[][]
let failure: StreamsError | undefined

beforeEach(() => {
  clock = new ManualClock(1_000_000)
  committed = new Map()
  asked = []
  failure = undefined
})

function commit(topic: string, streamTimeMs: number, times: Readonly<Record<string, readonly number[]>>): void {
  const byHash = new Map(Object.entries(times).map(([name, nodeTimes]) => [nodeHash(name), nodeTimes]))
  const metadata = encodeCommitMetadata({ streamTimeMs, written: undefined, writers: [], times: byHash })
  committed.set(partitionKey({ topic, partition: 0 }), { offset: 1, metadata })
}

function overOf(topology: Topology): CommittedRowsOver {
  const names = topicNames('app')
  const partitions = new Map([
    ['a', 2],
    ['b', 2],
  ])
  return new CommittedRowsOver({
    topology,
    names,
    plan: partitionPlan(topology, names, partitions),
    clock,
    logger: silentLogger,
    committed: async (inputs) => {
      asked.push([...inputs])
      if (failure !== undefined) throw failure
      return committed
    },
  })
}

async function lookedAt(topology = topologyWith(counting('count'))): Promise<RowsOver | undefined> {
  const over = overOf(topology)
  over.look(new Set([0]))
  await over.settled()
  return over.of('0_0', windows)
}

describe('rows that are over', () => {
  it('are those that the node has committed to be over', async () => {
    commit('a', 70_000, { count: [50_000] })
    expect(await lookedAt()).toEqual({ startMsMax: 50_000, updatedMsMax: 70_000 })
  })

  it('are those that all nodes and all inputs agree on', async () => {
    commit('a', 70_000, { count: [50_000], other: [40_000] })
    commit('b', 60_000, { count: [50_000], other: [45_000] })
    const over = await lookedAt(topologyWith(counting('count'), counting('other')))
    expect(over).toEqual({ startMsMax: 40_000, updatedMsMax: 60_000 })
  })

  it('are none of a task that has committed nothing', async () => {
    expect(await lookedAt()).toBeUndefined()
  })

  it('are none while one input has metadata that cannot be read', async () => {
    commit('a', 70_000, { count: [50_000] })
    committed.set('b-0', { offset: 1, metadata: 'of somebody else' })
    expect(await lookedAt()).toBeUndefined()
  })

  it('are none after a commit without the times of the node, as of Kafka Streams', async () => {
    commit('a', 70_000, {})
    expect(await lookedAt()).toBeUndefined()
  })

  it('are none of a store with a node that does not say which', async () => {
    commit('a', 70_000, { count: [50_000] })
    expect(await lookedAt(topologyWith(counting('count'), silent))).toBeUndefined()
    expect(asked).toEqual([])
  })

  it('are read a number at a time, of numbers that have tasks', async () => {
    const over = overOf(topologyWith(counting('count')))
    over.look(new Set([0, 1, 2]))
    await over.settled()
    const inputs = asked.map((partitions) => partitions.map(partitionKey))
    expect(inputs).toEqual([
      ['a-0', 'b-0'],
      ['a-1', 'b-1'],
    ])
  })

  it('are read now and then, not at every look', async () => {
    const over = overOf(topologyWith(counting('count')))
    commit('a', 70_000, { count: [50_000] })
    for (const waitMs of [0, standbyCommittedLookMs - 1]) {
      clock.advance(waitMs)
      over.look(new Set([0]))
      await over.settled()
    }
    expect(asked).toHaveLength(1)
    commit('a', 90_000, { count: [80_000] })
    clock.advance(1)
    over.look(new Set([0]))
    expect(over.of('0_0', windows)).toEqual({ startMsMax: 50_000, updatedMsMax: 70_000 })
    await over.settled()
    expect(over.of('0_0', windows)).toEqual({ startMsMax: 80_000, updatedMsMax: 90_000 })
  })

  it('are none after a reading that failed, until the next', async () => {
    const over = overOf(topologyWith(counting('count')))
    commit('a', 70_000, { count: [50_000] })
    const seen: boolean[] = []
    for (const error of [undefined, new StreamsError('BROKER_UNAVAILABLE', 'away'), undefined]) {
      failure = error
      over.look(new Set([0]))
      await over.settled()
      seen.push(over.of('0_0', windows) !== undefined)
      clock.advance(standbyCommittedLookMs)
    }
    expect(seen).toEqual([true, false, true])
  })
})
