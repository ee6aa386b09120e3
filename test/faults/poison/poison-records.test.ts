import { createCodec, type Event } from '@millrace/schemas'
import avsc from 'avsc'
import { describe, expect, it } from 'vitest'
import { fateOf, framed, type PoisonKind, poisonKinds, poisonOf } from './poison-records.ts'

const codec = createCodec('event', 7)
const event: Event = {
  event_id: 'e',
  user_id: 'u',
  event_type: 'click',
  timestamp: 1,
  value: 1,
  metadata: '{}',
  received_at: 1,
  source: 'test',
}
const sound = { key: Buffer.from('u'), value: codec.encode(event) }
const made = (kind: PoisonKind) => poisonOf(kind, sound, { bombId: 8, mapId: 9 })
const decoded = (kind: PoisonKind) => codec.decode(made(kind).value ?? Buffer.alloc(0))

describe('poison', () => {
  it.each([
    ['wrong magic byte', 'NOT_FRAMED'],
    ['unknown schema id', 'UNKNOWN_SCHEMA'],
    ['truncated Avro', 'UNDECODABLE'],
    ['900 kB', 'UNDECODABLE'],
  ] as const)('of the kind "%s" is %s', (kind, code) => expect(() => decoded(kind)).toThrow(code))

  it('of a bomb is five bytes for fifty million items', () => {
    const value = made('array bomb').value ?? Buffer.alloc(0)
    expect(value.length - sound.value.length).toBe(5)
    const count = avsc.Type.forSchema('long').decode(value, 5)
    expect(count).toEqual({ value: 50_000_000, offset: 9 })
    expect(value[9], 'the end of the array').toBe(0)
  })

  it('of a map has a key that would be the prototype of an object', () => {
    const map = avsc.Type.forSchema({
      type: 'record',
      name: 'Labels',
      fields: [{ name: 'labels', type: { type: 'map', values: 'bytes' } }],
    })
    expect(() => map.fromBuffer((made('__proto__ as a map key').value ?? Buffer.alloc(0)).subarray(5))).not.toThrow()
  })

  it('leaves the value alone when the key is wrong, and the key when the value is null', () => {
    expect(made('wrong key type').value).toEqual(sound.value)
    expect(made('null value')).toEqual({ key: sound.key, value: null })
    expect(framed(7, sound.value.subarray(5))).toEqual(sound.value)
  })
})

it('ends in a letter but for deleted keys and keys that nobody reads', () => {
  const letters = (topic: 'events' | 'stats') => poisonKinds.filter((kind) => fateOf(topic, kind) === 'letter').length
  expect([letters('events'), letters('stats')]).toEqual([7, 6])
})
