import type { Admin, NewTopic, TopicDescription } from '../core/broker.ts'
import { StreamsError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { PartitionPlan } from '../topology/partition-plan.ts'
import type { TopicNames } from '../topology/topic-names.ts'
import type { StoreSpec, Topology } from '../topology/topology.ts'
import { changelogRetentionExtraMs, repartitionSegmentBytes } from './limits.ts'

/** The repartition and changelog topics of a topology, named and configured as Kafka Streams does. */
export function internalTopics(
  topology: Topology,
  plan: PartitionPlan,
  options: { readonly names: TopicNames; readonly replicationFactor: number },
): readonly NewTopic[] {
  const { names, replicationFactor } = options
  const repartition = [...plan.repartitions].map(([name, partitions]) => ({
    name,
    partitions,
    replicationFactor,
    config: repartitionConfig,
  }))
  const changelogs = topology.subtopologies.flatMap((subtopology) =>
    subtopology.stores
      .filter(({ changelog }) => changelog)
      .map((store) => ({
        name: names.changelog(store.name),
        partitions: plan.tasks[subtopology.id] ?? 0,
        replicationFactor,
        config: changelogConfig(store),
      })),
  )
  return [...repartition, ...changelogs]
}

/**
 * Creates what is missing and checks what exists. Topics that exist are not altered: throws `TOPIC_MISMATCH`, with every fault and what mends
 * it, when one has another number of partitions, or a cleanup policy or retention under which records or state would be lost.
 */
export async function ensureInternalTopics(admin: Admin, topics: readonly NewTopic[], logger: Logger): Promise<void> {
  const existing = await admin.describeTopics(topics.map(({ name }) => name))
  const faults = topics.flatMap((topic) => {
    const description = existing.get(topic.name)
    return description === undefined ? [] : faultsOf(topic, description).map((fault) => ({ topic: topic.name, fault }))
  })
  const [first] = faults
  if (first !== undefined) {
    throw new StreamsError('TOPIC_MISMATCH', faults.map(({ fault }) => fault).join('; '), { topic: first.topic })
  }
  const missing = topics.filter(({ name }) => !existing.has(name))
  if (missing.length === 0) return
  const created = await admin.createTopics(missing)
  if (created.length > 0) logger.info({ topics: created }, 'internal topics created')
}

/** Kept for ever until they are processed: then the engine deletes them. */
const repartitionConfig = {
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'segment.bytes': String(repartitionSegmentBytes),
  'message.timestamp.type': 'CreateTime',
}

function changelogConfig(store: StoreSpec): Readonly<Record<string, string>> {
  if (store.kind !== 'window') return { 'cleanup.policy': 'compact', 'message.timestamp.type': 'CreateTime' }
  return {
    'cleanup.policy': 'compact,delete',
    'retention.ms': String((store.retentionMs ?? 0) + changelogRetentionExtraMs),
    'message.timestamp.type': 'CreateTime',
  }
}

function faultsOf(topic: NewTopic, existing: TopicDescription): readonly string[] {
  const faults: string[] = []
  if (existing.partitions !== topic.partitions) {
    faults.push(
      `topic "${topic.name}" has ${existing.partitions} partitions and the topology needs ${topic.partitions}: the number of partitions of a source topic must not change under a running application. Use another application id, or delete this topic and its state`,
    )
  }
  const policy = existing.config.get('cleanup.policy')
  const wantedPolicy = topic.config['cleanup.policy'] ?? ''
  if (policy !== undefined && sorted(policy) !== sorted(wantedPolicy)) {
    faults.push(
      `topic "${topic.name}" has cleanup.policy=${policy} and needs ${wantedPolicy}, or state is lost: ${remedy(topic, 'cleanup.policy', wantedPolicy)}`,
    )
  }
  const retention = existing.config.get('retention.ms')
  const wantedRetention = topic.config['retention.ms']
  if (retention !== undefined && wantedRetention !== undefined && isShorter(retention, wantedRetention)) {
    faults.push(
      `topic "${topic.name}" keeps records for retention.ms=${retention} and has to for ${wantedRetention}, or what is not yet processed, or state, is lost: ${remedy(topic, 'retention.ms', wantedRetention)}`,
    )
  }
  return faults
}

/** −1 is for ever. A changelog may be as much shorter as the extra is that it was given. */
function isShorter(retention: string, wanted: string): boolean {
  const [has, needs] = [Number(retention), Number(wanted)]
  if (has === -1) return false
  return needs === -1 || has < needs - changelogRetentionExtraMs
}

function remedy(topic: NewTopic, key: string, value: string): string {
  return `kafka-configs.sh --alter --entity-type topics --entity-name ${topic.name} --add-config ${key}=[${value}]`
}

function sorted(policies: string): string {
  return policies
    .split(',')
    .map((policy) => policy.trim())
    .sort()
    .join()
}
