import { expect, test } from 'vitest'
import { createServerClock } from './server-clock.ts'

const localMs = Date.UTC(2026, 10, 21, 12, 0, 0)

test('follows a server whose clock differs by minutes', () => {
  const clock = createServerClock({ nowMs: () => localMs })
  clock.observe(new Date(localMs + 300_000).toUTCString())
  expect(clock.nowMs()).toBe(localMs + 300_500)
})

test('keeps the local clock when the difference is within what the header can tell', () => {
  const clock = createServerClock({ nowMs: () => localMs })
  clock.observe(new Date(localMs - 300_000).toUTCString())
  clock.observe(new Date(localMs - 1_000).toUTCString())
  expect(clock.nowMs()).toBe(localMs)
})

test('passes over an answer without a date', () => {
  const clock = createServerClock({ nowMs: () => localMs })
  clock.observe(null)
  clock.observe('soon')
  expect(clock.nowMs()).toBe(localMs)
})
