import { StorageError } from '../errors.ts'
import type { EventKey } from './event-key.ts'

/** Longer cursors are not ours: three ids of at most some hundred characters. */
const cursorCharsMax = 8_192

/** The place of an event in a listing, as the text that a caller hands back: opaque, safe in URLs, and no secret. */
export function encodeEventCursor({ timestampMs, eventId, userId, eventType }: EventKey): string {
  return Buffer.from(JSON.stringify([1, timestampMs, eventId, userId, eventType])).toString('base64url')
}

/** Reads a cursor. Throws `INVALID_QUERY`. */
export function decodeEventCursor(text: string): EventKey {
  const parts = text.length > cursorCharsMax ? undefined : parse(Buffer.from(text, 'base64url').toString('utf8'))
  if (Array.isArray(parts) && parts.length === 5) {
    const [version, timestampMs, eventId, userId, eventType]: readonly unknown[] = parts
    if (
      version === 1 &&
      typeof timestampMs === 'number' &&
      Number.isSafeInteger(timestampMs) &&
      typeof eventId === 'string' &&
      typeof userId === 'string' &&
      typeof eventType === 'string'
    ) {
      return { timestampMs, eventId, userId, eventType }
    }
  }
  throw new StorageError('INVALID_QUERY', 'cursor is not one that this API has given out: begin again without it')
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}
