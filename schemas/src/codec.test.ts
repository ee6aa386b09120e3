import avsc from 'avsc'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { avroSchema } from './avro-schemas.ts'
import { createCodec, longMax } from './codec.ts'
import { SchemaError } from './errors.ts'
import type { Event } from './types.generated.ts'

const event: Event = {
  event_id: 'e1',
  user_id: 'u1',
  event_type: 'click',
  timestamp: 1_700_000_000_000,
  value: 1.5,
  metadata: '{"a":1}',
  received_at: 1_700_000_000_001,
  source: 's',
}

describe('the wire format', () => {
  it('is magic byte, schema id and Avro body', () => {
    const bytes = createCodec('event', 258).encode(event)
    // Written by hand from the Avro specification: zigzag varints, lengths before text, union branch before a value.
    const expected = [
      '00 00000102',
      '04 6531',
      '04 7531',
      '0a 636c69636b',
      '80a0abfef962', // timestamp 1,700,000,000,000
      '02 000000000000f83f',
      '0e 7b2261223a317d',
      '82a0abfef962',
      '02 73',
    ]
    expect(bytes.toString('hex')).toBe(expected.join('').replaceAll(' ', ''))
  })

  it('brings back every event that is in range', () => {
    const codec = createCodec('event', 1)
    const text = fc.string({ unit: 'grapheme', maxLength: 300 })
    const long = fc.integer({ min: -longMax + 1, max: longMax - 1 })
    const events = fc.record({
      event_id: text,
      user_id: text,
      event_type: text,
      timestamp: long,
      value: fc.option(fc.double({ noNaN: true })),
      metadata: text,
      received_at: long,
      source: text,
    })
    fc.assert(
      fc.property(events, (value) => {
        expect({ ...codec.decode(codec.encode(value)) }).toEqual(value)
      }),
    )
  })

  it('says that a buffer is too small instead of writing part of a record', () => {
    const codec = createCodec('event', 1)
    const whole = codec.encode(event)
    for (let size = 0; size < whole.length; size++) {
      expect(codec.encodeInto(event, Buffer.alloc(size), 0)).toBe(-1)
    }
    expect(codec.encodeInto(event, Buffer.alloc(whole.length), 0)).toBe(whole.length)
  })

  it('names what is wrong with bytes that are no record', () => {
    const codec = createCodec('event', 1)
    const codeOf = (bytes: Buffer) => {
      try {
        codec.decode(bytes)
      } catch (error) {
        return error instanceof SchemaError ? error.code : error
      }
      return 'decoded'
    }
    expect(codeOf(Buffer.from('01000000010000', 'hex'))).toBe('NOT_FRAMED')
    expect(codeOf(Buffer.from('0000', 'hex'))).toBe('NOT_FRAMED')
    expect(codeOf(Buffer.from('00000000630000', 'hex'))).toBe('UNKNOWN_SCHEMA')
    expect(codeOf(codec.encode(event).subarray(0, 12))).toBe('UNDECODABLE')
    expect(codeOf(Buffer.concat([codec.encode(event), Buffer.from([1])]))).toBe('UNDECODABLE')
  })

  it('refuses a value that does not fit the schema', () => {
    const codec = createCodec('lead-outcome', 1)
    const broken = { lead_id: 'l', request_id: 'r', outcome: 7, reason: null, decided_at: 0 } as unknown as Parameters<
      typeof codec.encode
    >[0]
    expect(() => codec.encode(broken)).toThrow(/NOT_ENCODABLE/)
  })

  it('reads the records of an older writer once it has learned its schema', () => {
    const { fields, ...rest } = avroSchema('event-stats')
    const older = { ...rest, fields: fields.filter((field) => field.name !== 'min') }
    const writer = avsc.Type.forSchema(older as avsc.Schema)
    const value = {
      event_type: 'a',
      interval: '10s',
      window_start: 0,
      window_end: 10_000,
      count: 1,
      value_count: 1,
      sum: 2,
      avg: 2,
      max: 2,
      final: false,
      updated_at: 1,
    }
    const bytes = Buffer.concat([Buffer.from('0000000007', 'hex'), writer.toBuffer(value)])
    const codec = createCodec('event-stats', 8)
    expect(() => codec.decode(bytes)).toThrow(/UNKNOWN_SCHEMA/)
    codec.learn(7, JSON.stringify(older))
    expect({ ...codec.decode(bytes) }).toEqual({ ...value, min: null })
  })

  it('does not learn a schema of which a few bytes stand for any number of items', () => {
    const { fields, ...rest } = avroSchema('event-stats')
    const bomb = { ...rest, fields: [...fields, { name: 'bomb', type: { type: 'array', items: 'null' } }] }
    const codec = createCodec('event-stats', 8)
    expect(() => codec.learn(7, JSON.stringify(bomb))).toThrow(/INCOMPATIBLE/)
  })
})
