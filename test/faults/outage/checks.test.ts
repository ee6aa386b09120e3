import { expect, it } from 'vitest'
import { checkAccepted, checkMemory, checkSame, quantileMs } from './checks.ts'
import { growthBytesMax } from './limits.ts'
import type { SentRequest } from './outage-load.ts'

const request = (change: Partial<SentRequest> = {}): SentRequest => ({
  kind: 'events',
  startedMs: 0,
  tookMs: 1,
  status: 202,
  ...change,
})

it('notices a request that was refused, and one that nobody answered', () => {
  const brokenOf = (...sent: SentRequest[]) => checkAccepted(sent, () => true).broken
  const away = request({ status: 503, code: 'NOT_READY' })
  expect(brokenOf(request(), request({ status: 207 }))).toEqual([])
  expect(brokenOf(away, away, request({ status: 0 }))).toEqual([
    'events: 503 NOT_READY, 2 times',
    'events: no answer, 1 times',
  ])
})

it('lets a gateway have too much to do while the databases are away, but not more often than before', () => {
  const overloaded = (startedMs: number) => request({ status: 503, code: 'OVERLOADED', startedMs })
  const brokenOf = (...sent: SentRequest[]) => checkAccepted(sent, ({ startedMs }) => startedMs > 0).broken
  expect(brokenOf(overloaded(0), overloaded(1))).toEqual([])
  expect(brokenOf(request(), overloaded(1), request({ startedMs: 1 }))).toHaveLength(1)
  expect(brokenOf(overloaded(1), ...Array.from({ length: 99 }, () => request({ startedMs: 1 })))).toEqual([])
})

it('notices what is lost, twice, or of nobody', () => {
  const accepted = new Map([['a', 2]])
  expect(checkSame('', accepted, new Map([['a', 2]])).broken).toEqual([])
  expect(checkSame('', accepted, new Map()).broken).toEqual(['a: 2 was accepted, and nothing is stored'])
  expect(checkSame('', accepted, new Map([['a', 3]])).broken).toHaveLength(1)
  expect(checkSame('', accepted, new Map([...accepted, ['b', 1]])).broken).toHaveLength(1)
})

it('bounds the growth of memory, and wants to have seen some', () => {
  expect(checkMemory('', { baseBytes: 1, peakBytes: growthBytesMax }).broken).toEqual([])
  expect(checkMemory('', { baseBytes: 1, peakBytes: growthBytesMax + 2 }).broken).toHaveLength(1)
  expect(checkMemory('', { baseBytes: 0, peakBytes: 0 }).broken).toHaveLength(1)
})

it('takes quantiles of a span alone', () => {
  const sent = Array.from({ length: 100 }, (_, i) => request({ startedMs: i, tookMs: i }))
  expect(quantileMs(sent, 0.99, { fromMs: 0, toMs: 100 })).toBe(99)
  expect(quantileMs(sent, 0.5, { fromMs: 0, toMs: 10 })).toBe(5)
  expect(quantileMs(sent, 0.5, { fromMs: 200, toMs: 300 })).toBeNaN()
})
