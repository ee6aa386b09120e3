// biome-ignore-all assist/source/organizeImports: the exports are grouped by who needs them.

// The master key.
export { isGuessableLeadKey, LeadKey, leadKeyFault, readLeadKey } from './lead-key.ts'

// Sealing: keys, and leads.
export { LeafSource, type NewTree, nodePlace, type TreeStore, treesHeld } from './leaf-source.ts'
export type { PersonalFields, PlainLead } from './plain-lead.ts'
export {
  type LeadKeyPlace,
  openContents,
  openIndex,
  type SealedContents,
  type SealingKey,
  sealLead,
} from './sealed-lead.ts'
export type { LeadIndex } from './lead-contents.ts'

// What leads are found and compared by.
export {
  contentHash,
  emailHash,
  hashText,
  type LeadPerson,
  leadIdentity,
  normalisedEmail,
  phoneHash,
} from './lead-hashes.ts'

// Keys out of what is left of a tree.
export { covers, type KeyNode, LeafKeys, puncture, rootOf, treeDepth, treeLeaves } from './key-tree.ts'
