import type { SourceNode, Subtopology } from './topology.ts'

/** Sources whose records meet in a store: equal keys must lie in partitions of equal numbers, so their topics need equally many. */
export interface Copartition {
  readonly sources: readonly SourceNode[]
  /** The stores in which they meet. */
  readonly stores: readonly string[]
}

/**
 * The sources of a subtopology that must have the same number of partitions: those that feed nodes of one store, as both sides of a join do,
 * or several merged streams that are counted by key. Sources that only share a sink are free, as in Kafka Streams.
 */
export function copartitionsOf(subtopology: Subtopology): readonly Copartition[] {
  const feeding = sourcesByNode(subtopology)
  let groups: Copartition[] = []
  for (const { name: store } of subtopology.stores) {
    const sources = new Set<SourceNode>()
    for (const node of subtopology.nodes) {
      if (node.kind !== 'processor' || !node.stores.includes(store)) continue
      for (const source of feeding.get(node.name) ?? []) sources.add(source)
    }
    const meeting = groups.filter((group) => group.sources.some((source) => sources.has(source)))
    for (const group of meeting) for (const source of group.sources) sources.add(source)
    const stores = [...meeting.flatMap((group) => group.stores), store]
    groups = [...groups.filter((group) => !meeting.includes(group)), { sources: [...sources], stores }]
  }
  return groups.filter(({ sources }) => sources.length > 1)
}

function sourcesByNode({ nodes }: Subtopology): ReadonlyMap<string, ReadonlySet<SourceNode>> {
  const found = new Map<string, ReadonlySet<SourceNode>>()
  for (const node of nodes) {
    if (node.kind === 'source') found.set(node.name, new Set([node]))
    else found.set(node.name, new Set(node.parents.flatMap((parent) => [...(found.get(parent) ?? [])])))
  }
  return found
}
