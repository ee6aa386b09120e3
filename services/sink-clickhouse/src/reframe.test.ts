import { avroSchema, createCodec, type Event, SchemaError, schemaText } from '@millrace/schemas'
import avsc from 'avsc'
import { describe, expect, it } from 'vitest'
import { batchOf } from '../test/batches.ts'
import type { AvroContainer } from './avro-container.ts'
import type { Poison } from './errors.ts'
import { reframe, schemaIdsOf } from './reframe.ts'
import { SpareBuffers } from './spare-buffers.ts'
import { createWriterSchemas, type WriterSchema } from './writer-schemas.ts'

const codec = createCodec('event', 7)
const spares = new SpareBuffers(0)

function eventOf(changes: Partial<Event> = {}): Event {
  return {
    event_id: 'e-1',
    user_id: 'u-1',
    event_type: 'click',
    timestamp: 1_700_000_000_000,
    value: 1.5,
    metadata: '{"value":1.5}',
    received_at: 1_700_000_000_100,
    source: 'user-1',
    ...changes,
  }
}

async function schemasFor(
  texts: Readonly<Record<number, string>>,
  isVersion = true,
): Promise<Map<number, WriterSchema | Poison>> {
  const registry = {
    isVersionOf: async () => isVersion,
    async schemaById(id: number) {
      const text = texts[id]
      if (text === undefined) throw new SchemaError('NOT_REGISTERED', 'no such id')
      return text
    },
  }
  const schemas = createWriterSchemas({ registry, topic: 'events', codec: createCodec('event', 7), nowMs: () => 0 })
  const found = new Map<number, WriterSchema | Poison>()
  for (const id of [7, 8, 9, 404]) found.set(id, await schemas.resolve(id))
  return found
}

async function read(container: AvroContainer | undefined): Promise<unknown[]> {
  const rows: unknown[] = []
  const decoder = new avsc.streams.BlockDecoder()
  decoder.end(container?.finish())
  for await (const row of decoder) rows.push({ ...row })
  return rows
}

/** A version of the event that has one field more. */
const widerSchema = JSON.stringify({
  ...avroSchema('event'),
  fields: [...avroSchema('event').fields, { name: 'device', type: ['null', 'string'], default: null }],
})

describe('reframe', () => {
  it('makes one container per schema id, rows as they came with their place', async () => {
    const schemas = await schemasFor({ 7: schemaText('event'), 8: widerSchema, 9: schemaText('lead') })
    const wider = avsc.Type.forSchema(JSON.parse(widerSchema))
    const framed = (id: number, body: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, 0, id]), body])
    const values = [
      codec.encode(eventOf()),
      framed(8, wider.toBuffer({ ...eventOf({ event_id: 'e-2' }), device: 'phone' })),
      codec.encode(eventOf({ event_id: 'e-3', value: null })),
    ]
    const batch = batchOf(values, { partition: 2, firstOffset: 500 })
    expect([...schemaIdsOf(batch)]).toEqual([7, 8])
    const { containers, poison } = reframe(batch, schemas, { skipTombstones: false, spares })
    expect(poison).toEqual([])
    expect(await read(containers.get(7))).toEqual([
      { _partition: 2, _offset: 500, ...eventOf() },
      { _partition: 2, _offset: 502, ...eventOf({ event_id: 'e-3', value: null }) },
    ])
    expect(await read(containers.get(8))).toMatchObject([{ _offset: 501, event_id: 'e-2' }])
  })

  it('finds every kind of poison, and keeps the rest', async () => {
    const schemas = await schemasFor({ 7: schemaText('event'), 9: schemaText('lead') })
    const sound = codec.encode(eventOf())
    const withId = (id: number) => {
      const copy = Buffer.from(sound)
      copy.writeInt32BE(id, 1)
      return copy
    }
    const values = [
      sound,
      null,
      Buffer.alloc(0),
      Buffer.from('{"event_id":"e"}'),
      withId(404),
      withId(9),
      sound.subarray(0, sound.length - 1),
      Buffer.concat([sound, Buffer.of(1)]),
      codec.encode(eventOf({ timestamp: -5 })),
      codec.encode(eventOf({ received_at: 2 ** 50 })),
      sound,
    ]
    const { containers, poison } = reframe(batchOf(values), schemas, { skipTombstones: false, spares })
    expect(poison.map((found) => `${found.row} ${found.poison.code}`)).toEqual([
      '1 NOT_FRAMED',
      '2 NOT_FRAMED',
      '3 NOT_FRAMED',
      '4 UNKNOWN_SCHEMA',
      '5 INCOMPATIBLE',
      '6 UNDECODABLE',
      '7 UNDECODABLE',
      '8 OUT_OF_RANGE',
      '9 OUT_OF_RANGE',
    ])
    expect((await read(containers.get(7))).length).toBe(2)
  })

  it('knows the times of a schema whose registry client leaves logical types out', async () => {
    const plain = JSON.stringify(avsc.Type.forSchema(JSON.parse(schemaText('event'))))
    expect(plain).not.toContain('logicalType')
    const schemas = await schemasFor({ 7: plain })
    const { poison } = reframe(batchOf([codec.encode(eventOf({ timestamp: -5 }))]), schemas, {
      skipTombstones: false,
      spares,
    })
    expect(poison).toMatchObject([{ poison: { code: 'OUT_OF_RANGE' } }])
  })

  it('leaves tombstones out where the topic has them', async () => {
    const schemas = await schemasFor({ 7: schemaText('event') })
    const { containers, poison } = reframe(batchOf([null, codec.encode(eventOf())]), schemas, {
      skipTombstones: true,
      spares,
    })
    expect(poison).toEqual([])
    expect(containers.get(7)?.count).toBe(1)
  })
})

describe('createWriterSchemas', () => {
  it('asks the registry once per id, and again after a while for one that it did not know', async () => {
    const asked: number[] = []
    let nowMs = 0
    let isKnown = false
    const registry = {
      isVersionOf: async () => true,
      async schemaById(id: number) {
        asked.push(id)
        if (!isKnown) throw new SchemaError('NOT_REGISTERED', 'no such id')
        return schemaText('event')
      },
    }
    const schemas = createWriterSchemas({ registry, topic: 'events', codec, nowMs: () => nowMs })
    expect(await schemas.resolve(1)).toMatchObject({ code: 'UNKNOWN_SCHEMA' })
    isKnown = true
    expect(await schemas.resolve(1)).toMatchObject({ code: 'UNKNOWN_SCHEMA' })
    nowMs = 60_000
    expect(await schemas.resolve(1)).toMatchObject({ schemaId: 1 })
    nowMs = 1e12
    await schemas.resolve(1)
    expect(asked).toEqual([1, 1])
  })

  it('passes on that the registry is away', async () => {
    const schemaById = () => Promise.reject(new SchemaError('REGISTRY_UNAVAILABLE', 'away'))
    const registry = { schemaById, isVersionOf: async () => true }
    const schemas = createWriterSchemas({ registry, topic: 'events', codec, nowMs: () => 0 })
    await expect(schemas.resolve(1)).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE', retryable: true })
  })

  it('takes a schema with more fields for a version of the topic only when it is registered as one', async () => {
    const texts = { 7: schemaText('event'), 8: widerSchema }
    expect((await schemasFor(texts)).get(8)).toMatchObject({ schemaId: 8 })
    const found = await schemasFor(texts, false)
    // It may be registered as one later: then it is asked for again.
    expect(found.get(8)).toMatchObject({ code: 'UNKNOWN_SCHEMA' })
    expect(found.get(7)).toMatchObject({ schemaId: 7 })
  })
})
