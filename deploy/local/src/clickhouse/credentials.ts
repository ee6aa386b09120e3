import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { ReadOnly } from './engine.ts'
import { ClickhouseFailure } from './failure.ts'

/** Who may ask, and how much. */
export interface Account {
  readonly user: string
  readonly password: string
  /** 2 may read and change settings, 1 may only read, 0 may do everything. */
  readonly readonly: ReadOnly
}

/** What a request says of who it is. */
interface Credentials {
  readonly user: string
  readonly password: string
}

/**
 * Checks the credentials of a request: basic auth, `X-ClickHouse-User`/`-Key`, or the `user`/`password` parameters. Throws
 * REQUIRED_PASSWORD when there are none and AUTHENTICATION_FAILED when they are wrong, after the same work.
 */
export function authenticate(
  accounts: readonly Account[],
  headers: IncomingHttpHeaders,
  parameters: URLSearchParams,
): Account {
  const given = credentialsOf(headers, parameters)
  if (given === undefined) {
    throw new ClickhouseFailure(
      194,
      'REQUIRED_PASSWORD',
      'Authentication failed: password is required; send it with basic auth',
    )
  }
  const [found] = accounts.filter((account) => {
    const right = [isEqual(given.user, account.user), isEqual(given.password, account.password)]
    return !right.includes(false)
  })
  if (found !== undefined) return found
  const message = `${given.user}: Authentication failed: password is incorrect, or there is no user with such name.`
  throw new ClickhouseFailure(516, 'AUTHENTICATION_FAILED', message)
}

function credentialsOf(headers: IncomingHttpHeaders, parameters: URLSearchParams): Credentials | undefined {
  const basic = /^Basic\s+(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  if (basic !== undefined) {
    const text = Buffer.from(basic, 'base64').toString('utf8')
    const colon = text.indexOf(':')
    return colon === -1 ? { user: text, password: '' } : { user: text.slice(0, colon), password: text.slice(colon + 1) }
  }
  const user = headers['x-clickhouse-user'] ?? parameters.get('user')
  if (user === null) return undefined
  return { user: String(user), password: String(headers['x-clickhouse-key'] ?? parameters.get('password') ?? '') }
}

function isEqual(a: string, b: string): boolean {
  return timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest())
}
