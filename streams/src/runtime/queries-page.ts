import { StreamsError } from '../core/errors.ts'
import { queryCursorCharactersMax, queryRowsDefault, queryRowsMax } from './limits.ts'

/** How much of an answer to give, and from where. */
export interface PageOptions {
  /** Rows of the page, 1 to 1,000. Default 100. */
  readonly limit?: number
  /** `next` of the page before. */
  readonly after?: string
  /** Also from standby copies, which may lag behind the owner. Default false. */
  readonly staleOk?: boolean
  /** Only this partition. Default: all that are here, in order. */
  readonly partition?: number
}

/** Part of an answer. Its rows are of one partition, as they were together after one commit. */
export interface Page<Row> {
  readonly rows: readonly Row[]
  /** What `after` is to be for the next page; undefined when this is the last. A page with fewer rows than asked, even with none, may have a next one. */
  readonly next: string | undefined
}

/** Where a page begins: behind `key` in `partition`. */
export interface Cursor {
  readonly partition: number
  /** Undefined: at the partition's first row. */
  readonly key: Buffer | undefined
}

/** The rows of a page. Throws `INVALID_QUERY`. */
export function pageLimit({ limit = queryRowsDefault }: PageOptions): number {
  if (Number.isSafeInteger(limit) && limit >= 1 && limit <= queryRowsMax) return limit
  throw new StreamsError('INVALID_QUERY', `limit must be a whole number from 1 to ${queryRowsMax}, not ${limit}`)
}

/** A cursor as text: the partition, and behind a dot the key in base64url. */
export function cursorText({ partition, key }: Cursor): string {
  return key === undefined ? String(partition) : `${partition}.${key.toString('base64url')}`
}

/** Throws `INVALID_QUERY` when the text is none of ours. */
export function readCursor(text: string): Cursor {
  const match = text.length > queryCursorCharactersMax ? null : /^(\d{1,9})(?:\.([A-Za-z0-9_-]*))?$/.exec(text)
  if (match === null) throw new StreamsError('INVALID_QUERY', 'after must be the "next" of an earlier page')
  const [, partition, key] = match
  return { partition: Number(partition), key: key === undefined ? undefined : Buffer.from(key, 'base64url') }
}

/** The smallest key behind `key`. */
export function behind(key: Buffer): Buffer {
  return Buffer.concat([key, zeroByte])
}

const zeroByte = Buffer.alloc(1)
