import type { Subtopology, Topology, TopologyNode } from './topology.ts'

/**
 * The topology as text, as Kafka Streams prints it, so that its tools and its users' eyes can read it. Nodes are in the order of their
 * processing; repartition topics are named without the application id.
 */
export function describe(topology: Topology): string {
  return `Topologies:\n${topology.subtopologies.map(describeSubtopology).join('\n')}`
}

function describeSubtopology({ id, nodes }: Subtopology): string {
  return `   Sub-topology: ${id}\n${nodes.map((node) => describeNode(node, nodes)).join('')}`
}

function describeNode(node: TopologyNode, nodes: readonly TopologyNode[]): string {
  const lines = [`    ${headline(node)}`]
  if (node.kind !== 'sink') lines.push(`      --> ${listOf(childrenOf(node, nodes))}`)
  if (node.kind !== 'source') lines.push(`      <-- ${listOf(node.parents)}`)
  return `${lines.join('\n')}\n`
}

function headline(node: TopologyNode): string {
  switch (node.kind) {
    case 'source':
      return `Source: ${node.name} (topics: [${topicText(node)}])`
    case 'processor':
      return `Processor: ${node.name} (stores: [${node.stores.join(', ')}])${node.lateTopic === undefined ? '' : ` (late: ${node.lateTopic})`}`
    case 'sink':
      return `Sink: ${node.name} (topic: ${topicText(node)})`
  }
}

function topicText(node: { readonly topic: string; readonly internal: boolean }): string {
  return node.internal ? `${node.topic}-repartition` : node.topic
}

function childrenOf(node: TopologyNode, nodes: readonly TopologyNode[]): readonly string[] {
  return nodes.filter((other) => other.kind !== 'source' && other.parents.includes(node.name)).map(({ name }) => name)
}

function listOf(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ')
}
