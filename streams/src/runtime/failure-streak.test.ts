import { expect, it } from 'vitest'
import { StreamsError } from '../core/errors.ts'
import { FailureStreak } from './failure-streak.ts'

const away = new StreamsError('BROKER_UNAVAILABLE', 'away')
const fenced = new StreamsError('FENCED', 'fenced')

it('waits longer each time, up to ten seconds, and begins anew after a commit', () => {
  const streak = new FailureStreak()
  const waits = Array.from({ length: 9 }, () => streak.waitMsAfter(away))
  expect(waits).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000])
  streak.end()
  expect(streak.waitMsAfter(away)).toBe(100)
})

it('waits for a broker without end, but not for what should have healed', () => {
  const streak = new FailureStreak()
  for (let times = 0; times < 200; times++) streak.waitMsAfter(away)
  for (let times = 0; times < 20; times++) streak.waitMsAfter(fenced)
  expect(() => streak.waitMsAfter(fenced)).toThrow(/\[FENCED\] 21 failures in a row.*Is a copy of this state directory/)
})

it('ends at once after what another attempt would not cure', () => {
  const streak = new FailureStreak()
  const bug = new TypeError('a bug')
  expect(() => streak.waitMsAfter(bug)).toThrow(bug)
  const failed = new StreamsError('PROCESSING', 'poison')
  expect(() => streak.waitMsAfter(failed)).toThrow(failed)
})
