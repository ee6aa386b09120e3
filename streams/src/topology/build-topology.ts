import { StreamsError } from '../core/errors.ts'
import type { InternalTopic, StoreSpec, Subtopology, Topology, TopologyNode } from './topology.ts'
import { faultsOf } from './validate.ts'

/** A topology before it is divided, in the order its parts were added. */
export interface TopologyParts {
  readonly nodes: readonly TopologyNode[]
  readonly stores: readonly StoreSpec[]
  readonly internalTopics: readonly InternalTopic[]
}

/**
 * Divides nodes into subtopologies and freezes the result. `faults` are those found before.
 * Throws `INVALID_TOPOLOGY`, listing every fault.
 */
export function buildTopology(parts: TopologyParts, faults: readonly string[] = []): Topology {
  const all = [...faults, ...faultsOf(parts)]
  if (all.length > 0) {
    const count = all.length === 1 ? '1 fault' : `${all.length} faults`
    throw new StreamsError('INVALID_TOPOLOGY', `${count}:\n${all.map((fault) => `  - ${fault}`).join('\n')}`)
  }
  const subtopologies = groupsOf(parts.nodes).map((nodes, id) => subtopologyOf(id, nodes, parts.stores))
  return Object.freeze({
    subtopologies: Object.freeze(subtopologies),
    internalTopics: Object.freeze(parts.internalTopics.map((topic) => Object.freeze({ ...topic }))),
  })
}

function subtopologyOf(id: number, nodes: readonly TopologyNode[], stores: readonly StoreSpec[]): Subtopology {
  const used = new Set(nodes.flatMap((node) => (node.kind === 'processor' ? node.stores : [])))
  return Object.freeze({
    id,
    nodes: Object.freeze(nodes.map((node) => Object.freeze(node))),
    stores: Object.freeze(stores.filter((store) => used.has(store.name)).map((store) => Object.freeze(store))),
  })
}

/** Nodes that hang together by parents or by stores; groups in the order of their first nodes, nodes in the order they were added. */
function groupsOf(nodes: readonly TopologyNode[]): readonly (readonly TopologyNode[])[] {
  const leaderOf = new Map<string, string>()

  function find(name: string): string {
    const leader = leaderOf.get(name) ?? name
    return leader === name ? name : find(leader)
  }

  for (const node of nodes) {
    const ties = node.kind === 'source' ? [] : node.parents
    const stores = node.kind === 'processor' ? node.stores.map((store) => `store ${store}`) : []
    const leaders = [...ties, ...stores].map(find)
    leaderOf.set(node.name, leaders[0] ?? node.name)
    for (const leader of leaders) leaderOf.set(leader, find(node.name))
  }
  const groups = new Map<string, TopologyNode[]>()
  for (const node of nodes) {
    const leader = find(node.name)
    const group = groups.get(leader)
    if (group === undefined) groups.set(leader, [node])
    else group.push(node)
  }
  return [...groups.values()]
}
