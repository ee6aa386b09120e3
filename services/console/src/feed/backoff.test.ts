import { expect, test } from 'vitest'
import { backoffFirstMs, backoffMaxMs } from '../limits.ts'
import { backoffMs } from './backoff.ts'

test('doubles from the first wait up to the bound', () => {
  const longest = () => 1
  expect([1, 2, 3].map((attempt) => backoffMs(attempt, longest))).toEqual([
    backoffFirstMs,
    2 * backoffFirstMs,
    4 * backoffFirstMs,
  ])
  expect(backoffMs(1_000, longest)).toBe(backoffMaxMs)
})

test('takes off at most half', () => {
  expect(backoffMs(1, () => 0)).toBe(backoffFirstMs / 2)
})
