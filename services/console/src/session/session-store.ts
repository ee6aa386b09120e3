import { isJsonObject } from '../gateway/json.ts'

/** A signed-in person. */
export interface Session {
  readonly username: string
  readonly token: string
  readonly expiresAtMs: number
  readonly refreshToken: string
  /** When there is nothing to refresh any more. */
  readonly endsAtMs: number
}

/** Keeps the session for as long as the tab lives; a reload finds it again, another tab does not. */
export interface SessionStore {
  /** The session, or null when there is none or it is over. */
  read(): Session | null
  write(session: Session): void
  clear(): void
}

const key = 'millrace.session'

/** A store over the browser's sessionStorage, or anything shaped like it. */
export function createSessionStore(
  storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>,
  nowMs: () => number,
): SessionStore {
  return {
    read() {
      const session = parseSession(storage.getItem(key))
      return session !== null && session.endsAtMs > nowMs() ? session : null
    },
    write: (session) => storage.setItem(key, JSON.stringify(session)),
    clear: () => storage.removeItem(key),
  }
}

function parseSession(text: string | null): Session | null {
  if (text === null) return null
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // Not written by this page: the person signs in again.
    return null
  }
  if (!isJsonObject(value)) return null
  const { username, token, expiresAtMs, refreshToken, endsAtMs } = value
  if (typeof username !== 'string' || typeof token !== 'string' || typeof refreshToken !== 'string') return null
  if (typeof expiresAtMs !== 'number' || typeof endsAtMs !== 'number') return null
  return { username, token, expiresAtMs, refreshToken, endsAtMs }
}
