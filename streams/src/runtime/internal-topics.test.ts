import { expect, it } from 'vitest'
import { silentLogger } from '../core/logger.ts'
import { utf8 } from '../core/serde.ts'
import { FakeBroker } from '../testing/fake-broker.ts'
import { partitionPlan } from '../topology/partition-plan.ts'
import { topicNames } from '../topology/topic-names.ts'
import type { SinkNode, SourceNode, StoreSpec, Topology } from '../topology/topology.ts'
import { assignedTasks, externalTopics, subscribedTopics } from './assignment.ts'
import { ensureInternalTopics, internalTopics } from './internal-topics.ts'

const serdes = { keySerde: utf8, valueSerde: utf8 } as const
const source = (topic: string, internal: boolean): SourceNode => ({
  kind: 'source',
  name: `from-${topic}`,
  topic,
  internal,
  offsetReset: 'earliest',
  watermarks: internal,
  ...serdes,
})
const sink = (topic: string, internal: boolean): SinkNode => ({
  kind: 'sink',
  name: `to-${topic}`,
  parents: [],
  topic,
  internal,
  watermarks: internal,
  ...serdes,
})
const store = (name: string, retentionMs: number | undefined, changelog = true): StoreSpec => ({
  name,
  kind: retentionMs === undefined ? 'key-value' : 'window',
  timestamped: true,
  windowSizeMs: retentionMs,
  retentionMs,
  changelog,
})

const topology: Topology = {
  subtopologies: [
    { id: 0, nodes: [source('events', false), sink('by-type', true)], stores: [] },
    {
      id: 1,
      nodes: [source('by-type', true), sink('stats', false)],
      stores: [store('totals', undefined), store('windows', 60_000), store('scratch', undefined, false)],
    },
  ],
  internalTopics: [{ name: 'by-type', partitions: undefined }],
}
const names = topicNames('app')
const plan = partitionPlan(
  topology,
  names,
  new Map([
    ['events', 3],
    ['stats', 1],
  ]),
)
const wanted = internalTopics(topology, plan, { names, replicationFactor: 1 })

it('are named, counted and configured as by Kafka Streams', () => {
  expect(wanted).toEqual([
    {
      name: 'app-by-type-repartition',
      partitions: 3,
      replicationFactor: 1,
      config: {
        'cleanup.policy': 'delete',
        'retention.ms': '-1',
        'segment.bytes': '52428800',
        'message.timestamp.type': 'CreateTime',
      },
    },
    {
      name: 'app-totals-changelog',
      partitions: 3,
      replicationFactor: 1,
      config: { 'cleanup.policy': 'compact', 'message.timestamp.type': 'CreateTime' },
    },
    {
      name: 'app-windows-changelog',
      partitions: 3,
      replicationFactor: 1,
      config: {
        'cleanup.policy': 'compact,delete',
        'retention.ms': String(60_000 + 86_400_000),
        'message.timestamp.type': 'CreateTime',
      },
    },
  ])
})

it('are created once, and left alone when they are right', async () => {
  const broker = new FakeBroker()
  const admin = await broker.openAdmin()
  await ensureInternalTopics(admin, wanted, silentLogger)
  await ensureInternalTopics(admin, wanted, silentLogger)
  const found = await admin.describeTopics(wanted.map(({ name }) => name))
  expect([...found.values()].map(({ partitions }) => partitions)).toEqual([3, 3, 3])
})

it('that exist and are wrong are refused, with what to do', async () => {
  const counts = new FakeBroker()
  counts.createTopic('app-by-type-repartition', 2)
  await expect(ensureInternalTopics(await counts.openAdmin(), wanted, silentLogger)).rejects.toThrow(
    /\[TOPIC_MISMATCH\] topic "app-by-type-repartition" has 2 partitions and the topology needs 3/,
  )
  const policies = new FakeBroker()
  policies.createTopic('app-totals-changelog', 3, { 'cleanup.policy': 'compact,delete' })
  await expect(ensureInternalTopics(await policies.openAdmin(), wanted, silentLogger)).rejects.toThrow(
    /has cleanup.policy=compact,delete and needs compact, or state is lost: kafka-configs.sh .* --entity-name app-totals-changelog --add-config cleanup.policy=\[compact\]/,
  )
})

it('are refused with every fault at once, too short a life among them', async () => {
  const broker = new FakeBroker()
  const life = (retentionMs: number) => ({ 'cleanup.policy': 'compact,delete', 'retention.ms': String(retentionMs) })
  broker.createTopic('app-windows-changelog', 3, life(59_000))
  broker.createTopic('app-by-type-repartition', 2, { 'cleanup.policy': 'delete', 'retention.ms': '604800000' })
  const admin = await broker.openAdmin()
  await expect(ensureInternalTopics(admin, wanted, silentLogger)).rejects.toThrow(
    /by-type-repartition" has 2 partitions.*; .*by-type-repartition" keeps records for retention.ms=604800000 and has to for -1.*; .*windows-changelog" keeps records for retention.ms=59000/,
  )
  const longEnough = new FakeBroker()
  longEnough.createTopic('app-windows-changelog', 3, life(60_000))
  await ensureInternalTopics(await longEnough.openAdmin(), wanted, silentLogger)
})

it('make tasks together with the source topics', () => {
  expect(externalTopics(topology)).toEqual(['events', 'stats'])
  expect(subscribedTopics(topology, names)).toEqual(['app-by-type-repartition', 'events'])
  expect(
    assignedTasks(topology, names, [
      { topic: 'app-by-type-repartition', partition: 2 },
      { topic: 'events', partition: 2 },
      { topic: 'events', partition: 0 },
      { topic: 'unknown', partition: 0 },
    ]),
  ).toEqual([
    { subtopology: 0, partition: 0 },
    { subtopology: 0, partition: 2 },
    { subtopology: 1, partition: 2 },
  ])
})
