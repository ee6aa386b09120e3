import { zstdCompress } from 'node:zlib'
import { avroSchema, createCodec, type Event } from '@millrace/schemas'
import { type OutgoingRecord, partitionOfKey } from '@millrace/streams'
import avsc from 'avsc'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { batchBodyBytesMax, eventsPerRequestMax } from '../limits.ts'
import { AvroEventReader } from './avro-event-reader.ts'
import { EventReader } from './event-reader.ts'

const nowMs = Date.UTC(2026, 0, 1)
const reception = { receivedAtMs: nowMs, source: 'user-7' }
const codec = createCodec('event', 7)
const topic = { topic: 'events', partitions: 4, schemaId: 7, partitionOf: partitionOfKey }
const reader = new AvroEventReader(topic)

const valid = {
  event_id: 'e-1',
  user_id: 'u-1',
  event_type: 'page_view',
  timestamp: 1_700_000_000_000,
  metadata: '{"value": 2.5, "page":"/"}',
}
const text = 'string'
const fields = [
  { name: 'event_id', type: text },
  { name: 'user_id', type: text },
  { name: 'event_type', type: text },
  { name: 'timestamp', type: 'long' },
  { name: 'metadata', type: text },
] as const

/** A schema of these fields, or of `fields` with some replaced and some added. */
function schemaOf(change: Readonly<Record<string, unknown>> = {}): avsc.Schema {
  const replaced = fields.map(({ name, type }) => ({ name, type: change[name] ?? type }))
  const added = Object.entries(change)
    .filter(([name]) => !fields.some((field) => field.name === name))
    .map(([name, type]) => ({ name, type }))
  return { type: 'record', name: 'Any', fields: [...replaced, ...added] } as avsc.Schema
}

type Codec = 'null' | 'deflate' | 'zstandard'

/** A container as avsc writes it. */
async function container(values: readonly unknown[], schema = schemaOf(), codec: Codec = 'null'): Promise<Buffer> {
  const type = avsc.Type.forSchema(schema)
  const codecs = {
    ...avsc.streams.BlockEncoder.defaultCodecs(),
    zstandard: (data: Buffer, done: (error: Error | null, data: Buffer) => void) => zstdCompress(data, done),
  }
  const encoder = new avsc.streams.BlockEncoder(type, { codec, codecs, blockSize: 2_000, writeHeader: 'always' })
  const chunks: Buffer[] = []
  encoder.on('data', (chunk: Buffer) => chunks.push(chunk))
  const ended = new Promise((resolve) => encoder.on('end', resolve))
  for (const value of values) encoder.write(value)
  encoder.end()
  await ended
  return Buffer.concat(chunks)
}

function read(body: Buffer) {
  const batch = reader.read(body, reception)
  return { ...batch, events: batch.records.map(({ value }) => ({ ...codec.decode(value ?? Buffer.alloc(0)) })) }
}

const taken = {
  event_id: 'e-1',
  user_id: 'u-1',
  event_type: 'page_view',
  timestamp: 1_700_000_000_000,
  value: 2.5,
  metadata: '{"value": 2.5, "page":"/"}',
  received_at: nowMs,
  source: 'user-7',
}

