import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../errors.ts'
import { JsonCursor, type JsonFault } from './json-cursor.ts'

function scan(text: string | Buffer): readonly JsonFault[] {
  const bytes = Buffer.isBuffer(text) ? text : Buffer.from(text)
  const cursor = new JsonCursor()
  cursor.open(bytes, { start: 0, end: bytes.length })
  cursor.value()
  cursor.finish()
  return cursor.faults
}

function accepted(text: string): boolean {
  try {
    scan(text)
    return true
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'INVALID_JSON') return false
    throw error
  }
}

function parses(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

describe('the grammar', () => {
  it('is that of JSON.parse, for valid texts', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), (text) => {
        // JSON.stringify writes large doubles as integers: those are faults, by intention.
        expect(scan(text).filter((fault) => fault.code !== 'NUMBER_NOT_EXACT')).toEqual([])
      }),
    )
  })

  it('is that of JSON.parse, for texts with one mistake', () => {
    const noise = fc.constantFrom(
      ...' \t\n,:{}[]"\\-+.eE0123456789tfn/u\u0000\u0001x'.split(''),
      '\\u12',
      'true',
      '\ufeff',
    )
    const mutated = fc.tuple(fc.json({ maxDepth: 4 }), fc.nat(), fc.nat(2), noise).map(([text, seed, cut, insert]) => {
      const at = seed % (text.length + 1)
      return text.slice(0, at) + insert + text.slice(at + cut)
    })
    fc.assert(
      fc.property(mutated, (text) => {
        expect([text, accepted(text)]).toEqual([text, parses(text)])
      }),
      { numRuns: 5_000 },
    )
  })

  it.each([
    '',
    ' ',
    '{',
    '[',
    '"',
    '-',
    '01',
    '1.',
    '.5',
    '1e',
    '+1',
    '0x10',
    'NaN',
    'Infinity',
    "{'a':1}",
    '{"a":1,}',
    '[1,]',
    '[,1]',
    '{"a"}',
    '{"a":1 "b":2}',
    '[1 2]',
    '1 2',
    '{} {}',
    '// c\n1',
    '"\t"',
    '"\\x"',
    '"\\u12"',
    'tru',
    'nul',
    '{a:1}',
    '[1}',
    '{"a":1]',
    '\ufeff{}',
  ])('refuses %j', (text) => {
    expect(parses(text)).toBe(false)
    expect(accepted(text)).toBe(false)
  })

  it('names the byte where the text goes wrong', () => {
    expect(() => scan('{"a": 1, "b" 2}')).toThrow('[INVALID_JSON] Not JSON: at byte 13 expected ":".')
  })
})

describe('content that JSON.parse would change', () => {
  it.each([
    ['{"a":1,"b":{"c":1,"c":2}}', 'DUPLICATE_KEY', '/b/c'],
    ['{"a":1,"\\u0061":2}', 'DUPLICATE_KEY', '/a'],
    ['[1,{"x/y~z":9007199254740993}]', 'NUMBER_NOT_EXACT', '/1/x~1y~0z'],
    ['-9007199254740992', 'NUMBER_NOT_EXACT', ''],
    ['[1e999]', 'NUMBER_NOT_EXACT', '/0'],
    ['[-0.1e-999]', 'NUMBER_NOT_EXACT', '/0'],
    ['{"a":"\\ud800"}', 'LONE_SURROGATE', '/a'],
    ['{"a":"\\udc00\\ud800"}', 'LONE_SURROGATE', '/a'],
    ['{"a":"\\u0000"}', 'NUL_CHARACTER', '/a'],
    ['{"b":1,"\\u0000":1}', 'NUL_CHARACTER', '/\u0000'],
    [`${'['.repeat(33)}1${']'.repeat(33)}`, 'TOO_DEEP', '/0'.repeat(32)],
  ])('finds it in %j', (text, code, pointer) => {
    const faults = scan(text)
    expect(faults[0]).toMatchObject({ code, pointer })
  })

  it('takes what is exact', () => {
    expect(scan('[9007199254740991, -9007199254740991, 1e20, 0.1, -0, 0e999, 0.000, "\\ud83d\\ude00", "😀"]')).toEqual(
      [],
    )
    expect(scan(`${'['.repeat(32)}1${']'.repeat(32)}`)).toEqual([])
  })

  it('goes on behind what is too deep, and finds every fault', () => {
    const deep = `${'{"d":['.repeat(5_000)}"]}"${']}'.repeat(5_000)}`
    const faults = scan(`{"a":${deep},"b":1e999}`)
    expect(faults.map((fault) => fault.code)).toEqual(['TOO_DEEP', 'NUMBER_NOT_EXACT'])
    expect(faults[1]?.pointer).toBe('/b')
  })

  it('finds a duplicate among very many keys without comparing each with each', () => {
    // 10^11 comparisons would outlast the test's deadline by minutes.
    const keys = Array.from({ length: 500_000 }, (_, i) => `"k${i}":0`)
    expect(scan(`{${keys.join(',')},"k499999":1}`)).toMatchObject([{ code: 'DUPLICATE_KEY', pointer: '/k499999' }])
  })

  it('never calls two different keys the same', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.integer(), { maxKeys: 40 }), (object) => {
        const codes = scan(JSON.stringify(object)).map((fault) => fault.code)
        expect(codes.filter((code) => code === 'DUPLICATE_KEY')).toEqual([])
      }),
    )
  })
})

describe('walking', () => {
  it('reads numbers as JSON.parse does, to the last bit', () => {
    const decimal = fc
      .tuple(fc.integer({ min: -1e14, max: 1e14 }), fc.integer({ min: 0, max: 14 }))
      .map(([n, places]) => {
        const digits = String(Math.abs(n)).padStart(places + 1, '0')
        const whole = digits.slice(0, digits.length - places)
        return `${n < 0 ? '-' : ''}${whole}${places === 0 ? '' : '.'}${digits.slice(digits.length - places)}`
      })
    const any = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value))
    fc.assert(
      fc.property(fc.oneof(decimal, any, fc.constantFrom('-0', '0.0', '-0.0', '1e5', '-1.5E-7', '0.1')), (text) => {
        const bytes = Buffer.from(text)
        const cursor = new JsonCursor()
        cursor.open(bytes, { start: 0, end: bytes.length })
        cursor.value()
        expect([text, cursor.number()]).toEqual([text, JSON.parse(text)])
      }),
      { numRuns: 2_000 },
    )
  })

  it('gives members, items and decoded values in place', () => {
    const text = '{"id":"caf\\u00e9 ü","list":[1, 2.5, true, null],"raw": { "x" : [1] }}'
    const bytes = Buffer.from(`  ${text} `)
    const cursor = new JsonCursor()
    cursor.open(bytes, { start: 2, end: bytes.length, root: 7 })
    const seen: unknown[] = []
    cursor.enter()
    while (cursor.member()) {
      if (cursor.keyIs(Buffer.from('list'))) {
        cursor.enter()
        while (cursor.item()) seen.push([cursor.pointer(), cursor.value(), cursor.raw()])
      } else if (cursor.key() === 'id') {
        cursor.value()
        seen.push(cursor.text())
      } else seen.push([cursor.value(), cursor.raw()])
    }
    cursor.finish()
    expect(seen).toEqual([
      'café ü',
      ['/7/list/0', 'number', '1'],
      ['/7/list/1', 'number', '2.5'],
      ['/7/list/2', 'boolean', 'true'],
      ['/7/list/3', 'null', 'null'],
      ['object', '{ "x" : [1] }'],
    ])
  })
})
