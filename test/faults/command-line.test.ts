import { describe, expect, it } from 'vitest'
import { parseFaultCommand } from './command-line.ts'
import { FaultError } from './fault-error.ts'

const suites = { engine: { title: 'the engine', sabotages: ['no-faults'] } }
const parse = (...args: readonly string[]) => parseFaultCommand(args, suites, 7)

describe('parseFaultCommand', () => {
  it('reads a suite and its options', () => {
    expect(parse('engine', '--seed', '5', '--quick', '--sabotage', 'no-faults')).toEqual({
      suite: 'engine',
      seed: 5,
      quick: true,
      sabotage: 'no-faults',
      keep: false,
    })
  })

  it('takes the random seed when none is given', () => {
    expect(parse('engine')?.seed).toBe(7)
  })

  it('answers undefined for help', () => {
    expect(parse('--help')).toBeUndefined()
  })

  it.each([
    [['sinks'], 'There is no suite "sinks"'],
    [['engine', 'sinks'], 'One suite at a time'],
    [[], 'Suites:'],
    [['engine', '--seed', '-1'], '--seed'],
    [['engine', '--seed', '1.5'], '--seed must be a whole number'],
    [['engine', '--sabotage', 'x'], '--sabotage of "engine" must be one of no-faults'],
    [['engine', '--fast'], '--fast'],
  ])('refuses %j', (args, message) => {
    expect(() => parse(...args)).toThrow(FaultError)
    expect(() => parse(...args)).toThrow(message)
  })
})
