import { randomFillSync } from 'node:crypto'

/** Ids that are made from one call for randomness. */
const idsPerFill = 256
const randomBytes = 10
const hex = Buffer.from('0123456789abcdef')
const hyphen = 0x2d

/**
 * Makes ids for events that came without one: UUIDs version 7 (RFC 9562), which begin with the time in milliseconds and are random else, so that
 * ids that were made together lie together in an index.
 */
export class EventIds {
  readonly #random = Buffer.alloc(idsPerFill * randomBytes)
  #used = this.#random.length

  /** The text of a new id in a buffer of its own. */
  next(nowMs: number): Buffer {
    if (this.#used === this.#random.length) {
      randomFillSync(this.#random)
      this.#used = 0
    }
    const bytes = Buffer.allocUnsafe(16)
    bytes.writeUIntBE(nowMs, 0, 6)
    this.#random.copy(bytes, 6, this.#used, this.#used + randomBytes)
    this.#used += randomBytes
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
    return uuidText(bytes)
  }
}

function uuidText(bytes: Buffer): Buffer {
  const text = Buffer.allocUnsafe(36)
  let at = 0
  for (const [index, byte] of bytes.entries()) {
    if (index === 4 || index === 6 || index === 8 || index === 10) text[at++] = hyphen
    text[at++] = hex[byte >>> 4] ?? 0
    text[at++] = hex[byte & 15] ?? 0
  }
  return text
}
