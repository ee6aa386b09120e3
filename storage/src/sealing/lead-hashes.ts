import { hash } from 'node:crypto'
import type { LeadKey } from './lead-key.ts'

/** Of the hashes by which leads are found: 128 bits, so that no two of a billion people share one. */
export const findHashBytes = 16
/** Of the hash of a lead's content. */
export const contentHashBytes = 32

/**
 * The address as it is compared: composed characters, lower case, no space around it. What comes before the `@` is otherwise left as it is: whether dots in it or a `+tag`
 * matter is for the provider to say, and taking two people for one is worse than the opposite.
 */
export function normalisedEmail(email: string): string {
  return email.trim().normalize('NFC').toLowerCase()
}

/** The hash by which leads with this address are found. */
export function emailHash(key: LeadKey, email: string): Buffer {
  return key.hash('email', normalisedEmail(email)).subarray(0, findHashBytes)
}

/** The hash by which leads with this number are found: that of its digits. Undefined for a text without any. */
export function phoneHash(key: LeadKey, phone: string): Buffer | undefined {
  const digits = digitsOf(phone)
  return digits === '' ? undefined : key.hash('phone', digits).subarray(0, findHashBytes)
}

/** What tells a resend from a conflict: a keyed hash of the SHA-256 of the content, which alone would confirm whoever guesses the content. */
export function contentHash(key: LeadKey, sha256: string): Buffer {
  return key.hash('content', sha256)
}

/** What is found and compared by of a lead that is being sealed, as `LeadKey.digest` gives it: three hashes in buffers of their own cost as much as hashing. */
export interface LeadDigests {
  /** Its first `findHashBytes` are the hash. */
  readonly email: string
  /** As that of the address; empty when there is none. */
  readonly phone: string
  readonly content: string
}

/** The hashes of one lead: what `emailHash`, `phoneHash` and `contentHash` say. */
export function leadDigests(
  key: LeadKey,
  { email, phone, content_hash: sha256 }: { email: string; phone: string | null; content_hash: string },
): LeadDigests {
  const digits = phone === null ? '' : digitsOf(phone)
  return {
    email: key.digest('email', normalisedEmail(email)),
    phone: digits === '' ? '' : key.digest('phone', digits),
    content: key.digest('content', sha256),
  }
}

function digitsOf(phone: string): string {
  return phone.replace(/\D/g, '')
}

/** Hashes in columns and in keys of rows. */
export function hashText(bytes: Buffer): string {
  return bytes.toString('base64url')
}

/** What tells one person's lead from another's. */
export interface LeadPerson {
  /** As in its column. */
  readonly emailHash: string
  readonly source: string | null
}

/** The key under which the first lead of a person and a source is kept: 128 bits of SHA-256 of the address's hash and the source, which is compared as it is. */
export function leadIdentity({ emailHash, source }: LeadPerson): string {
  return hash('sha256', `${emailHash}\n${source ?? ''}`, 'base64url').slice(0, 22)
}
