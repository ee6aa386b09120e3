import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto'
import type { Lead } from '@millrace/schemas'
import { decodeIndex, decodePerson, encodeContents, type LeadIndex } from './lead-contents.ts'
import { leadDigests } from './lead-hashes.ts'
import type { LeadKey } from './lead-key.ts'
import type { PersonalFields, PlainLead } from './plain-lead.ts'

/** Which key a lead is sealed with. */
export interface LeadKeyPlace {
  readonly tree: string
  readonly leaf: number
}

/** A key to seal one lead with. */
export interface SealingKey extends LeadKeyPlace {
  readonly key: Buffer
}

/** What is sealed of a lead, and what it is bound to: in another lead's place, or with another key, it cannot be opened. */
export interface SealedContents extends LeadKeyPlace {
  readonly leadId: string
  /** 0x01, the ciphertext, 16 bytes of tag. */
  readonly sealed: Buffer
}

const version = 1
const tagBytes = 16
/** Every key seals one message, so the nonce need not change. */
const nonce = Buffer.alloc(12)

/** The record of a lead with everything personal sealed (AES-256-GCM). The key is overwritten: it is for this lead alone. */
export function sealLead(lead: PlainLead, leadKey: LeadKey, { tree, leaf, key }: SealingKey): Lead {
  const contents = encodeContents(leadDigests(leadKey, lead), lead)
  const cipher = createCipheriv('aes-256-gcm', createSecretKey(key), nonce)
  key.fill(0)
  cipher.setAAD(boundTo(lead.lead_id, { tree, leaf }))
  const ciphertext = cipher.update(contents)
  cipher.final()
  const sealed = Buffer.allocUnsafe(1 + ciphertext.length + tagBytes)
  sealed[0] = version
  ciphertext.copy(sealed, 1)
  cipher.getAuthTag().copy(sealed, 1 + ciphertext.length)
  return {
    lead_id: lead.lead_id,
    first_name: null,
    last_name: null,
    email: null,
    phone: null,
    date_of_birth: null,
    address: null,
    city: null,
    postal_code: null,
    country: null,
    source: lead.source,
    campaign: lead.campaign,
    consent: lead.consent,
    attributes: null,
    content_hash: null,
    submitted_by: lead.submitted_by,
    request_id: lead.request_id,
    received_at: lead.received_at,
    key_tree: tree,
    key_leaf: leaf,
    sealed,
  }
}

/** What a sealed lead is found by. Undefined when it cannot be opened: changed, of another lead, or sealed with another key. */
export function openIndex(contents: SealedContents, key: Buffer): LeadIndex | undefined {
  const opened = open(contents, key)
  return opened && decodeIndex(opened)
}

/** Everything that is sealed of a lead; undefined as for `openIndex`. */
export function openContents(
  contents: SealedContents,
  key: Buffer,
): (PersonalFields & Pick<LeadIndex, 'attributes'>) | undefined {
  const opened = open(contents, key)
  return opened && { ...decodePerson(opened), attributes: decodeIndex(opened).attributes }
}

function open({ leadId, sealed, ...place }: SealedContents, key: Buffer): Buffer | undefined {
  if (sealed[0] !== version || sealed.length < 1 + tagBytes) return undefined
  // A key object, as for sealing: of bytes, Node finds out by two exceptions what they are not. 5.3 µs for opening 300 bytes in place of 19.
  const decipher = createDecipheriv('aes-256-gcm', createSecretKey(key), nonce, { authTagLength: tagBytes })
  decipher.setAAD(boundTo(leadId, place))
  decipher.setAuthTag(sealed.subarray(-tagBytes))
  const contents = decipher.update(sealed.subarray(1, -tagBytes))
  try {
    decipher.final()
  } catch {
    return undefined
  }
  return contents
}

function boundTo(leadId: string, { tree, leaf }: LeadKeyPlace): Buffer {
  return Buffer.from(`${leadId}\n${tree}\n${leaf}`)
}
