import { expect, it } from 'vitest'
import { CommandError } from './command-error.ts'
import { type ReplayProgram, runReplay } from './replay.ts'

const nowMs = Date.UTC(2026, 10, 21, 9, 30)
const fromMs = Date.UTC(2026, 10, 21, 8)
const range = ['--topic', 'events', '--from', '2026-11-21T08:00:00Z']

async function run(...args: string[]) {
  const calls: (readonly [ReplayProgram, ...string[]])[] = []
  const exitCode = await runReplay(args, {
    nowMs: () => nowMs,
    async run(program, rest) {
      calls.push([program, ...rest])
      return 3
    },
  })
  return { calls, exitCode }
}

it('has the sink read a range up to now into a table', async () => {
  expect(await run(...range, '--into-table', 'events_replayed')).toEqual({
    calls: [['sink-clickhouse', 'events', String(fromMs), String(nowMs), 'events_replayed']],
    exitCode: 3,
  })
})

it('has the processor count a range anew, into a topic that is named after the application', async () => {
  const to = ['--to', '2026-11-21T09:00:00Z']
  const toMs = String(Date.UTC(2026, 10, 21, 9))
  expect((await run(...range, ...to, '--application-id', 'again')).calls).toEqual([
    ['processor', String(fromMs), toMs, 'again', 'stats.again'],
  ])
  expect((await run(...range, ...to, '--application-id', 'again', '--into-topic', 'other')).calls).toEqual([
    ['processor', String(fromMs), toMs, 'again', 'other'],
  ])
})

it.each([
  [[], '--from is missing'],
  [['--from', '2026-11-21T08:00:00Z', '--into-table', 't'], '--topic must be events or stats'],
  [['--topic', 'stats', '--from', '2026-11-21T08:00:00Z', '--application-id', 'a'], '--topic must be events'],
  [['--topic', 'events', '--from', 'yesterday'], '--from "yesterday" is no time'],
  [[...range, '--to', '2026-11-21T08:00:00Z'], '--from must be before --to'],
  [range, 'either --into-table or --application-id'],
  [[...range, '--into-table', 't', '--application-id', 'a'], 'either --into-table or --application-id'],
  [[...range, '--into-table', 't', '--into-topic', 'a'], '--into-topic goes with --application-id'],
  [[...range, '--into-table', 'x; DROP TABLE events'], '--into-table "x; DROP TABLE events" must be a name'],
  [[...range, '--application-id', 'a b'], '--application-id "a b" must be a name'],
  [[...range, '--swap'], '--swap'],
])('%j is refused', async (args, message) => {
  const refused = run(...args)
  await expect(refused).rejects.toThrow(CommandError)
  await expect(refused).rejects.toThrow(message)
})
