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
 * Creates what is missing and checks what exists. Topics that exist are not altered: throws `TOPIC_MISMATCH` when one has another number of
 * partitions, or a cleanup policy under which state would be lost.
 */
export async function ensureInternalTopics(admin: Admin, topics: readonly NewTopic[], logger: Logger): Promise<void> {
  const existing = await admin.describeTopics(topics.map(({ name }) => name))
  for (const topic of topics) {
    const description = existing.get(topic.name)
    if (description !== undefined) check(topic, description)
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

function check(topic: NewTopic, existing: TopicDescription): void {
  if (existing.partitions !== topic.partitions) {
    throw new StreamsError(
      'TOPIC_MISMATCH',
      `topic "${topic.name}" has ${existing.partitions} partitions and the topology needs ${topic.partitions}: the number of partitions of a source topic must not change under a running application. Use another application id, or delete this topic and its state`,
      { topic: topic.name },
    )
  }
  const policy = existing.config.get('cleanup.policy')
  const wanted = topic.config['cleanup.policy'] ?? ''
  if (policy !== undefined && sorted(policy) !== sorted(wanted)) {
    throw new StreamsError(
      'TOPIC_MISMATCH',
      `topic "${topic.name}" has cleanup.policy=${policy} and needs ${wanted}: alter it, or state is lost`,
      { topic: topic.name },
    )
  }
}

function sorted(policies: string): string {
  return policies
    .split(',')
    .map((policy) => policy.trim())
    .sort()
    .join()
}
