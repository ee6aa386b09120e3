import { describe, expect, it } from 'vitest'
import { formatTraceparent, isSampled, readTraceContext } from './trace-context.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const spanId = 'b7ad6b7169203331'
const good = `00-${traceId}-${spanId}-01`

describe('traceparent', () => {
  it('is read, and written as it was', () => {
    const context = readTraceContext({ traceparent: good })
    expect(context).toEqual({ traceId, spanId, flags: 1, state: undefined })
    expect(context && formatTraceparent(context)).toBe(good)
  })

  it.each([
    [`00-${traceId}-${spanId}-00`, false, '00'],
    [`00-${traceId}-${spanId}-03`, true, '03'],
    // Flags that nobody knows yet are not passed on.
    [`00-${traceId}-${spanId}-f9`, true, '01'],
    [`cc-${traceId}-${spanId}-01-what-the-future-brings`, true, '01'],
    [`cc-${traceId}-${spanId}-01`, true, '01'],
  ])('reads the flags of %s', (text, kept, flags) => {
    const context = readTraceContext({ traceparent: text })
    expect(context && isSampled(context)).toBe(kept)
    expect(context && formatTraceparent(context)).toBe(`00-${traceId}-${spanId}-${flags}`)
  })

  it.each([
    [undefined],
    [''],
    [good.toUpperCase()],
    [`ff-${traceId}-${spanId}-01`],
    [`00-${'0'.repeat(32)}-${spanId}-01`],
    [`00-${traceId}-${'0'.repeat(16)}-01`],
    [`00-${traceId}-${spanId}-1`],
    [`00-${traceId}-${spanId}-01-more`],
    [`cc-${traceId}-${spanId}-01.more`],
    [`00-${traceId.slice(1)}-${spanId}-01`],
    [` ${good}`],
    // Sent twice: Node joins them.
    [`${good}, ${good}`],
  ])('is not taken as %j', (text) => {
    expect(readTraceContext({ traceparent: text })).toBeUndefined()
  })
})

describe('tracestate', () => {
  it.each([
    ['vendor=value'],
    ['a=1,b=2, c=3'],
    ['tenant@system=1'],
    ['a=1,,b=2'],
    ['rojo=00f067aa0ba902b7'],
    ['a=with spaces inside'],
    [Array.from({ length: 32 }, (_, i) => `k${i}=v`).join(',')],
  ])('is kept: %s', (state) => {
    expect(readTraceContext({ traceparent: good, tracestate: state })?.state).toBe(state)
  })

  it.each([
    [''],
    ['novalue'],
    ['=1'],
    ['A=1'],
    ['a=1=2'],
    ['a='],
    ['a=1,a=2'],
    ['a=\u00e4'],
    [Array.from({ length: 33 }, (_, i) => `k${i}=v`).join(',')],
    [`a=${'v'.repeat(600)}`],
  ])('is dropped, and the trace goes on: %s', (state) => {
    expect(readTraceContext({ traceparent: good, tracestate: state })).toEqual({
      traceId,
      spanId,
      flags: 1,
      state: undefined,
    })
  })
})
