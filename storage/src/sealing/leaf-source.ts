import { randomBytes } from 'node:crypto'
import { LeafWalk, rootOf, seedBytes } from './key-tree.ts'
import type { LeadKey } from './lead-key.ts'
import type { SealingKey } from './sealed-lead.ts'

/** A tree of keys as it is kept: the seed of its root, wrapped. */
export interface NewTree {
  /** 16 hexadecimal digits. */
  readonly tree: string
  /** At the place of `treePlace`. */
  readonly wrappedSeed: Buffer
}

/** Where trees of keys are kept. */
export interface TreeStore {
  /** Resolves when the tree is there for good: until then nothing may be sealed with it. Throws when the store does not answer. */
  create(tree: NewTree): Promise<void>
}

/** Which node of a tree a wrapped seed is of. */
export function nodePlace(
  tree: string,
  { firstLeaf, lastLeaf }: { readonly firstLeaf: number; readonly lastLeaf: number },
): string {
  return `${tree}\n${firstLeaf}\n${lastLeaf}`
}

/** How many trees are held in advance: one to take keys of, and one for when it ends, which may be while the store is away. */
export const treesHeld = 2

/**
 * Keys for leads that are to be sealed, each taken once, of trees that belong to this process alone. A store that is away stops it only after the keys of the trees in hand:
 * more than 16 million. What a process that ends has not taken is never used.
 */
export class LeafSource {
  readonly #store: TreeStore
  readonly #leadKey: LeadKey
  readonly #trees: { readonly tree: string; readonly walk: LeafWalk }[] = []
  #making: Promise<void> | undefined

  constructor(store: TreeStore, leadKey: LeadKey) {
    this.#store = store
    this.#leadKey = leadKey
  }

  /** Trees that there are keys of. */
  get trees(): number {
    return this.#trees.length
  }

  /** Makes trees until there are `count`. Throws what the store throws. */
  async hold(count: number): Promise<void> {
    while (this.#trees.length < count) {
      this.#making ??= this.#make().finally(() => {
        this.#making = undefined
      })
      await this.#making
    }
  }

  /** The next key; undefined when there is no tree. */
  take(): SealingKey | undefined {
    for (;;) {
      const [first] = this.#trees
      if (first === undefined) return undefined
      const next = first.walk.next()
      if (next !== undefined) return { tree: first.tree, leaf: next.leaf, key: next.key }
      this.#trees.shift()
    }
  }

  async #make(): Promise<void> {
    const root = rootOf(randomBytes(seedBytes))
    const tree = randomBytes(8).toString('hex')
    await this.#store.create({ tree, wrappedSeed: this.#leadKey.wrap(root.seed, nodePlace(tree, root)) })
    this.#trees.push({ tree, walk: new LeafWalk(root) })
  }
}
