import { describe, expect, it } from 'vitest'
import { BenchError } from './bench-error.ts'
import { chosenNames, parseBenchCommand } from './command-line.ts'

const names = ['streams', 'sinks']
const parse = (...args: string[]) => parseBenchCommand(args, names)

describe('parseBenchCommand', () => {
  it('runs everything twice, quickly once', () => {
    expect(parse('streams')).toMatchObject({ name: 'streams', runs: 2, only: [], sides: ['ours', 'peer'], keep: false })
    expect(parse('streams', '--quick')?.runs).toBe(1)
    expect(parse('streams', '--quick', '--runs', '3')?.runs).toBe(3)
  })

  it('takes jobs one by one or in a list', () => {
    expect(parse('streams', '--only', 'a,b', '--only', 'c')?.only).toEqual(['a', 'b', 'c'])
    expect(parse('streams', '--side', 'ours')?.sides).toEqual(['ours'])
  })

  it('takes a number of leads', () => {
    expect(parse('streams', '--leads', '300000')?.leads).toBe(300_000)
    expect(parse('streams')?.leads).toBeUndefined()
  })

  it('gives help when asked and when nothing was said', () => {
    expect(parse()).toBeUndefined()
    expect(parse('streams', '-h')).toBeUndefined()
  })

  it.each([
    [['gateways'], /no bench "gateways"[\s\S]*one of: streams, sinks/],
    [['streams', 'sinks'], /One bench at a time/],
    [['streams', '--runs', '0'], /whole number from 1 to 20, not "0"/],
    [['streams', '--leads', 'many'], /whole number from 1 to 10000000, not "many"/],
    [['streams', '--side', 'theirs'], /one of ours, peer/],
    [['streams', '--slow'], /--slow/],
  ])('refuses %s', (args, message) => {
    expect(() => parse(...args)).toThrow(BenchError)
    expect(() => parse(...args)).toThrow(message)
  })
})

describe('the jobs of a bench', () => {
  it('are all, or those that are named, in the bench’s order', () => {
    expect(chosenNames(['a', 'b', 'c'], [])).toEqual(['a', 'b', 'c'])
    expect(chosenNames(['a', 'b', 'c'], ['c', 'a'])).toEqual(['a', 'c'])
  })

  it('are told when another one is named', () => {
    expect(() => chosenNames(['a', 'b'], ['b', 'x'])).toThrow('There is no job "x" in this bench; it has a, b.')
  })
})
