import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

/** OWASP's recommendation for Argon2id: 19 MiB, two passes, one lane. Written into every hash, so that it can grow later. */
const memoryKib = 19_456
const passes = 2
const parallelism = 1
const saltBytes = 16
const hashBytes = 32

/** Bounds on what a stored hash may ask for: a damaged row must not take the machine's memory. */
const memoryKibMax = 1_048_576
const passesMax = 16

const derive = promisify(argon2)

/** Hashes a password with a new salt. The text is a PHC string: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`. */
export async function hashPassword(password: string): Promise<string> {
  const nonce = randomBytes(saltBytes)
  const hash = await argon2id(password, { nonce, memory: memoryKib, passes, parallelism, tagLength: hashBytes })
  return `$argon2id$v=19$m=${memoryKib},t=${passes},p=${parallelism}$${base64(nonce)}$${base64(hash)}`
}

/** Whether `stored` is the hash of `password`. Throws when `stored` is not a hash that this function knows. */
export async function verifyPassword(password: string, stored: string): Promise<boolean> {
  const { hash, ...settings } = parse(stored)
  return timingSafeEqual(await argon2id(password, { ...settings, tagLength: hash.length }), hash)
}

interface Settings {
  readonly nonce: Buffer
  readonly memory: number
  readonly passes: number
  readonly parallelism: number
}

function argon2id(password: string, settings: Settings & { readonly tagLength: number }): Promise<Buffer> {
  // The same text in another Unicode form is the same password (NIST SP 800-63B, 3.1.1.2).
  return derive('argon2id', { ...settings, message: password.normalize('NFKC') })
}

function parse(stored: string): Settings & { readonly hash: Buffer } {
  const match = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(stored)
  const [, m, t, p, salt = '', hash = ''] = match ?? []
  const settings = { memory: Number(m), passes: Number(t), parallelism: Number(p) }
  const parsed = { ...settings, nonce: Buffer.from(salt, 'base64'), hash: Buffer.from(hash, 'base64') }
  const sane =
    settings.memory >= 8 &&
    settings.memory <= memoryKibMax &&
    settings.passes >= 1 &&
    settings.passes <= passesMax &&
    settings.parallelism >= 1 &&
    parsed.nonce.length >= 8 &&
    parsed.hash.length >= 16
  if (match === null || !sane) throw new Error('a stored password hash is not an Argon2id hash of this service')
  return parsed
}

function base64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}
