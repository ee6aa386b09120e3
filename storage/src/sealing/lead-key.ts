import { createCipheriv, createDecipheriv, hash, hkdfSync, randomBytes } from 'node:crypto'
import { StorageError } from '../errors.ts'
import { seedBytes } from './key-tree.ts'

const keyBytes = 32
const nonceBytes = 12
const tagBytes = 16

/** Of a wrapped seed: nonce, ciphertext, tag. */
export const wrappedBytes = nonceBytes + seedBytes + tagBytes

/**
 * The master key of leads, `MILLRACE_LEAD_KEY`. It seals nothing by itself: it wraps the seeds of trees of keys, and keys the hashes by which leads are found. So what was
 * destroyed in the table of keys cannot be had back with it.
 */
export class LeadKey {
  readonly #wrapping: Buffer
  readonly #hashing: HmacKey

  /** `bytes` are 32 random ones. */
  constructor(bytes: Buffer) {
    this.#wrapping = subkeyOf(bytes, 'millrace lead seeds 1')
    this.#hashing = hmacKey(subkeyOf(bytes, 'millrace lead hashes 1'))
  }

  /** Wraps the seed of a tree's node (AES-256-GCM). `place` says which one: only there it can be unwrapped. */
  wrap(seed: Buffer, place: string): Buffer {
    const nonce = randomBytes(nonceBytes)
    const cipher = createCipheriv('aes-256-gcm', this.#wrapping, nonce)
    cipher.setAAD(Buffer.from(place))
    return Buffer.concat([nonce, cipher.update(seed), cipher.final(), cipher.getAuthTag()])
  }

  /** Throws `ACCESS_DENIED` for what another key has wrapped, or for another place. */
  unwrap(wrapped: Buffer, place: string): Buffer {
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#wrapping, wrapped.subarray(0, nonceBytes), {
        authTagLength: tagBytes,
      })
      decipher.setAAD(Buffer.from(place))
      decipher.setAuthTag(wrapped.subarray(-tagBytes))
      return Buffer.concat([decipher.update(wrapped.subarray(nonceBytes, -tagBytes)), decipher.final()])
    } catch (cause) {
      const detail = 'MILLRACE_LEAD_KEY is not the key by which the keys of leads in this database were wrapped'
      throw new StorageError('ACCESS_DENIED', `${detail}: set the key that it was set up with`, { cause })
    }
  }

  /** HMAC-SHA-256 of a text. `kind` keeps hashes for different ends apart. */
  hash(kind: 'email' | 'phone' | 'content', text: string): Buffer {
    return hmac(this.#hashing, `${kind}\n${text}`)
  }
}

/** Reads the master key: 32 bytes in base64. Throws an error with the sentence of `leadKeyFault`. */
export function readLeadKey(text: string): LeadKey {
  const fault = leadKeyFault(text)
  if (fault !== undefined) throw new StorageError('ACCESS_DENIED', `MILLRACE_LEAD_KEY ${fault}`)
  return new LeadKey(Buffer.from(text, 'base64'))
}

const recipe = 'make one with: openssl rand -base64 32'

/** What is wrong with the text of a master key, to be read behind the variable's name; undefined when nothing is. */
export function leadKeyFault(text: string): string | undefined {
  const bytes = Buffer.from(text, 'base64')
  const isBase64 = bytes.toString('base64').replace(/=+$/, '') === text.trim().replace(/=+$/, '')
  if (!isBase64) return `must be ${keyBytes} bytes in base64: ${recipe}`
  if (bytes.length === keyBytes) return undefined
  return `must be ${keyBytes} bytes in base64; it has ${bytes.length}: ${recipe}`
}

/** Whether a master key is one of an example or typed by hand. Of 32 random bytes all are printable once in 10¹³, and fewer than ten differ never. */
export function isGuessableLeadKey(text: string): boolean {
  const bytes = Buffer.from(text, 'base64')
  return bytes.every((byte) => byte >= 0x20 && byte < 0x7f) || new Set(bytes).size < 10
}

function subkeyOf(bytes: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', bytes, '', purpose, keyBytes))
}

/** A key of HMAC-SHA-256 as RFC 2104 pads it: the blocks that go before the text, and before the hash of that. */
interface HmacKey {
  readonly inner: Buffer
  readonly outer: Buffer
}

const blockBytes = 64

function hmacKey(key: Buffer): HmacKey {
  const inner = Buffer.alloc(blockBytes, 0x36)
  const outer = Buffer.alloc(blockBytes, 0x5c)
  for (const [at, byte] of key.entries()) {
    inner[at] = byte ^ 0x36
    outer[at] = byte ^ 0x5c
  }
  return { inner, outer }
}

/** By two plain hashes: three of these are made for each lead, and an object of `createHmac` costs several times as much as what it computes. */
function hmac({ inner, outer }: HmacKey, text: string): Buffer {
  return hash(
    'sha256',
    Buffer.concat([outer, hash('sha256', Buffer.concat([inner, Buffer.from(text)]), 'buffer')]),
    'buffer',
  )
}
