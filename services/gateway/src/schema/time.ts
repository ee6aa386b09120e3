import { Type } from 'typebox'
import type { Fault } from '../errors.ts'
import { queryCharsMax, timeMaxMs, timestampMillisFrom } from '../limits.ts'

/** What a time in a query may be, for the API document. */
export const timeDescription = 'UNIX seconds, UNIX milliseconds (from 10^11 on), or ISO 8601 with a time zone.'

/** The schema of such a parameter. `meaning` says which time it is; `example` is one. */
export function timeParameter(meaning: string, example: string) {
  return Type.String({ maxLength: queryCharsMax, description: `${meaning} ${timeDescription}`, examples: [example] })
}

/** Milliseconds of a time in a query; undefined when the text is none. */
export function parseTime(text: string): number | undefined {
  const ms = /^\d{1,15}$/.test(text) ? fromUnix(Number(text)) : fromIso(text)
  return ms !== undefined && ms >= 0 && ms <= timeMaxMs ? ms : undefined
}

/** The range of `from` (inclusive) and `to` (exclusive); `faults` gets what is wrong with them. */
export function readTimeRange(
  query: { readonly from?: string; readonly to?: string },
  faults: Fault[],
): { readonly fromMs: number | undefined; readonly toMs: number | undefined } {
  const read = (name: 'from' | 'to') => {
    const text = query[name]
    if (text === undefined) return undefined
    const ms = parseTime(text)
    if (ms === undefined)
      faults.push({ in: 'query', pointer: `/${name}`, detail: `must be a time up to 2299: ${timeDescription}` })
    return ms
  }
  const range = { fromMs: read('from'), toMs: read('to') }
  if (range.fromMs !== undefined && range.toMs !== undefined && range.fromMs > range.toMs) {
    faults.push({ in: 'query', pointer: '/from', detail: 'must not be after "to"' })
  }
  return range
}

function fromUnix(number: number): number {
  return number >= timestampMillisFrom ? number : number * 1_000
}

/** A day alone is UTC; a time of day without a zone would be the server's, so it is none. */
function fromIso(text: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/.test(text)) return undefined
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? undefined : ms
}
