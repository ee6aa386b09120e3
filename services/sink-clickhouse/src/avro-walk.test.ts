import { avroSchema, schemaNames } from '@millrace/schemas'
import avsc from 'avsc'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileWalk } from './avro-walk.ts'

/** Everything that Avro has. */
const everything: avsc.Schema = {
  type: 'record',
  name: 'Everything',
  namespace: 'test',
  fields: [
    { name: 'nothing', type: 'null' },
    { name: 'flag', type: 'boolean' },
    { name: 'small', type: 'int' },
    { name: 'large', type: 'long' },
    { name: 'single', type: 'float' },
    { name: 'text', type: 'string' },
    { name: 'raw', type: 'bytes' },
    { name: 'hash', type: { type: 'fixed', name: 'Hash', size: 4 } },
    { name: 'color', type: { type: 'enum', name: 'Color', symbols: ['red', 'green', 'blue'] } },
    { name: 'again', type: ['null', 'Color'] },
    { name: 'list', type: { type: 'array', items: 'double' } },
    { name: 'table', type: { type: 'map', values: 'int' } },
    { name: 'inner', type: { type: 'record', name: 'Inner', fields: [{ name: 'at', type: 'string' }] } },
  ],
}

function check(walk: ReturnType<typeof compileWalk>, body: Buffer): string {
  // Bytes around the body must not be touched.
  const padded = Buffer.concat([Buffer.alloc(3, 0xff), body, Buffer.alloc(3, 0xff)])
  return walk.check(padded, 3, 3 + body.length)
}

describe('compileWalk', () => {
  it.each([everything, ...schemaNames.map((name): avsc.Schema => JSON.parse(JSON.stringify(avroSchema(name))))])(
    'takes what avsc encodes, and nothing shorter or longer',
    (schema) => {
      const type = avsc.Type.forSchema(schema)
      const walk = compileWalk(schema)
      for (let round = 0; round < 200; round++) {
        const body = type.toBuffer(type.random())
        // avsc's random times are not times; only where they are in range must the walk be content.
        if (check(walk, body) === 'out of range') continue
        expect(check(walk, body)).toBe('sound')
        for (let length = 0; length < body.length; length++)
          expect(check(walk, body.subarray(0, length))).not.toBe('sound')
        expect(check(walk, Buffer.concat([body, Buffer.of(0)]))).toBe('undecodable')
      }
    },
  )

  it('never takes bytes that avsc cannot decode', () => {
    const schema = JSON.parse(JSON.stringify(avroSchema('event')))
    const type = avsc.Type.forSchema(schema)
    const walk = compileWalk(schema)
    const property = fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      const body = Buffer.from(bytes)
      if (check(walk, body) === 'sound') expect(() => type.fromBuffer(body)).not.toThrow()
    })
    fc.assert(property, { numRuns: 5_000 })
  })

  it('bounds timestamps to what DateTime64 holds', () => {
    const schema = {
      type: 'record',
      name: 'T',
      fields: [{ name: 't', type: { type: 'long', logicalType: 'timestamp-millis' } }],
    }
    const walk = compileWalk(schema)
    const type = avsc.Type.forSchema({ type: 'record', name: 'T', fields: [{ name: 't', type: 'long' }] })
    const result = (t: number) => check(walk, type.toBuffer({ t }))
    expect([0, 1_700_000_000_000, 10_413_791_999_999].map(result)).toEqual(['sound', 'sound', 'sound'])
    expect([-1, 10_413_792_000_000, 2 ** 52].map(result)).toEqual(['out of range', 'out of range', 'out of range'])
  })

  it('is not led to count items that have no bytes', () => {
    const walk = compileWalk({ type: 'array', items: 'null' })
    // A block of 2^31 nulls, in five bytes.
    expect(check(walk, Buffer.from([0x80, 0x80, 0x80, 0x80, 0x10, 0x00]))).toBe('undecodable')
  })

  it('refuses what is no schema, and what nests too deep', () => {
    expect(() => compileWalk('nonsense')).toThrow(/unknown type "nonsense"/)
    expect(() => compileWalk({ type: 'record', name: 'R', fields: [{ name: 'r', type: ['null', 'R'] }] })).toThrow(
      /unknown type "R"/,
    )
    let deep: unknown = 'int'
    for (let i = 0; i < 40; i++) deep = { type: 'array', items: deep }
    expect(() => compileWalk(deep)).toThrow(/nests deeper/)
  })
})
