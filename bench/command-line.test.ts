import { describe, expect, it } from 'vitest'
import { BenchError } from './bench-error.ts'
import { parseBenchCommand } from './command-line.ts'

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

  it('gives help when asked and when nothing was said', () => {
    expect(parse()).toBeUndefined()
    expect(parse('streams', '-h')).toBeUndefined()
  })

  it.each([
    [['gateways'], /no bench "gateways"[\s\S]*one of: streams, sinks/],
    [['streams', 'sinks'], /One bench at a time/],
    [['streams', '--runs', '0'], /whole number from 1 to 20, not "0"/],
    [['streams', '--side', 'theirs'], /one of ours, peer/],
    [['streams', '--slow'], /--slow/],
  ])('refuses %s', (args, message) => {
    expect(() => parse(...args)).toThrow(BenchError)
    expect(() => parse(...args)).toThrow(message)
  })
})
