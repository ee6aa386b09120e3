import { and, between, desc, eq, inArray, lte, or, type SQL } from 'drizzle-orm'
import { StorageError } from '../errors.ts'
import {
  covers,
  type KeyNode,
  type LeadKey,
  type LeadKeyPlace,
  LeafKeys,
  nodePlace,
  puncture,
  type TreeStore,
  treeDepth,
  treeLeaves,
} from '../sealing/index.ts'
import type { InsertNew } from './insert-new.ts'
import { destroyAttemptsMax, keyRunGapMax, keyRunsMax } from './limits.ts'
import type { Database, Mysql } from './mysql.ts'
import { leadKeyNodes } from './schema.ts'

/** Where trees of keys are kept: `lead_key_nodes`. `create` throws `ACCESS_DENIED` when what is there was wrapped by another master key. */
export function createLeadTreeStore(mysql: Pick<Mysql, 'run'>, leadKey: LeadKey): TreeStore {
  return {
    create: (tree) => mysql.run('keeping a tree of keys', (database) => treeStoreOn(database, leadKey).create(tree)),
  }
}

/** The same on one connection. */
export function treeStoreOn(database: Database, leadKey: LeadKey): TreeStore {
  return {
    async create({ tree, wrappedSeed }) {
      // Leads that are sealed with another key would be taken, and could not be stored.
      const [known] = await database.select().from(leadKeyNodes).limit(1)
      if (known !== undefined) leadKey.unwrap(known.wrappedSeed, nodePlace(known.treeId, known))
      await database.insert(leadKeyNodes).values({ treeId: tree, firstLeaf: 0, lastLeaf: treeLeaves - 1, wrappedSeed })
    },
  }
}

/** Keys of leads, as far as there are any. */
export interface FoundKeys {
  /** `destroyed`: its lead was erased. `unknown`: this database never had the tree, or has lost it. A key is good until the next call. */
  keyOf(place: LeadKeyPlace): Buffer | 'destroyed' | 'unknown'
}

/** Reads what the keys at `places` are derived from: for leads that were taken about the same time, one query. Nothing of it is kept. */
export async function findKeys(
  database: Database,
  leadKey: LeadKey,
  places: readonly LeadKeyPlace[],
): Promise<FoundKeys> {
  const nodes = new Map<string, KeyNode[]>()
  const runs = runsOf(places)
  for (let at = 0; at < runs.length; at += keyRunsMax) {
    const wanted = runs.slice(at, at + keyRunsMax).map(inRun)
    for (const row of await database
      .select()
      .from(leadKeyNodes)
      .where(or(...wanted))) {
      const ofTree = nodes.get(row.treeId) ?? []
      ofTree.push(toNode(row, leadKey))
      nodes.set(row.treeId, ofTree)
    }
  }
  const trees = new Map([...nodes].map(([tree, ofTree]) => [tree, new LeafKeys(ofTree)]))
  const lacking = places.filter(({ tree, leaf }) => nodes.get(tree)?.some((node) => covers(node, leaf)) !== true)
  const known = await treesAmong(database, [...new Set(lacking.map(({ tree }) => tree))])
  return {
    keyOf: ({ tree, leaf }) => trees.get(tree)?.keyOf(leaf) ?? (known.has(tree) ? 'destroyed' : 'unknown'),
  }
}

/**
 * Destroys keys inside the caller's transaction: in place of the node above a key come the nodes beside the way to it, so that every other key of the tree can be derived as
 * before. Keys that are gone already are passed over. Throws `WRITE_CONFLICT` when others destroy keys of the same tree all the time.
 */
