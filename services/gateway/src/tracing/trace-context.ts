import { traceStateCharsMax, traceStateMembersMax } from '../limits.ts'

/** Where in a trace something happens: W3C Trace Context. */
export interface TraceContext {
  /** 32 hexadecimal digits, not all zero. */
  readonly traceId: string
  /** 16 hexadecimal digits, not all zero. */
  readonly spanId: string
  /** Bit 0: sampled, somebody keeps this trace. Bit 1: the trace's id is random. */
  readonly flags: number
  /** What tracing systems tell each other, as it was received. */
  readonly state: string | undefined
}

/** The flags that version 00 knows; others are not passed on. */
const flagsKnown = 0b11
const sampled = 0b01

const traceparent = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)/
const stateKey = /^(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})$/
const stateValue = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/

/**
 * Reads the headers of a caller; undefined when there is no `traceparent`, or none that can be understood: then the trace begins anew. A `tracestate` that is not
 * as it must be is dropped, and the trace goes on.
 */
export function readTraceContext(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): TraceContext | undefined {
  const { traceparent: text, tracestate: state } = headers
  if (typeof text !== 'string') return undefined
  const match = traceparent.exec(text)
  if (match === null) return undefined
  const [whole, version = '', traceId = '', spanId = '', flags = ''] = match
  // Later versions may go on after the flags, this one does not.
  if (version === 'ff' || (version === '00' && whole.length !== text.length)) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  return {
    traceId,
    spanId,
    flags: Number.parseInt(flags, 16) & flagsKnown,
    state: typeof state === 'string' && isState(state) ? state : undefined,
  }
}

/** Whether somebody keeps this trace. */
export function isSampled({ flags }: TraceContext): boolean {
  return (flags & sampled) !== 0
}

/** The text of the header `traceparent`, version 00. */
export function formatTraceparent({ traceId, spanId, flags }: TraceContext): string {
  return `00-${traceId}-${spanId}-${flags.toString(16).padStart(2, '0')}`
}

function isState(text: string): boolean {
  if (text.length > traceStateCharsMax) return false
  const members = text
    .split(',')
    .map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ''))
    .filter((member) => member !== '')
  if (members.length === 0 || members.length > traceStateMembersMax) return false
  const keys = new Set<string>()
  for (const member of members) {
    const at = member.indexOf('=')
    const key = member.slice(0, at)
    if (at < 1 || keys.has(key) || !stateKey.test(key) || !stateValue.test(member.slice(at + 1))) return false
    keys.add(key)
  }
  return true
}
