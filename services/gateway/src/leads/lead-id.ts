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
 * The id of a lead that came with a key: UUIDv5 (RFC 9562) of principal, key and index, so that a retry gets the same id without anything being
 * remembered.
 */
export function leadId({ principal, key, index }: IdempotentPlace): string {
  // The parts are JSON, so that no two places have the same text.
  const name = JSON.stringify(index === undefined ? [principal, key] : [principal, key, index])
  return uuidV5(name)
}

/**
 * Ids for leads without a key: UUIDs version 7 (RFC 9562), which begin with the time and are random else. MySQL keeps leads in the order of their ids: new ones lie together at
 * the end of the table so, and not each on a page of its own somewhere in it.
 */
export class NewLeadIds {
  readonly #time: string

  /** `nowMs` is when the leads were received: of a request, once for all of them. */
  constructor(nowMs: number) {
    const time = nowMs.toString(16).padStart(12, '0')
    this.#time = `${time.slice(0, 8)}-${time.slice(8)}-7`
  }

  /** A new id, of which 74 bits are random: those of a random UUID, which Node makes in advance, behind its first 52. */
  next(): string {
    return this.#time + randomUUID().slice(15)
  }
}

function uuidV5(name: string): string {
  const hex = hash('sha1', Buffer.concat([namespace, Buffer.from(name)]))
  // Version 5, and the two bits of the variant.
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
