import { hash, randomUUID } from 'node:crypto'

/** The namespace of lead ids that come from an Idempotency-Key. Never to be changed: a retry must find its lead. */
const namespace = Buffer.from('5b0f8c1e2d3a4f6b9c7d8e1f2a3b4c5d', 'hex')

/** Where a lead stands that came with an Idempotency-Key. */
export interface IdempotentPlace {
  readonly principal: string
  readonly key: string
  /** In a bulk request. */
  readonly index?: number
}

/**
 * The id of a lead: UUIDv5 (RFC 9562) of principal, key and index when there is a key, so that a retry gets the same id without anything being
 * remembered; a random UUIDv4 otherwise.
 */
export function leadId(place: IdempotentPlace | undefined): string {
  if (place === undefined) return randomUUID()
  const { principal, key, index } = place
  // The parts are JSON, so that no two places have the same text.
  const name = JSON.stringify(index === undefined ? [principal, key] : [principal, key, index])
  return uuidV5(name)
}

function uuidV5(name: string): string {
  const hex = hash('sha1', Buffer.concat([namespace, Buffer.from(name)]))
  // Version 5, and the two bits of the variant.
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
