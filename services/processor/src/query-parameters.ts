import type { PageOptions } from '@millrace/streams'
import { PageError } from './page-error.ts'

/** Longer than any key or cursor of ours; the request line as a whole is bounded by Node. */
const textCharactersMax = 4_096

/** Set where a request was redirected from another member: it is not redirected again. */
export const redirectedParameter = 'redirected'

/** The parameters of every page of rows. */
export const pageParameters = ['limit', 'after', 'stale_ok', 'partition'] as const

/** What of an answer to give. */
export function pageOptions(query: URLSearchParams): PageOptions {
  const limit = wholeNumber(query, 'limit')
  const partition = wholeNumber(query, 'partition')
  const after = text(query, 'after')
  return {
    ...staleness(query),
    ...(limit === undefined ? {} : { limit }),
    ...(partition === undefined ? {} : { partition }),
    ...(after === undefined ? {} : { after }),
  }
}

/** Whether copies that may lag behind will do. */
export function staleness(query: URLSearchParams): { readonly staleOk: boolean } {
  const value = text(query, 'stale_ok') ?? 'false'
  if (value !== 'true' && value !== 'false') throw new PageError('INVALID_QUERY', 'stale_ok must be true or false')
  return { staleOk: value === 'true' }
}

/** A range of keys. */
export function textRange(query: URLSearchParams): { readonly from?: string; readonly to?: string } {
  const from = text(query, 'from')
  const to = text(query, 'to')
  return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }
}

/** A range of window starts, in milliseconds since the epoch. */
export function timeRange(query: URLSearchParams): { readonly fromMs?: number; readonly toMs?: number } {
  const fromMs = wholeNumber(query, 'from')
  const toMs = wholeNumber(query, 'to')
  return { ...(fromMs === undefined ? {} : { fromMs }), ...(toMs === undefined ? {} : { toMs }) }
}

function wholeNumber(query: URLSearchParams, name: string): number | undefined {
  const value = text(query, name)
  if (value === undefined) return undefined
  const number = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN
  if (Number.isSafeInteger(number)) return number
  const what = name === 'from' || name === 'to' ? 'milliseconds since the epoch' : 'a whole number'
  throw new PageError('INVALID_QUERY', `${name} must be ${what}, 0 or more`)
}

function text(query: URLSearchParams, name: string): string | undefined {
  const value = query.get(name)
  if (value === null) return undefined
  if (value.length > textCharactersMax)
    throw new PageError(
      'INVALID_QUERY',
      `${name} must have at most ${textCharactersMax} characters; it has ${value.length}`,
    )
  return value
}

/** Refuses what is not known, or given twice: a misspelt parameter would change the answer without a word. */
export function checkParameters(query: URLSearchParams, known: readonly string[]): void {
  const names = [...query.keys()]
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined) {
    const offer = known.filter((name) => name !== redirectedParameter).join(', ') || 'none'
    throw new PageError('INVALID_QUERY', `there is no parameter "${unknown.slice(0, 80)}" here; there are: ${offer}`)
  }
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new PageError('INVALID_QUERY', `${twice} must be given once`)
}

/** A segment of a path, percent-decoded. */
export function decoded(segment: string): string {
  if (segment.length > textCharactersMax)
    throw new PageError(
      'INVALID_QUERY',
      `a part of the path must have at most ${textCharactersMax} characters; one has ${segment.length}`,
    )
  try {
    return decodeURIComponent(segment)
  } catch {
    throw new PageError('INVALID_QUERY', 'a part of the path is not percent-encoded UTF-8')
  }
}