export async function destroyKeys(
  { database, insertNew }: { readonly database: Database; readonly insertNew: InsertNew },
  leadKey: LeadKey,
  places: readonly LeadKeyPlace[],
): Promise<void> {
  // Always in the same order, so that two who destroy several wait for each other in no circle.
  for (const place of places.toSorted(inOrder)) {
    const node = await lockNode(database, leadKey, place)
    if (node === undefined) continue
    const { tree: treeId, leaf } = place
    const rows = puncture(node, leaf).map(({ firstLeaf, lastLeaf, seed }) => {
      const wrappedSeed = leadKey.wrap(seed, nodePlace(treeId, { firstLeaf, lastLeaf }))
      return { treeId, firstLeaf, lastLeaf, wrappedSeed }
    })
    await database
      .delete(leadKeyNodes)
      .where(and(eq(leadKeyNodes.treeId, treeId), eq(leadKeyNodes.firstLeaf, node.firstLeaf)))
    await insertNew(leadKeyNodes, rows)
  }
}

/** The node above a key, locked; undefined when there is none. */
async function lockNode(database: Database, leadKey: LeadKey, place: LeadKeyPlace): Promise<KeyNode | undefined> {
  for (let attempt = 0; attempt < destroyAttemptsMax; attempt++) {
    const [row] = await lastNodeUpTo(database, place).for('update')
    if (row !== undefined && covers(row, place.leaf)) return toNode(row, leadKey)
    // Whoever waited for somebody to replace the node goes on behind its place, and has not seen what came in its stead.
    const [now] = await lastNodeUpTo(database, place)
    if (now === undefined || !covers(now, place.leaf)) return undefined
  }
  throw new StorageError('WRITE_CONFLICT', `Others have changed the tree of keys ${place.tree} all the time: try again`)
}

function lastNodeUpTo(database: Database, { tree, leaf }: LeadKeyPlace) {
  return database
    .select()
    .from(leadKeyNodes)
    .where(and(eq(leadKeyNodes.treeId, tree), lte(leadKeyNodes.firstLeaf, leaf)))
    .orderBy(desc(leadKeyNodes.firstLeaf))
    .limit(1)
}

/** The seed is unwrapped when it is asked for: not every node that was read is needed. */
function toNode(
  { treeId, firstLeaf, lastLeaf, wrappedSeed }: typeof leadKeyNodes.$inferSelect,
  leadKey: LeadKey,
): KeyNode {
  let seed: Buffer | undefined
  return {
    firstLeaf,
    lastLeaf,
    get seed() {
      seed ??= leadKey.unwrap(wrappedSeed, nodePlace(treeId, { firstLeaf, lastLeaf }))
      return seed
    },
  }
}

async function treesAmong(database: Database, trees: readonly string[]): Promise<ReadonlySet<string>> {
  if (trees.length === 0) return new Set()
  const rows = await database
    .selectDistinct({ tree: leadKeyNodes.treeId })
    .from(leadKeyNodes)
    .where(inArray(leadKeyNodes.treeId, [...trees]))
  return new Set(rows.map(({ tree }) => tree))
}

/** Leaves of one tree that lie together. */
interface LeafRun {
  readonly tree: string
  readonly first: number
  last: number
}

function runsOf(places: readonly LeadKeyPlace[]): readonly LeafRun[] {
  const runs: LeafRun[] = []
  for (const { tree, leaf } of places.toSorted(inOrder)) {
    const run = runs.at(-1)
    if (run?.tree === tree && leaf - run.last <= keyRunGapMax) run.last = leaf
    else runs.push({ tree, first: leaf, last: leaf })
  }
  return runs
}

function inOrder(a: LeadKeyPlace, b: LeadKeyPlace): number {
  if (a.tree !== b.tree) return a.tree < b.tree ? -1 : 1
  return a.leaf - b.leaf
}

/** The nodes within a run, and those that may be above its first leaf: constants only, by which both servers find rows in the key. */
function inRun({ tree, first, last }: LeafRun): SQL | undefined {
  const above = new Set<number>()
  for (let level = 0; level <= treeDepth; level++) above.add(first - (first % 2 ** level))
  const within = last > first ? between(leadKeyNodes.firstLeaf, first, last) : undefined
  return and(eq(leadKeyNodes.treeId, tree), or(inArray(leadKeyNodes.firstLeaf, [...above]), within))
}
