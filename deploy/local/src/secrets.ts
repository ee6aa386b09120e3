import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'

/** What only this machine knows. Generated once per data folder. */
export interface Secrets {
  readonly jwtSecret: string
  readonly mysqlPassword: string
  readonly mysqlRootPassword: string
  readonly clickhousePassword: string
  /** 32 bytes in hexadecimal. */
  readonly leadKey: string
}

/**
 * Reads the secrets from `file`, generating the missing ones. The file has mode 0600 and is replaced atomically, so
 * that a killed launcher leaves the old one or the new one. Hexadecimal only: they pass through SQL and URLs.
 */
export function loadSecrets(file: string): Secrets {
  const stored: Record<string, unknown> = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
  const secrets: Secrets = {
    jwtSecret: take(stored, 'jwtSecret', 48),
    mysqlPassword: take(stored, 'mysqlPassword', 24),
    mysqlRootPassword: take(stored, 'mysqlRootPassword', 24),
    clickhousePassword: take(stored, 'clickhousePassword', 24),
    leadKey: take(stored, 'leadKey', 32),
  }
  const text = `${JSON.stringify(secrets, null, 2)}\n`
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return secrets
  writeFileSync(`${file}.new`, text, { mode: 0o600 })
  renameSync(`${file}.new`, file)
  return secrets
}

function take(stored: Record<string, unknown>, name: string, bytes: number): string {
  const value = stored[name]
  return typeof value === 'string' && /^[0-9a-f]{32,}$/.test(value) ? value : randomBytes(bytes).toString('hex')
}
