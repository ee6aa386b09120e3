import { expect, it } from 'vitest'
import { ReplayUsageError, readReplayArguments } from './replay-arguments.ts'

const nowMs = Date.UTC(2026, 10, 21, 9, 30)
const read = (...args: string[]) =>
  readReplayArguments(args, { topics: ['events', 'stats'], tables: ['events', 'stats'], nowMs })
const range = ['--topic', 'events', '--from', '2026-11-21T08:00:00Z']

it('reads a range up to now', () => {
  const fromMs = Date.UTC(2026, 10, 21, 8)
  expect(read(...range, '--into-table', 'events_replayed')).toEqual({
    topic: 'events',
    fromMs,
    toMs: nowMs,
    table: 'events_replayed',
  })
})

it.each([
  [[], '--topic must be one of events, stats'],
  [['--topic', 'leads'], '--topic must be one of'],
  [['--topic', 'events', '--from', 'yesterday'], '--from must be a time'],
  [[...range, '--to', '2026-11-21T08:00:00Z'], '--from must be before --to'],
  [[...range, '--into-table', 'events'], 'events is in use'],
  [[...range, '--into-table', 'x; DROP TABLE events'], '--into-table must be a name'],
  [[...range, '--swap'], '--swap'],
])('%j is refused', (args, message) => {
  expect(() => read(...args)).toThrow(ReplayUsageError)
  expect(() => read(...args)).toThrow(message)
})
