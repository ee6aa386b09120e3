import { expect, it } from 'vitest'
import { RunStateMachine } from './run-states.ts'

it('moves along the table and reports each change once', () => {
  const seen: string[] = []
  const states = new RunStateMachine((to, from) => seen.push(`${from}>${to}`))
  for (const to of [
    'starting',
    'recovering',
    'running',
    'running',
    'recovering',
    'running',
    'closing',
    'closed',
  ] as const) {
    states.moveTo(to)
  }
  expect(seen).toEqual([
    'created>starting',
    'starting>recovering',
    'recovering>running',
    'running>recovering',
    'recovering>running',
    'running>closing',
    'closing>closed',
  ])
})

it('refuses what is not in the table', () => {
  const states = new RunStateMachine(() => {})
  expect(() => states.moveTo('running')).toThrow(
    '[INVALID_STATE] a streams application that is created cannot become running',
  )
  expect(states.state).toBe('created')
  states.moveTo('closed')
  expect(() => states.moveTo('starting')).toThrow('[INVALID_STATE]')
})
