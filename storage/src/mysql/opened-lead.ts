import type { Lead } from '@millrace/schemas'
import {
  hashText,
  type LeadKey,
  type LeadKeyPlace,
  type LeafSource,
  openIndex,
  sealLead,
  treesHeld,
} from '../sealing/index.ts'
import { findKeys } from './lead-keys.ts'
import type { Database } from './mysql.ts'
import type { Placed } from './sink-range.ts'

/** What a lead is found and compared by, as its columns have it. */
export interface LeadColumns {
  readonly emailHash: string
  readonly phoneHash: string | null
  readonly contentHash: string
  readonly attributes: string
}

/** A record on its way into `leads`. */
export interface OpenedLead {
  readonly lead: Lead
  /** Of a record that is erased or has a fault: empty. */
  readonly index: LeadColumns
  /** Its key was destroyed. */
  readonly isErased: boolean
  /** Why it cannot be stored. */
  readonly fault: string | undefined
}

/** Seals records of a version that did not. Throws what the store of keys throws. */
export async function sealEarlier(
  submitted: readonly Placed<Lead>[],
  { leadKey, leaves }: { readonly leadKey: LeadKey; readonly leaves: LeafSource },
): Promise<readonly Placed<Lead>[]> {
  if (submitted.every(({ value }) => value.sealed !== null)) return submitted
  const sealed: Placed<Lead>[] = []
  for (const { offset, value } of submitted) {
    const { first_name, last_name, email, attributes, content_hash } = value
    const isPlain =
      first_name !== null && last_name !== null && email !== null && attributes !== null && content_hash !== null
    if (value.sealed !== null || !isPlain) {
      sealed.push({ offset, value })
      continue
    }
    await leaves.hold(treesHeld)
    const key = leaves.take()
    if (key === undefined) throw new Error('a tree of keys was held, and has no key')
    const plain = { ...value, first_name, last_name, email, attributes, content_hash }
    sealed.push({ offset, value: sealLead(plain, leadKey, key) })
  }
  return sealed
}

/** Opens what leads are found by, with keys that are read for it and forgotten. */
export async function openRecords(
  database: Database,
  leadKey: LeadKey,
  sealed: readonly Placed<Lead>[],
): Promise<readonly Placed<OpenedLead>[]> {
  const places = sealed.flatMap(({ value }) => sealedPlaceOf(value) ?? [])
  const keys = await findKeys(database, leadKey, places)
  return sealed.map(({ offset, value: lead }) => {
    const place = sealedPlaceOf(lead)
    if (place === undefined || lead.sealed === null) return { offset, value: faulty(lead, 'sealed: value missing') }
    const key = keys.keyOf(place)
    if (key === 'destroyed') return { offset, value: { lead, index: nothing, isErased: true, fault: undefined } }
    if (key === 'unknown') return { offset, value: faulty(lead, 'key_tree: no such tree of keys') }
    const index = openIndex({ leadId: lead.lead_id, ...place, sealed: lead.sealed }, key)
    if (index === undefined) return { offset, value: faulty(lead, 'sealed: value cannot be opened') }
    const columns = {
      emailHash: hashText(index.emailHash),
      phoneHash: index.phoneHash === undefined ? null : hashText(index.phoneHash),
      contentHash: index.contentHash.toString('hex'),
      attributes: index.attributes,
    }
    return { offset, value: { lead, index: columns, isErased: false, fault: undefined } }
  })
}

/** The key that a record says it is sealed with. */
export function sealedPlaceOf({ key_tree, key_leaf }: Lead): LeadKeyPlace | undefined {
  return key_tree === null || key_leaf === null ? undefined : { tree: key_tree, leaf: key_leaf }
}

const nothing: LeadColumns = { emailHash: '', phoneHash: null, contentHash: '', attributes: '{}' }

function faulty(lead: Lead, fault: string): OpenedLead {
  return { lead, index: nothing, isErased: false, fault }
}
