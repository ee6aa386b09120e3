import { contentHashBytes, findHashBytes, type LeadDigests } from './lead-hashes.ts'
import type { PersonalFields } from './plain-lead.ts'

/*
 * What is sealed of a lead, version 1. The hashes are inside, too: of an erased lead nothing is left that would confirm who it was, or that it was the same person as
 * another one's. What MySQL is searched by comes first, so that who stores leads need not look at the rest.
 *
 *   0   16  hash of the address
 *  16   16  hash of the phone's digits; zeros when there is none
 *  32   32  hash of the content
 *  64    4  n, bytes of the attributes, big endian
 *  68    n  attributes, the text of a JSON object; nothing for {}
 *  68+n     a JSON array: first_name, last_name, email, phone, date_of_birth, address, city, postal_code, country
 */
const phoneAt = findHashBytes
const contentAt = phoneAt + findHashBytes
const lengthAt = contentAt + contentHashBytes
const attributesAt = lengthAt + 4

/** What a lead is found and compared by. */
export interface LeadIndex {
  readonly emailHash: Buffer
  readonly phoneHash: Buffer | undefined
  readonly contentHash: Buffer
  /** A JSON object's text. */
  readonly attributes: string
}

const personalNames = [
  'first_name',
  'last_name',
  'email',
  'phone',
  'date_of_birth',
  'address',
  'city',
  'postal_code',
  'country',
] as const satisfies readonly (keyof PersonalFields)[]

/** The contents of a lead as bytes. `attributes` are a JSON object's text. */
export function encodeContents(digests: LeadDigests, lead: PersonalFields & Pick<LeadIndex, 'attributes'>): Buffer {
  const attributes = lead.attributes === '{}' ? '' : lead.attributes
  const personal = JSON.stringify(personalNames.map((name) => lead[name]))
  const attributeBytes = Buffer.byteLength(attributes)
  const bytes = Buffer.allocUnsafe(attributesAt + attributeBytes + Buffer.byteLength(personal))
  bytes.write(digests.email, 0, findHashBytes, 'latin1')
  if (digests.phone === '') bytes.fill(0, phoneAt, contentAt)
  else bytes.write(digests.phone, phoneAt, findHashBytes, 'latin1')
  bytes.write(digests.content, contentAt, contentHashBytes, 'latin1')
  bytes.writeUInt32BE(attributeBytes, lengthAt)
  bytes.write(attributes + personal, attributesAt)
  return bytes
}

/** What a lead is found by, out of its contents. Throws a `RangeError` for bytes that are none. */
export function decodeIndex(contents: Buffer): LeadIndex {
  const end = attributesEnd(contents)
  const phone = contents.subarray(phoneAt, contentAt)
  return {
    emailHash: contents.subarray(0, phoneAt),
    phoneHash: phone.every((byte) => byte === 0) ? undefined : phone,
    contentHash: contents.subarray(contentAt, lengthAt),
    attributes: end === attributesAt ? '{}' : contents.toString('utf8', attributesAt, end),
  }
}

/** The person, out of a lead's contents. Throws a `RangeError` or a `SyntaxError` for bytes that are none. */
export function decodePerson(contents: Buffer): PersonalFields {
  const values: unknown = JSON.parse(contents.toString('utf8', attributesEnd(contents)))
  if (!Array.isArray(values) || values.length !== personalNames.length) throw new RangeError('contents of no lead')
  const text = (place: number): string | null => (typeof values[place] === 'string' ? values[place] : null)
  return {
    first_name: text(0) ?? '',
    last_name: text(1) ?? '',
    email: text(2) ?? '',
    phone: text(3),
    date_of_birth: text(4),
    address: text(5),
    city: text(6),
    postal_code: text(7),
    country: text(8),
  }
}

function attributesEnd(contents: Buffer): number {
  const end = contents.length < attributesAt ? Number.NaN : attributesAt + contents.readUInt32BE(lengthAt)
  if (!(end <= contents.length)) throw new RangeError('contents of no lead')
  return end
}
