import { StorageError } from '@millrace/storage/mysql'
import { GatewayError } from '../errors.ts'

/** What a cursor looks like, for the API document: any text that a page before this one gave. */
export const exampleCursor = 'eyJ0IjoxNzY0MDAwMDAwMDAwfQ'

/** Runs a listing. Everything else of it is checked before, so what the store calls an invalid query is its cursor. */
export async function translateBadCursor<T>(list: () => Promise<T>): Promise<T> {
  try {
    return await list()
  } catch (cause) {
    if (!(cause instanceof StorageError) || cause.code !== 'INVALID_QUERY') throw cause
    const detail = 'must be the next_cursor of the page before, with the same filters and order'
    const faults = [{ in: 'query' as const, pointer: '/cursor', detail }]
    throw new GatewayError('INVALID_PARAMETER', 'The cursor is not one of this listing.', { cause, faults })
  }
}
