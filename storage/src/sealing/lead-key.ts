import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hash,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { StorageError } from '../errors.ts'

const keyBytes = 32
const nonceBytes = 12
const tagBytes = 16

/**
 * The master key of leads, `MILLRACE_LEAD_KEY`. It seals nothing by itself: it wraps the seeds of trees of keys, and keys the hashes by which leads are found. So what was
 * destroyed in the table of keys cannot be had back with it.
 */
export class LeadKey {
  /** An object, not bytes: see `sealLead`. */
  readonly #wrapping: KeyObject
  readonly #hashing: Hmac

  /** `bytes` are 32 random ones. */
  constructor(bytes: Buffer) {
    this.#wrapping = createSecretKey(subkeyOf(bytes, 'millrace lead seeds 1'))
    this.#hashing = new Hmac(subkeyOf(bytes, 'millrace lead hashes 1'))
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
  hash(kind: HashKind, text: string): Buffer {
    return Buffer.from(this.digest(kind, text), 'latin1')
  }

  /** The same as 32 characters, one for each byte: to be written into a buffer that is there already. */
  digest(kind: HashKind, text: string): string {
    return this.#hashing.digest(`${kind}\n${text}`)
  }
}

/** What a hash is for. */
type HashKind = 'email' | 'phone' | 'content'

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

const blockBytes = 64
const digestBytes = 32

/** Bytes that nearly all texts have room in; longer ones get a buffer of their own. */
const textRoomBytes = 512

/**
 * HMAC-SHA-256 (RFC 2104) by two plain hashes. Three are made for each lead: 0.9 µs each so, 2.6 with an object of `createHmac`. Digests come as strings because one in a
 * buffer of its own takes Node three times as long as the hash itself.
 */
class Hmac {
  /** The key's block that goes before the text; the text. */
  readonly #inner = Buffer.alloc(blockBytes + textRoomBytes, 0x36)
  /** The key's block that goes before the first hash; that hash. */
  readonly #outer = Buffer.alloc(blockBytes + digestBytes, 0x5c)

  /** `key` has at most a block's bytes. */
  constructor(key: Buffer) {
    for (const [at, byte] of key.entries()) {
      this.#inner[at] = byte ^ 0x36
      this.#outer[at] = byte ^ 0x5c
    }
  }

  digest(text: string): string {
    const outer = this.#outer
    outer.write(hash('sha256', this.#innerOf(text), 'binary'), blockBytes, 'binary')
    return hash('sha256', outer, 'binary')
  }

  #innerOf(text: string): Buffer {
    const inner = this.#inner
    // No UTF-16 unit takes more than three bytes.
    if (text.length * 3 <= textRoomBytes) return inner.subarray(0, blockBytes + inner.write(text, blockBytes))
    return Buffer.concat([inner.subarray(0, blockBytes), Buffer.from(text)])
  }
}
