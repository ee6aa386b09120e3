import { StorageError } from '../errors.ts'
import { dateTimeMaxMs } from './limits.ts'

/** The place of a lead in a listing: the order and the last lead's key. */
export interface LeadCursor {
  readonly sort: string
  readonly receivedAt: Date
  readonly leadId: string
}

/** The text that a caller hands back: opaque, safe in URLs, and no secret. */
export function encodeCursor({ sort, receivedAt, leadId }: LeadCursor): string {
  return Buffer.from(`1|${sort}|${receivedAt.getTime()}|${leadId}`).toString('base64url')
}

const cursorPattern = /^1\|(-?[a-z_]+)\|(\d{1,15})\|([0-9a-fA-F-]{36})$/

/** Reads a cursor that was made for the order `sort`. Throws `INVALID_QUERY`. */
export function decodeCursor(text: string, sort: string): LeadCursor {
  const match = text.length > 256 ? null : cursorPattern.exec(Buffer.from(text, 'base64url').toString('latin1'))
  const [, cursorSort, time, leadId] = match ?? []
  if (cursorSort === undefined || leadId === undefined || Number(time) > dateTimeMaxMs) {
    throw new StorageError('INVALID_QUERY', 'cursor is not one that this API has given out: begin again without it')
  }
  if (cursorSort !== sort) {
    throw new StorageError('INVALID_QUERY', `cursor belongs to sort=${cursorSort}, not to sort=${sort}`)
  }
  return { sort, receivedAt: new Date(Number(time)), leadId }
}
