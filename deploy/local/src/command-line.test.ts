import { describe, expect, it } from 'vitest'
import { parseCommand, usage } from './command-line.ts'
import { portSettings } from './config.ts'

describe('parseCommand', () => {
  it.each([
    [[], { name: 'help' }],
    [['--help'], { name: 'help' }],
    [['up', '--help'], { name: 'help' }],
    [['doctor'], { name: 'doctor' }],
    [['test'], { name: 'test', filters: [] }],
    [['test', 'streams'], { name: 'test', filters: ['streams'] }],
    [['up'], { name: 'up', fresh: false, serversOnly: false, demo: undefined }],
    [['up', '--fresh', '--servers-only'], { name: 'up', fresh: true, serversOnly: true, demo: undefined }],
    [['up', '--demo'], { name: 'up', fresh: false, serversOnly: false, demo: { speed: 1_800, eventsMax: undefined } }],
    [
      ['up', '--demo', '--speed', '60', '--demo-events=100'],
      { name: 'up', fresh: false, serversOnly: false, demo: { speed: 60, eventsMax: 100 } },
    ],
  ])('reads %j', (args, command) => {
    expect(parseCommand(args)).toEqual(command)
  })

  it.each([
    [['start'], 'Unknown command "start"'],
    [['doctor', 'now'], 'Unknown command "doctor now"'],
    [['up', '--frsh'], '--frsh'],
    [['up', 'now'], 'now'],
    [['up', '--speed', '5'], 'belong to --demo'],
    [['up', '--demo', '--speed', '0'], '--speed must be a number above 0'],
    [['up', '--demo', '--speed', 'fast'], '"fast"'],
    [['up', '--demo', '--servers-only'], 'leave --servers-only out'],
  ])('refuses %j', (args, message) => {
    expect(() => parseCommand(args)).toThrow(message)
  })
})

it('the usage names the variable of every port', () => {
  for (const { variable } of portSettings) expect(usage()).toContain(variable)
})
