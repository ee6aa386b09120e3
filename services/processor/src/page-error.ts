import { STATUS_CODES } from 'node:http'
import type { PageAnswer } from '@millrace/kit'
import { StreamsError } from '@millrace/streams'

/** What the engine's own codes do not say. */
export type PageErrorCode = 'INVALID_QUERY' | 'ROW_MISSING'

/** A request that cannot be answered, before or after the engine was asked. */
export class PageError extends Error {
  override readonly name = 'PageError'
  readonly code: PageErrorCode

  constructor(code: PageErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/** By code; 500 for those that are not here. */
const statusOf: ReadonlyMap<string, number> = new Map([
  ['INVALID_QUERY', 400],
  ['ROW_MISSING', 404],
  ['STORE_UNKNOWN', 404],
  ['STORE_NOT_READY', 503],
  ['STORE_ELSEWHERE', 503],
  ['CLOSED', 503],
])

/** An error as a problem (RFC 9457); throws what is none of ours. `location`: where to ask instead. */
export function problemOf(error: unknown, at: { readonly path: string; readonly location?: string }): PageAnswer {
  if (!(error instanceof PageError || error instanceof StreamsError)) throw error
  const { path, location } = at
  const { code } = error
  const status = location === undefined ? (statusOf.get(code) ?? 500) : 307
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' }
  if (location !== undefined) headers.location = location
  if (status === 503) headers['retry-after'] = '1'
  return {
    status,
    headers,
    body: {
      type: `urn:millrace:problem:${code.toLowerCase().replaceAll('_', '-')}`,
      title: STATUS_CODES[status],
      status,
      detail: error.message.replace(`[${code}] `, ''),
      instance: path,
      code,
    },
  }
}
