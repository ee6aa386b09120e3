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
    [
      ['load', 'events'],
      {
        name: 'load',
        options: { profile: 'events', url: undefined, rate: undefined, duration: undefined, summaryFile: undefined },
      },
    ],
    [
      [
        'load',
        'mixed',
        '--rate',
        '50',
        '--duration=2m30s',
        '--url',
        'https://gateway.example',
        '--summary',
        'out.json',
      ],
      {
        name: 'load',
        options: {
          profile: 'mixed',
          url: 'https://gateway.example',
          rate: 50,
          duration: '2m30s',
          summaryFile: 'out.json',
        },
      },
    ],
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
    [['load'], 'load takes the name of one profile'],
    [['load', 'a', 'b'], 'load takes the name of one profile'],
    [['load', 'events', '--rate', '0'], '--rate must be a number above 0'],
    [['load', 'events', '--duration', '90'], '--duration must be a duration'],
    [['load', 'events', '--duration', ''], '--duration must be a duration'],
    [['load', 'events', '--url', 'localhost'], '--url must be the address'],
    [['load', 'events', '--vus', '5'], '--vus'],
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
