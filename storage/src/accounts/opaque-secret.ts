import { hash, randomBytes, timingSafeEqual } from 'node:crypto'

/** 256 bits, as base64url: nobody guesses them, so one SHA-256 is as good a hash as any slow one. */
const secretBytes = 32
/** 80 bits, as 16 letters of base 32: enough for no two keys to be alike. */
const keyIdBytes = 10
/** 128 bits, as base64url. */
const refreshIdBytes = 16

const base32 = 'abcdefghijklmnopqrstuvwxyz234567'
const secretPattern = '[A-Za-z0-9_-]{43}'
const apiKeyPattern = new RegExp(`^mk_([a-z2-7]{16})_(${secretPattern})$`)
const refreshTokenPattern = new RegExp(`^mr_([A-Za-z0-9_-]{22})_(${secretPattern})$`)

/** A secret in two parts: what finds its row, and what proves that it is known. Its text is shown once and kept nowhere. */
export interface OpaqueSecret {
  readonly id: string
  readonly secret: string
}

/** What an API key's text begins with: leaks can be searched for. */
export const apiKeyPrefix = 'mk_'

/** A new API key. */
export function makeApiKey(): OpaqueSecret {
  return { id: base32Of(randomBytes(keyIdBytes)), secret: makeSecret() }
}

/** A new refresh token; with `id`, the next one of the same session. */
export function makeRefreshToken(id: string = randomBytes(refreshIdBytes).toString('base64url')): OpaqueSecret {
  return { id, secret: makeSecret() }
}

/** The text of an API key: `mk_<id>_<secret>`. */
export function formatApiKey({ id, secret }: OpaqueSecret): string {
  return `${apiKeyPrefix}${id}_${secret}`
}

/** The text of a refresh token: `mr_<id>_<secret>`. */
export function formatRefreshToken({ id, secret }: OpaqueSecret): string {
  return `mr_${id}_${secret}`
}

/** The parts of an API key; undefined when the text cannot be one. */
export function parseApiKey(text: string): OpaqueSecret | undefined {
  return parts(apiKeyPattern.exec(text))
}

/** The parts of a refresh token; undefined when the text cannot be one. */
export function parseRefreshToken(text: string): OpaqueSecret | undefined {
  return parts(refreshTokenPattern.exec(text))
}

/** What is kept of a secret: SHA-256, in hex. */
export function hashSecret(secret: string): string {
  return hash('sha256', secret)
}

/** Whether `secretHash` is the secret's, in a time that does not depend on where they differ. */
export function secretMatches(secret: string, secretHash: string): boolean {
  const known = Buffer.from(secretHash, 'hex')
  const given = hash('sha256', secret, 'buffer')
  return known.length === given.length && timingSafeEqual(known, given)
}

function makeSecret(): string {
  return randomBytes(secretBytes).toString('base64url')
}

function parts(match: RegExpExecArray | null): OpaqueSecret | undefined {
  const [, id, secret] = match ?? []
  return id === undefined || secret === undefined ? undefined : { id, secret }
}

function base32Of(bytes: Buffer): string {
  let text = ''
  let bits = 0
  let value = 0
  for (const byte of bytes) {
    value = (value << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += base32[(value >> bits) & 31]
    }
    value &= (1 << bits) - 1
  }
  return text
}