describe('a container', () => {
  it.each<Codec>(['null', 'deflate', 'zstandard'])('with the codec %s is read, block by block', async (name) => {
    const values = Array.from({ length: 200 }, (_, i) => ({ ...valid, event_id: `e-${i}` }))
    const batch = read(await container(values, schemaOf(), name))
    expect(batch.rejected).toEqual([])
    expect(batch.events).toEqual(values.map(({ event_id }) => ({ ...taken, event_id })))
  })

  it('of our own schema is read; what the gateway sets itself is not taken from it', async () => {
    const own: Event = { ...taken, received_at: 5, source: 'somebody else' }
    expect(read(await container([own], avroSchema('event') as avsc.Schema)).events).toEqual([taken])
  })

  it.each([
    ['the fields in another order', schemaOf({ event_id: text }), {}],
    ['an id that may be null', schemaOf({ event_id: ['null', text] }), {}],
    ['null last in a union', schemaOf({ user_id: [text, 'null'] }), {}],
    ['bytes for text', schemaOf({ metadata: 'bytes' }), { metadata: Buffer.from(valid.metadata) }],
    ['seconds', schemaOf({ timestamp: 'int' }), { timestamp: 1_700_000_000 }],
    [
      'fields that are none of ours',
      schemaOf({ extra: { type: 'array', items: ['null', 'int'] } }),
      { extra: [1, null] },
    ],
    ['a map', schemaOf({ tags: { type: 'map', values: 'double' } }), { tags: { a: 1, b: 2 } }],
    ['an enum', schemaOf({ kind: { type: 'enum', name: 'Kind', symbols: ['A', 'B'] } }), { kind: 'B' }],
    ['a fixed', schemaOf({ hash: { type: 'fixed', name: 'Hash', size: 3 } }), { hash: Buffer.from('abc') }],
    [
      'a record that refers to itself',
      schemaOf({
        list: { type: 'record', name: 'List', fields: [{ name: 'next', type: ['null', 'List'] }] },
      }),
      { list: { next: { next: null } } },
    ],
  ])('of a schema with %s resolves to an event', async (_, schema, change) => {
    const batch = read(await container([{ ...valid, ...change }], schema))
    expect([batch.rejected, batch.events]).toEqual([[], [taken]])
  })

  it('reads times as its schema says: by their size, or as milliseconds', () => {
    const written = { ...valid, timestamp: 1_700_000_000 }
    const data = avsc.Type.forSchema(schemaOf()).toBuffer(written)
    const timeBy = (timestamp: unknown) => {
      const body = handMade(JSON.stringify(schemaOf({ timestamp })), data)
      return read(body).events[0]?.timestamp
    }
    expect(timeBy('long')).toBe(1_700_000_000_000)
    expect(timeBy({ type: 'long', logicalType: 'timestamp-millis' })).toBe(1_700_000_000)
    expect(() => timeBy({ type: 'long', logicalType: 'timestamp-micros' })).toThrow('timestamp-millis')
  })

  it('gives events without an id one', async () => {
    const schema = schemaOf({ event_id: ['null', text] })
    const batch = read(await container([valid, { ...valid, event_id: null }], schema))
    expect(batch.givenIds).toEqual([{ index: 1, event_id: batch.events[1]?.event_id }])
  })

  it.each([
    ['float', 0.5, 0.5],
    ['double', 1.1, 1.1],
    ['int', 3, 3],
    ['long', 2 ** 40, 2 ** 40],
    [['null', 'double'], null, null],
  ])('may hold the value apart, as %j', async (type, value, expected) => {
    const batch = read(await container([{ ...valid, metadata: '{}', value }], schemaOf({ value: type })))
    expect(batch.events[0]?.value).toBe(expected)
  })

  it('takes the value of the metadata first', async () => {
    expect(read(await container([{ ...valid, value: 9 }], schemaOf({ value: 'double' }))).events[0]?.value).toBe(2.5)
  })

  it.each([
    [{ event_id: '' }, 'WRONG_LENGTH', '/1/event_id'],
    [{ user_id: 'x'.repeat(129) }, 'WRONG_LENGTH', '/1/user_id'],
    [{ user_id: 'a\n' }, 'BAD_CHARACTERS', '/1/user_id'],
    [{ event_type: 'a@b' }, 'BAD_CHARACTERS', '/1/event_type'],
    [{ timestamp: -1 }, 'OUT_OF_RANGE', '/1/timestamp'],
    [{ timestamp: nowMs + 300_001 }, 'OUT_OF_RANGE', '/1/timestamp'],
    [{ metadata: '[]' }, 'WRONG_TYPE', '/1/metadata'],
    [{ metadata: '{' }, 'NOT_JSON', '/1/metadata'],
    [{ metadata: '{} x' }, 'NOT_JSON', '/1/metadata'],
    [{ metadata: '' }, 'NOT_JSON', '/1/metadata'],
    [{ metadata: '{"a":1,"a":2}' }, 'DUPLICATE_KEY', '/1/metadata/a'],
    [{ metadata: '{"a":9007199254740993}' }, 'NUMBER_NOT_EXACT', '/1/metadata/a'],
    [{ metadata: `{"a":"${'x'.repeat(70_000)}"}` }, 'WRONG_LENGTH', '/1/metadata'],
  ])('has %j refused, and takes the others', async (change, code, pointer) => {
    const batch = read(await container([valid, { ...valid, ...change }, valid]))
    expect(batch.events).toEqual([taken, taken])
    expect(batch.rejected).toMatchObject([{ index: 1, code, pointer }])
  })

  it('refuses text that is not UTF-8, and required fields that are null', async () => {
    const schema = schemaOf({ user_id: 'bytes', metadata: 'bytes', event_type: ['null', text] })
    const broken = Buffer.from([0x61, 0xff])
    const good = { ...valid, user_id: Buffer.from('u-1'), metadata: Buffer.from('{}') }
    const values = [
      { ...good, user_id: broken },
      { ...good, metadata: broken },
      { ...good, event_type: null },
    ]
    expect(read(await container(values, schema)).rejected).toMatchObject([
      { code: 'BAD_CHARACTERS', pointer: '/0/user_id', detail: 'is not valid UTF-8' },
      { code: 'BAD_CHARACTERS', pointer: '/1/metadata', detail: 'is not valid UTF-8' },
      { code: 'MISSING_FIELD', pointer: '/2/event_type', detail: 'is required' },
    ])
  })

  it('refuses metadata that is not UTF-8 for that alone, wherever it is not', async () => {
    const schema = schemaOf({ metadata: 'bytes' })
    const deep = 40
    const texts = [
      '{"a":"ÿ"}',
      '{"ÿ":1}',
      '{"ÿ":1,"þ":2}',
      '{"a":1,"a":"ÿ"}',
      '{"a":1}ÿ',
      'ÿ{}',
      '["ÿ"]',
      `{"a":${'['.repeat(deep)}ÿ${']'.repeat(deep)}}`,
      `{"a":${'['.repeat(deep)}"ÿ"${']'.repeat(deep)}}`,
    ]
    const withMetadata = (encoding: 'latin1' | 'utf8') => (json: string) => ({
      ...valid,
      metadata: Buffer.from(json, encoding),
    })
    const broken = read(await container(texts.map(withMetadata('latin1')), schema))
    expect(broken.rejected).toEqual(
      texts.map((_, index) => ({
        index,
        code: 'BAD_CHARACTERS',
        pointer: `/${index}/metadata`,
        detail: 'is not valid UTF-8',
      })),
    )
    const kept = read(await container(['{"a":"ÿ"}', '{"ÿ":1,"þ":2}'].map(withMetadata('utf8')), schema))
    expect(kept.events.map(({ metadata }) => metadata)).toEqual(['{"a":"ÿ"}', '{"ÿ":1,"þ":2}'])
  })

  it.each([
    [schemaOf({ user_id: 'int' }), 'The schema\'s field "user_id" must be one of string, bytes'],
    [schemaOf({ metadata: { type: 'map', values: text } }), 'field "metadata"'],
    [schemaOf({ timestamp: 'double' }), 'field "timestamp"'],
    [
      { type: 'record', name: 'E', fields: [{ name: 'user_id', type: text }] } as avsc.Schema,
      'lacks event_type, timestamp',
    ],
    [{ type: 'map', values: text } as avsc.Schema, 'must be a record'],
  ])('of a schema that is no event is refused (%#)', async (schema, detail) => {
    const body = await container([], schema)
    expect(() => reader.read(body, reception)).toThrow('[INVALID_AVRO]')
    expect(() => reader.read(body, reception)).toThrow(detail)
  })

  it('must hold 1 to 10,000 events', async () => {
    const empty = await container([])
    expect(() => reader.read(empty, reception)).toThrow('[INVALID_BODY] The body must hold at least one event.')
    const body = await container(new Array(eventsPerRequestMax + 1).fill(valid))
    expect(() => reader.read(body, reception)).toThrow('[BODY_TOO_LARGE]')
  })

  it('is refused as a whole when it is cut off anywhere, or changed at its frame', async () => {
    const body = await container([valid, valid], schemaOf(), 'deflate')
    for (let length = 0; length < body.length; length++) {
      expect(() => reader.read(body.subarray(0, length), reception)).toThrow(/INVALID_AVRO|INVALID_BODY/)
    }
    const changed = Buffer.from(body)
    changed.writeUInt8(changed.readUInt8(changed.length - 1) ^ 1, changed.length - 1)
    expect(() => reader.read(changed, reception)).toThrow('sync marker')
    expect(() => reader.read(Buffer.concat([body, Buffer.from([2])]), reception)).toThrow('[INVALID_AVRO]')
  })

  it('fails in no other way, whatever its bytes are', async () => {
    const listed = { ...valid, list: [[null], []] }
    const lists = schemaOf({ list: { type: 'array', items: { type: 'array', items: 'null' } } })
    const body = await container([listed, listed], lists)
    fc.assert(
      fc.property(fc.nat(body.length - 1), fc.nat(255), (at, byte) => {
        const changed = Buffer.from(body)
        changed[at] = byte
        try {
          reader.read(changed, reception)
        } catch (error) {
          expect(String(error)).toMatch(/\[(INVALID_AVRO|INVALID_BODY|BODY_TOO_LARGE)\]/)
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('a container that is made to hurt', () => {
  it('is not decompressed beyond the bound of a body', async () => {
    const body = await container(
      [{ ...valid, padding: ' '.repeat(batchBodyBytesMax) }],
      schemaOf({ padding: text }),
      'deflate',
    )
    expect(body.length).toBeLessThan(batchBodyBytesMax / 100)
    expect(() => reader.read(body, reception)).toThrow('cannot be decompressed, or becomes larger')
  })

  it('keeps nobody busy with values that take no bytes', async () => {
    const lists = schemaOf({ extra: { type: 'array', items: { type: 'array', items: 'null' } } })
    const inner = new Array(2_000).fill(null)
    const many = await container([{ ...valid, extra: new Array(50).fill(inner) }], lists)
    expect(() => reader.read(many, reception)).toThrow('more values than bytes')
    // Each level holds two of the one before: 2^26 nulls, and not one byte.
    const levels = Array.from({ length: 26 }, (_, level) => {
      const type = level === 0 ? 'null' : `L${level - 1}`
      const fields = ['a', 'b'].map((name) => ({ name, type }))
      return [`level${level}`, { type: 'record', name: `L${level}`, fields }] as const
    })
    const data = avsc.Type.forSchema(schemaOf()).toBuffer(valid)
    const doubling = handMade(JSON.stringify(schemaOf(Object.fromEntries(levels))), data)
    expect(() => reader.read(doubling, reception)).toThrow('more values than bytes')
  })

  it('may not nest its schema or its values without end', async () => {
    const nested = `${'['.repeat(5_000)}${']'.repeat(5_000)}`
    expect(() => reader.read(handMade(nested), reception)).toThrow(
      '[INVALID_AVRO] The schema is not JSON, or nested too deep.',
    )
    let list: unknown = { next: null }
    for (let level = 0; level < 40; level++) list = { next: list }
    const recursive = schemaOf({
      list: { type: 'record', name: 'List', fields: [{ name: 'next', type: ['null', 'List'] }] },
    })
    const body = await container([{ ...valid, list }], recursive)
    expect(() => reader.read(body, reception)).toThrow('nested deeper')
  })

  it.each([
    '{"type":"record"',
    '"Unknown"',
    '{"type":"record","name":"E","fields":[{"name":"x","type":"Unknown"}]}',
    '7',
  ])('may not have %s for a schema', (schema) =>
    expect(() => reader.read(handMade(schema), reception)).toThrow('[INVALID_AVRO]'),
  )
})

/** A container with this text as its schema, and one value. */
function handMade(schema: string, data: Buffer = Buffer.alloc(0)): Buffer {
  const metadata = avsc.Type.forSchema({ type: 'map', values: 'bytes' }).toBuffer({
    'avro.schema': Buffer.from(schema),
  })
  const long = avsc.Type.forSchema('long')
  const sync = Buffer.alloc(16)
  return Buffer.concat([
    Buffer.from('Obj\u0001'),
    metadata,
    sync,
    long.toBuffer(1),
    long.toBuffer(data.length),
    data,
    sync,
  ])
}

/** What Kafka gets of a record: two of them are the same wherever their bytes lie. */
function contentOf({ topic, partition, key, value, timestamp }: OutgoingRecord) {
  return { topic, partition, key, value, timestamp }
}

describe('Avro and JSON', () => {
  it('take the same events for good, and make the same records of them', async () => {
    const json = new EventReader(topic)
    const string = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 30 }), fc.constantFrom('', 'a b', 'é', '\u0007'))
    const event = fc.record({
      event_id: string,
      user_id: string,
      event_type: string,
      timestamp: fc.oneof(fc.integer({ min: -5, max: nowMs / 1000 }), fc.integer({ min: 1e11, max: nowMs + 1e6 })),
      metadata: fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 5 }), async (events) => {
        const values = events.map((each) => ({ ...each, metadata: JSON.stringify(each.metadata) }))
        // What UTF-8 cannot carry, JSON writes as an escape; an Avro text cannot hold it.
        fc.pre(values.every((value) => Object.values(value).every((field) => String(field).isWellFormed())))
        const body = `[${events.map((each, i) => JSON.stringify({ ...each, metadata: 0 }).replace(/0}$/, () => `${values[i]?.metadata}}`)).join()}]`
        const fromJson = json.read(Buffer.from(body), 'json', reception)
        const fromAvro = reader.read(await container(values), reception)
        expect(fromAvro.records.map(contentOf)).toEqual(fromJson.records.map(contentOf))
        expect(fromAvro.rejectedItems).toBe(fromJson.rejectedItems)
      }),
      { numRuns: 200 },
    )
  })
})
