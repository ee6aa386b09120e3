import { StreamsError } from '../core/errors.ts'
import type { TopicNames } from './topic-names.ts'
import type { SinkNode, SourceNode, Subtopology, Topology } from './topology.ts'

/** A task by its numbers: one subtopology and one partition number. */
export interface TaskNumber {
  readonly subtopology: number
  readonly partition: number
}

/** How many partitions topics have, and so how many tasks there are. Topics go by their names at the broker. */
export interface PartitionPlan {
  /** Tasks of each subtopology, by its id: as many as its widest source topic has partitions. */
  readonly tasks: readonly number[]
  /** The repartition topics with the partitions they need. */
  readonly repartitions: ReadonlyMap<string, number>
  /** Throws `TOPIC_MISSING` for a topic that is not known. */
  partitionsOf(topic: string): number
  /** The tasks that feed a repartition topic; each writes its watermark to every partition of it. */
  writersOf(topic: string): readonly TaskNumber[]
}

/**
 * Works the plan out from the partitions of the topics that exist: those the topology reads and writes besides its repartition topics.
 * Throws `TOPIC_MISSING` when a source topic is not among them.
 */
export function partitionPlan(
  topology: Topology,
  names: TopicNames,
  partitions: ReadonlyMap<string, number>,
): PartitionPlan {
  const planning = new Planning(topology, names, partitions)
  const tasks = topology.subtopologies.map((subtopology) => planning.tasksOf(subtopology))
  for (const topic of topology.internalTopics) planning.repartitionOf(topic.name)
  return {
    tasks,
    repartitions: planning.repartitions,
    partitionsOf: (topic) => planning.partitionsOf(topic),
    writersOf: (topic) =>
      topology.subtopologies
        .filter((subtopology) => sinksOf(subtopology).some((sink) => sink.internal && names.topic(sink) === topic))
        .flatMap(({ id }) =>
          Array.from({ length: tasks[id] ?? 0 }, (_, partition) => ({ subtopology: id, partition })),
        ),
  }
}

class Planning {
  readonly repartitions = new Map<string, number>()
  readonly #topology: Topology
  readonly #names: TopicNames
  readonly #partitions: ReadonlyMap<string, number>
  readonly #asked = new Set<string>()

  constructor(topology: Topology, names: TopicNames, partitions: ReadonlyMap<string, number>) {
    this.#topology = topology
    this.#names = names
    this.#partitions = partitions
  }

  tasksOf(subtopology: Subtopology): number {
    const sources = subtopology.nodes.filter((node): node is SourceNode => node.kind === 'source')
    return Math.max(
      ...sources.map((source) =>
        source.internal ? this.repartitionOf(source.topic) : this.partitionsOf(this.#names.topic(source)),
      ),
    )
  }

  partitionsOf(topic: string): number {
    const found = this.repartitions.get(topic) ?? this.#partitions.get(topic)
    if (found === undefined)
      throw new StreamsError('TOPIC_MISSING', `topic "${topic}" does not exist: create it first`, { topic })
    return found
  }

  /** The partitions of a repartition topic: those asked for, or as many as the most of the topics that feed it. */
  repartitionOf(name: string): number {
    const topic = this.#names.topic({ topic: name, internal: true })
    const known = this.repartitions.get(topic)
    if (known !== undefined) return known
    if (this.#asked.has(name))
      throw new StreamsError(
        'INVALID_TOPOLOGY',
        `the repartition "${name}" feeds itself: give it a number of partitions`,
      )
    this.#asked.add(name)
    const feeding = this.#topology.subtopologies.filter((subtopology) =>
      sinksOf(subtopology).some((sink) => sink.internal && sink.topic === name),
    )
    const count =
      this.#topology.internalTopics.find((internal) => internal.name === name)?.partitions ??
      Math.max(...feeding.map((subtopology) => this.tasksOf(subtopology)))
    this.repartitions.set(topic, count)
    return count
  }
}

function sinksOf(subtopology: Subtopology): readonly SinkNode[] {
  return subtopology.nodes.filter((node): node is SinkNode => node.kind === 'sink')
}
