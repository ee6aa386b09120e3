import { StreamsError } from '../core/errors.ts'
import { type Copartition, copartitionsOf } from './copartitions.ts'
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
  /** The repartition topics with the partitions they need: where their records meet those of other topics, as many as these have. */
  readonly repartitions: ReadonlyMap<string, number>
  /** Throws `TOPIC_MISSING` for a topic that is not known. */
  partitionsOf(topic: string): number
  /** The tasks that feed a repartition topic; each writes its watermark to every partition of it. */
  writersOf(topic: string): readonly TaskNumber[]
}

/**
 * Works the plan out from the partitions of the topics that exist: those the topology reads and writes besides its repartition topics.
 * Throws `TOPIC_MISSING` when a source topic is not among them, and `TOPIC_MISMATCH` when topics whose records meet in a store have different
 * numbers: rows of one key would lie in different tasks.
 */
export function partitionPlan(
  topology: Topology,
  names: TopicNames,
  partitions: ReadonlyMap<string, number>,
): PartitionPlan {
  const planning = new Planning(topology, names, partitions)
  const tasks = topology.subtopologies.map((subtopology) => planning.tasksOf(subtopology))
  for (const topic of topology.internalTopics) planning.repartitionOf(topic.name)
  planning.checkCopartitions()
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
  readonly #copartitions: readonly Copartition[]

  constructor(topology: Topology, names: TopicNames, partitions: ReadonlyMap<string, number>) {
    this.#topology = topology
    this.#names = names
    this.#partitions = partitions
    this.#copartitions = topology.subtopologies.flatMap(copartitionsOf)
  }

  tasksOf(subtopology: Subtopology): number {
    const sources = subtopology.nodes.filter((node): node is SourceNode => node.kind === 'source')
    return Math.max(...sources.map((source) => this.#partitionsOfSource(source)))
  }

  #partitionsOfSource(source: SourceNode): number {
    return source.internal ? this.repartitionOf(source.topic) : this.partitionsOf(this.#names.topic(source))
  }

  partitionsOf(topic: string): number {
    const found = this.repartitions.get(topic) ?? this.#partitions.get(topic)
    if (found === undefined)
      throw new StreamsError('TOPIC_MISSING', `topic "${topic}" does not exist: create it first`, { topic })
    return found
  }

  /** Throws with every group of topics that cannot work. */
  checkCopartitions(): void {
    const faults = this.#copartitions.flatMap(({ sources, stores }) => {
      const counts = sources.map((source) => this.#partitionsOfSource(source))
      if (new Set(counts).size === 1) return []
      const topics = sources.map((source, index) => `"${this.#names.topic(source)}" has ${counts[index]}`).sort()
      return [`records meet in the store "${stores.join('", "')}", but of their topics ${topics.join(' and ')}`]
    })
    if (faults.length === 0) return
    throw new StreamsError(
      'TOPIC_MISMATCH',
      `topics that are joined or counted together need the same number of partitions: ${faults.join('; ')}. Create them with the same number, or repartition one of them in the program`,
    )
  }

  /**
   * The partitions of a repartition topic: those asked for, those of the topics that its records meet, or as many as the most of the topics
   * that feed it. A topic may feed itself, where what comes out of it meets the records it is made of: that way adds nothing.
   */
  repartitionOf(name: string): number {
    const topic = this.#names.topic({ topic: name, internal: true })
    const known = this.repartitions.get(topic)
    if (known !== undefined) return known
    if (this.#asked.has(name)) return 0
    const isFirst = this.#asked.size === 0
    this.#asked.add(name)
    const count = this.#wantedPartitions(name) ?? this.#countOfCompanions(name) ?? this.#widestFeeding(name)
    this.#asked.delete(name)
    // On the way to another topic, those before it were left out: what was found may be too small.
    if (isFirst) this.repartitions.set(topic, count)
    return count
  }

  #wantedPartitions(name: string): number | undefined {
    return this.#topology.internalTopics.find((internal) => internal.name === name)?.partitions
  }

  /** What the topics whose records meet this one's have: given ones before those that can be chosen, of which the widest decides. */
  #countOfCompanions(name: string): number | undefined {
    const group = this.#copartitions.find(({ sources }) => sources.some((one) => one.internal && one.topic === name))
    if (group === undefined) return undefined
    const given = group.sources.find((source) => !source.internal || this.#wantedPartitions(source.topic) !== undefined)
    if (given !== undefined) return this.#partitionsOfSource(given)
    return Math.max(...group.sources.map((source) => this.#widestFeeding(source.topic)))
  }

  #widestFeeding(name: string): number {
    const feeding = this.#topology.subtopologies.filter((subtopology) =>
      sinksOf(subtopology).some((sink) => sink.internal && sink.topic === name),
    )
    return Math.max(...feeding.map((subtopology) => this.tasksOf(subtopology)))
  }
}

function sinksOf(subtopology: Subtopology): readonly SinkNode[] {
  return subtopology.nodes.filter((node): node is SinkNode => node.kind === 'sink')
}
