import { createHash, randomUUID } from 'node:crypto'

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
  const hash = createHash('sha1').update(namespace).update(name, 'utf8').digest()
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80
  const hex = hash.toString('hex', 0, 16)
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
