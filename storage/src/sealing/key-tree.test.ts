import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { covers, type KeyNode, LeafKeys, LeafWalk, puncture, rootOf, treeDepth, treeLeaves } from './key-tree.ts'

const root = () => rootOf(createHash('sha256').update('a tree of the tests').digest())

/** The definition, word by word: a hash per level, the left or the right half by the leaf's bits. */
function derived(leaf: number): string {
  let seed = root().seed
  for (let level = treeDepth - 1; level >= 0; level--) {
    const children = createHash('sha512').update(seed).digest()
    seed = (leaf >>> level) & 1 ? children.subarray(32) : children.subarray(0, 32)
  }
  return seed.toString('hex')
}

/** A tree after some of its leaves were destroyed. */
function without(leaves: readonly number[]): readonly KeyNode[] {
  let nodes: readonly KeyNode[] = [root()]
  for (const leaf of leaves) nodes = nodes.flatMap((node) => (covers(node, leaf) ? puncture(node, leaf) : [node]))
  return nodes
}

const leafNumber = fc.oneof(
  fc.integer({ min: 0, max: treeLeaves - 1 }),
  // Neighbours, whose ways part late.
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: treeLeaves - 5, max: treeLeaves - 1 }),
)

describe('a tree of keys', () => {
  it('gives the same keys for ever', () => {
    expect(new LeafKeys([root()]).keyOf(0)?.toString('hex')).toBe(derived(0))
    expect(derived(0)).toBe('6b77011bbb880f52b4da9c5438a6ea47095022d3436eee2148cb131ff62e05d4')
    expect(derived(treeLeaves - 1)).toBe('f1e17b303c44217bbb6572f16f98b4c0b05e2ee2710c54f8a747546d45977c6a')
  })

  it('gives every leaf its own key, in whatever order they are asked for', () => {
    fc.assert(
      fc.property(fc.array(leafNumber, { minLength: 1, maxLength: 20 }), (leaves) => {
        const keys = new LeafKeys([root()])
        for (const leaf of leaves) expect(keys.keyOf(leaf)?.toString('hex')).toBe(derived(leaf))
      }),
      { numRuns: 50 },
    )
  })

  it('gives a walk the same keys, in order, and forgets what was taken', () => {
    const walked = new LeafWalk(root())
    for (let leaf = 0; leaf < 300; leaf++) {
      const next = walked.next()
      expect([next?.leaf, next?.key.toString('hex')]).toEqual([leaf, derived(leaf)])
    }
  })

  it('ends after its last leaf', () => {
    const last = { firstLeaf: treeLeaves - 4, lastLeaf: treeLeaves - 1, seed: Buffer.alloc(32, 7) }
    const walk = new LeafWalk(last)
    expect([1, 2, 3, 4, 5].map(() => walk.next()?.leaf)).toEqual([
      treeLeaves - 4,
      treeLeaves - 3,
      treeLeaves - 2,
      treeLeaves - 1,
      undefined,
    ])
  })
})

describe('destroying leaves', () => {
  it('takes them, and no other, away for good', () => {
    fc.assert(
      fc.property(
        fc.array(leafNumber, { minLength: 1, maxLength: 12 }),
        fc.array(leafNumber, { minLength: 5, maxLength: 20 }),
        (destroyed, asked) => {
          const nodes = without(destroyed)
          const keys = new LeafKeys(nodes)
          const gone = new Set(destroyed)
          for (const leaf of destroyed) {
            expect(keys.keyOf(leaf)).toBeUndefined()
            expect(nodes.some((node) => covers(node, leaf))).toBe(false)
          }
          const neighbours = destroyed.flatMap((leaf) => [leaf - 1, leaf + 1, leaf ^ 1])
          for (const leaf of [...asked, ...neighbours]) {
            if (gone.has(leaf) || leaf < 0 || leaf >= treeLeaves) continue
            expect(keys.keyOf(leaf)?.toString('hex')).toBe(derived(leaf))
          }
        },
      ),
      { numRuns: 50 },
    )
  })

  it('keeps nodes that are apart, in order, and cover all the rest', () => {
    fc.assert(
      fc.property(fc.uniqueArray(leafNumber, { minLength: 1, maxLength: 12 }), (destroyed) => {
        const nodes = without(destroyed)
        expect(nodes.length).toBeLessThanOrEqual(treeDepth * destroyed.length)
        let covered = 0
        let before = -1
        for (const { firstLeaf, lastLeaf } of nodes) {
          expect(firstLeaf).toBeGreaterThan(before)
          covered += lastLeaf - firstLeaf + 1
          before = lastLeaf
        }
        expect(covered).toBe(treeLeaves - destroyed.length)
      }),
      { numRuns: 50 },
    )
  })

  it('keeps no seed from which a destroyed leaf could be derived: none of those on the way to it', () => {
    const leaf = 0b1010_0000_0000_0000_1111_0000
    const onTheWay = new Set<string>()
    let seed = root().seed
    onTheWay.add(seed.toString('hex'))
    for (let level = treeDepth - 1; level >= 0; level--) {
      const children = createHash('sha512').update(seed).digest()
      seed = (leaf >>> level) & 1 ? children.subarray(32) : children.subarray(0, 32)
      onTheWay.add(seed.toString('hex'))
    }
    const kept = puncture(root(), leaf)
    expect(kept).toHaveLength(treeDepth)
    for (const node of kept) expect(onTheWay).not.toContain(node.seed.toString('hex'))
  })

  it('leaves nothing of a leaf by itself, and refuses one that is elsewhere', () => {
    const leaf = { firstLeaf: 8, lastLeaf: 8, seed: Buffer.alloc(32) }
    expect(puncture(leaf, 8)).toEqual([])
    expect(() => puncture(leaf, 9)).toThrow(RangeError)
  })
})
