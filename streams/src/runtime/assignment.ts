import type { GroupView, TopicPartition } from '../core/broker.ts'
import type { TaskNumber } from '../topology/partition-plan.ts'
import type { TopicNames } from '../topology/topic-names.ts'
import type { SinkNode, SourceNode, Subtopology, Topology } from '../topology/topology.ts'

/** What the group subscribes to: every source topic, repartition topics too, by their names at the broker. */
export function subscribedTopics(topology: Topology, names: TopicNames): readonly string[] {
  const topics = topology.subtopologies.flatMap((subtopology) =>
    sourcesOf(subtopology).map((node) => names.topic(node)),
  )
  return [...new Set(topics)].sort()
}

/** Topics that must exist before the application starts: its sources, sinks and topics of late records that are not its own. */
export function externalTopics(topology: Topology): readonly string[] {
  const nodes = topology.subtopologies.flatMap(({ nodes }) => nodes)
  const ends = nodes.filter(isEnd)
  const late = nodes.flatMap((node) => (node.kind === 'processor' ? (node.lateTopic ?? []) : []))
  return [...new Set([...ends.filter(({ internal }) => !internal).map(({ topic }) => topic), ...late])].sort()
}

/**
 * The tasks that these partitions make, in order. The group gives partitions of the same number to the same member, so that each task's
 * partitions arrive together.
 */
export function assignedTasks(
  topology: Topology,
  names: TopicNames,
  partitions: readonly TopicPartition[],
): readonly TaskNumber[] {
  const reader = new Map<string, number>()
  for (const subtopology of topology.subtopologies) {
    for (const source of sourcesOf(subtopology)) reader.set(names.topic(source), subtopology.id)
  }
  const tasks = new Map<string, TaskNumber>()
  for (const { topic, partition } of partitions) {
    const subtopology = reader.get(topic)
    if (subtopology !== undefined) tasks.set(`${subtopology}_${partition}`, { subtopology, partition })
  }
  return [...tasks.values()].sort(
    (left, right) => left.subtopology - right.subtopology || left.partition - right.partition,
  )
}

/** A task's name: `<subtopology>_<partition>`, as Kafka Streams writes it. */
export function taskId({ subtopology, partition }: TaskNumber): string {
  return `${subtopology}_${partition}`
}

/**
 * Whether this member is to get partition numbers once its copies have caught up: one whose numbers it keeps warm has at least two more. True,
 * too, when the view does not show the others.
 */
export function isMoveDue(view: GroupView, groupInstanceId: string): boolean {
  const me = view.members.find((member) => member.groupInstanceId === groupInstanceId)
  if (me === undefined || view.members.length === 1) return true
  const mine = numbersOf(me.partitions).size
  return view.members.some((member) => {
    const numbers = numbersOf(member.partitions)
    return numbers.size > mine + 1 && me.standbys.some((number) => numbers.has(number))
  })
}

/** The partition numbers that these partitions have. */
export function numbersOf(partitions: readonly TopicPartition[]): ReadonlySet<number> {
  return new Set(partitions.map(({ partition }) => partition))
}

/** The source nodes of a subtopology. */
export function sourcesOf(subtopology: Subtopology): readonly SourceNode[] {
  return subtopology.nodes.filter((node) => node.kind === 'source')
}

function isEnd(node: Subtopology['nodes'][number]): node is SourceNode | SinkNode {
  return node.kind !== 'processor'
}
