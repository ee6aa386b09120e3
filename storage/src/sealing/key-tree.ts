import { hash } from 'node:crypto'

/*
 * A tree of keys (Goldreich, Goldwasser, Micali: How to construct random functions, 1986). Its root is 32 random bytes; the two children of a
 * node are the halves of SHA-512 of its seed; the leaves are the keys.
 *
 *              seed                     leaves 0 … 2^24−1
 *       SHA-512(seed)
 *      left │ right                     0 … 2^23−1 │ 2^23 … 2^24−1
 *
 * Who has a node has every leaf below it, and nothing else. So a leaf is destroyed by keeping, in place of the node above it, the siblings along
 * the way to it: all other leaves can still be derived, and this one by nobody any more.
 */

/** Levels below the root. */
export const treeDepth = 24
/** Keys of one tree. */
export const treeLeaves = 2 ** treeDepth
/** Of a seed, and of a key: AES-256. */
export const seedBytes = 32

/** A node with what can be derived from it: the leaves from `firstLeaf` to `lastLeaf`, a power of two of them. */
export interface KeyNode {
  readonly firstLeaf: number
  readonly lastLeaf: number
  readonly seed: Buffer
}

/** The root of a tree. */
export function rootOf(seed: Buffer): KeyNode {
  return { firstLeaf: 0, lastLeaf: treeLeaves - 1, seed }
}

/** What is left of a node when one of its leaves is destroyed: at most `treeDepth` nodes, by their first leaf. Empty for the leaf itself. */
export function puncture(node: KeyNode, leaf: number): readonly KeyNode[] {
  if (!covers(node, leaf)) throw new RangeError(`leaf ${leaf} is not below this node`)
  const before: KeyNode[] = []
  const after: KeyNode[] = []
  let { firstLeaf, lastLeaf, seed } = node
  while (firstLeaf < lastLeaf) {
    const middle = (firstLeaf + lastLeaf + 1) / 2
    const children = childrenOf(seed)
    const [left, right] = [children.subarray(0, seedBytes), children.subarray(seedBytes)]
    if (leaf < middle) {
      after.unshift({ firstLeaf: middle, lastLeaf, seed: right })
      lastLeaf = middle - 1
      seed = left
    } else {
      before.push({ firstLeaf, lastLeaf: middle - 1, seed: left })
      firstLeaf = middle
      seed = right
    }
  }
  return [...before, ...after]
}

/** Whether a leaf can be derived from a node. */
export function covers({ firstLeaf, lastLeaf }: Pick<KeyNode, 'firstLeaf' | 'lastLeaf'>, leaf: number): boolean {
  return firstLeaf <= leaf && leaf <= lastLeaf
}

function childrenOf(seed: Buffer): Buffer {
  return hash('sha512', seed, 'buffer')
}

/** A leaf that was taken from a walk. The key is the taker's: he overwrites it when it was used. */
export interface WalkedLeaf {
  readonly leaf: number
  readonly key: Buffer
}

/**
 * Goes through a tree's leaves in order, one derivation each on average. It holds what is needed for the leaves that are still to come, at most
 * `treeDepth` seeds: from a process that is taken over nobody learns a key that was used.
 */
export class LeafWalk {
  /** The next leaf is below the last one. */
  readonly #nodes: KeyNode[]

  constructor(root: KeyNode) {
    this.#nodes = [root]
  }

  /** Undefined when all leaves were taken. */
  next(): WalkedLeaf | undefined {
    const node = this.#nodes.pop()
    if (node === undefined) return undefined
    const { firstLeaf } = node
    let { lastLeaf, seed } = node
    while (firstLeaf < lastLeaf) {
      const middle = (firstLeaf + lastLeaf + 1) / 2
      const children = childrenOf(seed)
      seed.fill(0)
      this.#nodes.push({ firstLeaf: middle, lastLeaf, seed: children.subarray(seedBytes) })
      lastLeaf = middle - 1
      seed = children.subarray(0, seedBytes)
    }
    return { leaf: firstLeaf, key: seed }
  }
}

/**
 * Derives leaves of one tree from the nodes that are left of it, in any order. What neighbours have in common is derived once: leaves in about the order in which they were
 * taken cost about one derivation each.
 */
export class LeafKeys {
  readonly #nodes: readonly KeyNode[]
  #node: KeyNode | undefined
  #offset = 0
  /** By level, the children of the node on the way to the last leaf that was asked for. */
  readonly #children: Buffer[] = []

  constructor(nodes: readonly KeyNode[]) {
    this.#nodes = nodes.toSorted((a, b) => a.firstLeaf - b.firstLeaf)
  }

  /** Undefined when no node is above the leaf: it was destroyed. The key is good until the next call. */
  keyOf(leaf: number): Buffer | undefined {
    const node = this.#node !== undefined && covers(this.#node, leaf) ? this.#node : this.#find(leaf)
    if (node === undefined) return undefined
    const levels = Math.log2(node.lastLeaf - node.firstLeaf + 1)
    const offset = leaf - node.firstLeaf
    // For the last leaf the children were derived of every node that the two ways have in common.
    const known = node === this.#node ? Math.min(levels, levels - bitsOf(offset ^ this.#offset) + 1) : 0
    this.#node = node
    this.#offset = offset
    let seed = known === 0 ? node.seed : this.#childOf(known - 1, levels)
    for (let level = known; level < levels; level++) {
      this.#children[level] = childrenOf(seed)
      seed = this.#childOf(level, levels)
    }
    return seed
  }

  /** The child of the way's node on `level` that the way goes on through. */
  #childOf(level: number, levels: number): Buffer {
    const isRight = (this.#offset >>> (levels - 1 - level)) & 1
    return (this.#children[level] ?? Buffer.alloc(0)).subarray(isRight * seedBytes, (isRight + 1) * seedBytes)
  }

  #find(leaf: number): KeyNode | undefined {
    let [low, high] = [0, this.#nodes.length - 1]
    while (low <= high) {
      const middle = (low + high) >> 1
      const node = this.#nodes[middle]
      if (node === undefined) return undefined
      if (covers(node, leaf)) return node
      if (leaf < node.firstLeaf) high = middle - 1
      else low = middle + 1
    }
    return undefined
  }
}

function bitsOf(value: number): number {
  return 32 - Math.clz32(value)
}
