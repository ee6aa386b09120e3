import fc from 'fast-check'
import { expect, it } from 'vitest'
import { canonicalJson } from './canonical-json.ts'
import { JsonCursor } from './json-cursor.ts'
import { readStrictJson } from './strict-json.ts'

it('parses what JSON.parse parses', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(readStrictJson(Buffer.from(text)).value).toEqual(JSON.parse(text))
    }),
  )
})

it.each([
  ['a cut-off sequence', Buffer.from([0x22, 0xc3, 0x22])],
  ['an overlong form', Buffer.from([0x22, 0xc0, 0x80, 0x22])],
  ['an encoded surrogate', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
])('refuses %s', (_, bytes) => {
  expect(() => readStrictJson(bytes)).toThrow('[INVALID_JSON] The body is not valid UTF-8.')
})

it('reads body after body with one cursor, whatever became of the one before', () => {
  const cursor = new JsonCursor()
  expect(() => readStrictJson(Buffer.from('{"a":[1,{'), cursor)).toThrow('[INVALID_JSON]')
  expect(readStrictJson(Buffer.from('{"a":1,"a":2}'), cursor).faults).toMatchObject([{ code: 'DUPLICATE_KEY' }])
  expect(readStrictJson(Buffer.from('{"a":1,"b":2}'), cursor)).toEqual({ value: { a: 1, b: 2 }, faults: [] })
})

it('gives equal values one canonical text', () => {
  expect(canonicalJson(JSON.parse('{"b":[1,{"d":2,"c":"x"}],"a":null}'))).toBe('{"a":null,"b":[1,{"c":"x","d":2}]}')
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      const json = JSON.parse(JSON.stringify(value))
      expect(JSON.parse(canonicalJson(json))).toEqual(json)
      expect(canonicalJson(JSON.parse(JSON.stringify(json, null, 2)))).toBe(canonicalJson(json))
    }),
  )
})
