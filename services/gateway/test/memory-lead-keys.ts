import { randomBytes } from 'node:crypto'
import type { Lead } from '@millrace/schemas'
import {
  LeadKey,
  LeafKeys,
  type NewTree,
  nodePlace,
  openContents,
  openIndex,
  type PlainLead,
  rootOf,
  type TreeStore,
  treeLeaves,
} from '@millrace/storage/sealing'

/** A table of keys in memory. */
export class MemoryLeadKeys implements TreeStore {
  readonly leadKey = new LeadKey(randomBytes(32))
  failure: Error | undefined
  readonly #trees = new Map<string, LeafKeys>()

  get size(): number {
    return this.#trees.size
  }

  async create({ tree, wrappedSeed }: NewTree): Promise<void> {
    if (this.failure !== undefined) throw this.failure
    const seed = this.leadKey.unwrap(wrappedSeed, nodePlace(tree, { firstLeaf: 0, lastLeaf: treeLeaves - 1 }))
    this.#trees.set(tree, new LeafKeys([rootOf(seed)]))
  }

  /** Opens a record; its content hash is the keyed one. */
  open(lead: Lead): PlainLead {
    const { lead_id: leadId, key_tree: tree, key_leaf: leaf, sealed } = lead
    if (tree === null || leaf === null || sealed === null) throw new Error('a lead was written that is not sealed')
    const key = this.#trees.get(tree)?.keyOf(leaf) ?? Buffer.alloc(32)
    const contents = openContents({ leadId, tree, leaf, sealed }, key)
    const index = openIndex({ leadId, tree, leaf, sealed }, key)
    if (contents === undefined || index === undefined) throw new Error('a sealed lead cannot be opened')
    return { ...lead, ...contents, content_hash: index.contentHash.toString('hex') }
  }
}
