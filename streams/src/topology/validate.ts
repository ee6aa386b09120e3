import { limits } from '../core/limits.ts'
import type { TopologyParts } from './build-topology.ts'
import type { SinkNode, SourceNode, StoreSpec, TopologyNode } from './topology.ts'

/** Everything that is wrong with a topology, in words; empty when nothing is. The rules are the functions below. */
export function faultsOf(parts: TopologyParts): readonly string[] {
  return [
    ...sourceFaults(parts.nodes),
    ...nameFaults(parts.nodes),
    ...parentFaults(parts.nodes),
    ...storeFaults(parts),
    ...topicNameFaults(parts),
    ...repartitionFaults(parts),
    ...timedNodeFaults(parts.nodes),
  ]
}

function sourceFaults(nodes: readonly TopologyNode[]): string[] {
  const sources = nodes.filter((node) => node.kind === 'source')
  if (sources.length === 0) return ['it has no source: begin with StreamsBuilder.stream']
  return duplicatesOf(sources.map(topicText)).map(
    (topic) => `topic "${topic}" is read by more than one source: read it once and use the stream twice`,
  )
}

function nameFaults(nodes: readonly TopologyNode[]): string[] {
  return duplicatesOf(nodes.map((node) => node.name)).map((name) => `the name "${name}" is given to more than one node`)
}

function parentFaults(nodes: readonly TopologyNode[]): string[] {
  const faults: string[] = []
  const seen = new Set<string>()
  for (const node of nodes) {
    if (node.kind !== 'source') {
      if (node.parents.length === 0) faults.push(`node "${node.name}" has no parent`)
      for (const parent of node.parents)
        if (!seen.has(parent)) faults.push(`node "${node.name}" follows "${parent}", which was not added before it`)
    }
    if (node.kind !== 'sink') seen.add(node.name)
  }
  return faults
}

function storeFaults({ nodes, stores }: TopologyParts): string[] {
  const users = nodes.filter((node) => node.kind === 'processor')
  const known = new Set(stores.map((store) => store.name))
  const used = new Set(users.flatMap((node) => node.stores))
  return [
    ...duplicatesOf(stores.map((store) => store.name)).map(
      (name) => `the store name "${name}" is given to more than one store`,
    ),
    ...users.flatMap((node) =>
      node.stores
        .filter((store) => !known.has(store))
        .map((store) => `node "${node.name}" uses the store "${store}", which was not added`),
    ),
    ...stores.filter((store) => !used.has(store.name)).map((store) => `the store "${store.name}" is used by no node`),
    ...stores.flatMap(windowStoreFaults),
  ]
}

function windowStoreFaults(store: StoreSpec): string[] {
  if (store.kind !== 'window') return []
  const { windowSizeMs = 0, retentionMs = 0 } = store
  if (windowSizeMs > 0 && retentionMs >= windowSizeMs) return []
  return [`the window store "${store.name}" keeps rows for ${retentionMs} ms, less than a window of ${windowSizeMs} ms`]
}

/** What the broker allows in a topic's name; stores and repartitions give their names to topics. */
const legalName = /^[a-zA-Z0-9._-]+$/

/** Room for the application id, and for `-repartition` or `-changelog`. */
const partNameLengthMax = limits.topicNameLengthMax - 64

function topicNameFaults({ nodes, stores, internalTopics }: TopologyParts): string[] {
  const external = nodes.filter((node) => node.kind !== 'processor').filter((node) => !node.internal)
  const late = nodes.flatMap((node) =>
    node.kind === 'processor' && node.lateTopic !== undefined ? [node.lateTopic] : [],
  )
  return [
    ...late.flatMap((topic) => illegalName('late topic', topic, limits.topicNameLengthMax)),
    ...external.flatMap((node) => illegalName(`node "${node.name}": topic`, node.topic, limits.topicNameLengthMax)),
    ...stores.flatMap((store) => illegalName('store', store.name, partNameLengthMax)),
    ...internalTopics.flatMap((topic) => illegalName('repartition', topic.name, partNameLengthMax)),
  ]
}

function illegalName(what: string, name: string, lengthMax: number): string[] {
  if (legalName.test(name) && name.length <= lengthMax && name !== '.' && name !== '..') return []
  return [`${what} "${name}": a name has 1 to ${lengthMax} letters, digits, dots, underscores or hyphens`]
}

function repartitionFaults({ nodes, internalTopics }: TopologyParts): string[] {
  const ends = nodes.filter((node) => node.kind !== 'processor').filter((node) => node.internal)
  const faults: string[] = []
  for (const { name, partitions } of internalTopics) {
    const sinks = ends.filter((node): node is SinkNode => node.kind === 'sink' && node.topic === name)
    const sources = ends.filter((node): node is SourceNode => node.kind === 'source' && node.topic === name)
    if (sinks.length === 0) faults.push(`nothing writes to the repartition "${name}"`)
    if (sources.length === 0) faults.push(`nothing reads the repartition "${name}"`)
    if (new Set([...sinks, ...sources].map((end) => end.watermarks)).size > 1)
      faults.push(`some ends of the repartition "${name}" have watermarks and some have not`)
    if (partitions !== undefined && (!Number.isSafeInteger(partitions) || partitions < 1))
      faults.push(`the repartition "${name}" cannot have ${partitions} partitions: at least 1 is needed`)
  }
  const known = new Set(internalTopics.map((topic) => topic.name))
  return [
    ...faults,
    ...duplicatesOf(internalTopics.map((topic) => topic.name)).map(
      (name) => `the repartition name "${name}" is given more than once`,
    ),
    ...ends.filter((end) => !known.has(end.topic)).map((end) => `the repartition "${end.topic}" was not added`),
  ]
}

/** Every windowed node keeps its stream time in the commit metadata, which has a bound. */
function timedNodeFaults(nodes: readonly TopologyNode[]): string[] {
  const timed = nodes.filter((node) => node.kind === 'processor' && node.stores.length > 0).length
  if (timed <= limits.timedNodesMax) return []
  return [`it has ${timed} nodes with stores; at most ${limits.timedNodesMax} are allowed: split it into applications`]
}

function topicText(node: SourceNode): string {
  return node.internal ? `${node.topic}-repartition` : node.topic
}

function duplicatesOf(names: readonly string[]): readonly string[] {
  return [...new Set(names.filter((name, index) => names.indexOf(name) !== index))]
}
