import { createCodec } from '@millrace/schemas'
import { partitionOfKey } from '@millrace/streams'
import fc from 'fast-check'
import { Compile } from 'typebox/compile'
import { describe, expect, it } from 'vitest'
import { eventsPerRequestMax, metadataBytesMax } from '../limits.ts'
import { EventReader } from './event-reader.ts'
import { EventInput } from './event-schema.ts'

const nowMs = Date.UTC(2026, 0, 1)
const reception = { receivedAtMs: nowMs, source: 'user-7' }
const codec = createCodec('event', 7)
const topic = { topic: 'events', partitions: 4, schemaId: 7, partitionOf: partitionOfKey }
const reader = new EventReader(topic)

function read(body: unknown, format: 'json' | 'ndjson' = 'json') {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const batch = reader.read(Buffer.from(text), format, reception)
  const events = batch.records.map(({ value }) => ({ ...codec.decode(value ?? Buffer.alloc(0)) }))
  return { ...batch, events }
}

const valid = {
  event_id: 'e-1',
  user_id: 'u-1',
  event_type: 'page_view',
  timestamp: 1_700_000_000,
  metadata: { value: 2.5, page: '/' },
}

describe('one event', () => {
  it('is taken with its metadata as it was written', () => {
    const text =
      '{"metadata": {"page" :"/caf\\u00e9", "n":1e2,\n"value": 2.50}, "timestamp":1700000000,"event_type":"page_view","user_id":"u-1","event_id":"e-1"}'
    expect(read(text).events).toEqual([
      {
        event_id: 'e-1',
        user_id: 'u-1',
        event_type: 'page_view',
        timestamp: 1_700_000_000_000,
        value: 2.5,
        metadata: '{"page" :"/caf\\u00e9", "n":1e2,\n"value": 2.50}',
        received_at: nowMs,
        source: 'user-7',
      },
    ])
  })

  it.each([
    [1_700_000_000, 1_700_000_000_000],
    [0, 0],
    [1_700_000_000_123, 1_700_000_000_123],
    [100_000_000_000, 100_000_000_000],
  ])('reads the time %d as %d ms', (timestamp, ms) => {
    expect(read({ ...valid, timestamp }).events[0]?.timestamp).toBe(ms)
  })

  it.each([
    [{ value: 3 }, 3],
    [{ value: '3' }, null],
    [{ value: null }, null],
    [{ amount: 3 }, null],
    [{ nested: { value: 3 } }, null],
    [{}, null],
  ])('takes the value of %j as %j', (metadata, value) => {
    expect(read({ ...valid, metadata }).events[0]?.value).toBe(value)
  })

  it.each([
    [{ event_id: 7 }, 'WRONG_TYPE', '/event_id', 'must be a string; it is a number'],
    [{ event_id: '' }, 'WRONG_LENGTH', '/event_id', 'must have 1 to 128 characters; it has 0'],
    [{ user_id: 'x'.repeat(129) }, 'WRONG_LENGTH', '/user_id', 'must have 1 to 128 characters; it has 129'],
    [{ user_id: 'a\nb' }, 'BAD_CHARACTERS', '/user_id', 'must not hold control characters'],
    [{ user_id: 'caf\u00e9\u0085' }, 'BAD_CHARACTERS', '/user_id', 'must not hold control characters'],
    [{ user_id: 'a\u007f' }, 'BAD_CHARACTERS', '/user_id', 'must not hold control characters'],
    [{ user_id: 'é'.repeat(129) }, 'WRONG_LENGTH', '/user_id', 'must have 1 to 128 characters; it has 129'],
    [{ user_id: null }, 'WRONG_TYPE', '/user_id', 'must be a string; it is null'],
    [{ event_type: 'a@10s' }, 'BAD_CHARACTERS', '/event_type', undefined],
    [{ event_type: ' a' }, 'BAD_CHARACTERS', '/event_type', undefined],
    [{ timestamp: '1700000000' }, 'WRONG_TYPE', '/timestamp', 'must be a number; it is a string'],
    [{ timestamp: 1.5 }, 'OUT_OF_RANGE', '/timestamp', undefined],
    [{ timestamp: -1 }, 'OUT_OF_RANGE', '/timestamp', undefined],
    [{ timestamp: nowMs + 300_001 }, 'OUT_OF_RANGE', '/timestamp', undefined],
    [{ metadata: [] }, 'WRONG_TYPE', '/metadata', 'must be an object; it is an array'],
    [{ metadata: '{}' }, 'WRONG_TYPE', '/metadata', 'must be an object; it is a string'],
    [{ metadata: { a: 'x'.repeat(metadataBytesMax) } }, 'WRONG_LENGTH', '/metadata', undefined],
    [{ properties: {} }, 'UNKNOWN_FIELD', '/properties', 'is not a field of an event: put it into "metadata"'],
    [{ metadata: { a: '\ud800' } }, 'LONE_SURROGATE', '/metadata/a', undefined],
    [{ metadata: { a: [0, '\u0000'] } }, 'NUL_CHARACTER', '/metadata/a/1', undefined],
  ])('with %j is refused', (change, code, pointer, detail) => {
    const batch = read({ ...valid, ...change })
    expect(batch.events).toEqual([])
    expect(batch.rejected).toMatchObject([{ index: 0, code, pointer, ...(detail === undefined ? {} : { detail }) }])
  })

  it('is refused for what JSON.parse would bend', () => {
    const base = JSON.stringify(valid).slice(1)
    expect(read(`{"event_id":"other",${base}`).rejected).toMatchObject([
      { code: 'DUPLICATE_KEY', pointer: '/event_id' },
    ])
    const rounded = JSON.stringify(valid).replace('2.5', '9007199254740993')
    expect(read(rounded).rejected).toMatchObject([{ code: 'NUMBER_NOT_EXACT', pointer: '/metadata/value' }])
    const deep = JSON.stringify(valid).replace('2.5', `${'['.repeat(40)}${']'.repeat(40)}`)
    expect(read(deep).rejected).toMatchObject([{ code: 'TOO_DEEP', pointer: `/metadata/value${'/0'.repeat(30)}` }])
  })

  it('has all of its faults named', () => {
    const batch = read({ event_id: 1, timestamp: 'x', extra: true })
    expect(batch.rejected.map(({ code, pointer }) => [code, pointer])).toEqual([
      ['WRONG_TYPE', '/event_id'],
      ['WRONG_TYPE', '/timestamp'],
      ['UNKNOWN_FIELD', '/extra'],
      ['MISSING_FIELD', '/user_id'],
      ['MISSING_FIELD', '/event_type'],
      ['MISSING_FIELD', '/metadata'],
    ])
    expect(batch.rejectedItems).toBe(1)
  })
})

describe('an event without an id', () => {
  const { event_id: _, ...anonymous } = valid

  it('gets a UUID of version 7, which the answer names', () => {
    const batch = read([anonymous, valid, anonymous])
    expect(batch.givenIds.map(({ index }) => index)).toEqual([0, 2])
    expect(batch.events.map(({ event_id }) => event_id)).toEqual([
      batch.givenIds[0]?.event_id,
      'e-1',
      batch.givenIds[1]?.event_id,
    ])
    for (const { event_id } of batch.givenIds) {
      expect(event_id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      expect(Number.parseInt(event_id.replace('-', '').slice(0, 12), 16)).toBe(nowMs)
    }
  })

  it('gets another one each time', () => {
    const ids = Array.from({ length: 100 }, () => read(new Array(10).fill(anonymous)).givenIds).flat()
    expect(new Set(ids.map(({ event_id }) => event_id)).size).toBe(1_000)
  })

  it('gets none when it is refused, and an empty id is no missing one', () => {
    expect(read({ ...anonymous, user_id: 1 })).toMatchObject({ givenIds: [], rejectedItems: 1 })
    expect(read({ ...valid, event_id: null }).rejected).toMatchObject([{ code: 'WRONG_TYPE', pointer: '/event_id' }])
    expect(read(`${JSON.stringify(anonymous)} x`, 'ndjson')).toMatchObject({ givenIds: [], records: [] })
  })
})

describe('an array', () => {
  it('has its valid events taken and the others named by index', () => {
    const batch = read([valid, { ...valid, user_id: 1, event_type: '@' }, 'text', { ...valid, event_id: 'e-2' }])
    expect(batch.events.map((event) => event.event_id)).toEqual(['e-1', 'e-2'])
    expect(batch.rejected.map(({ index, code, pointer }) => [index, code, pointer])).toEqual([
      [1, 'WRONG_TYPE', '/1/user_id'],
      [1, 'BAD_CHARACTERS', '/1/event_type'],
      [2, 'WRONG_TYPE', '/2'],
    ])
    expect(batch.rejectedItems).toBe(2)
  })

  it.each(['[', `[${JSON.stringify(valid)},]`, `[${JSON.stringify(valid)}] x`, `[${JSON.stringify(valid)}`])(
    'that is not JSON is refused as a whole: %#',
    (text) => expect(() => read(text)).toThrow('[INVALID_JSON]'),
  )

  it('must hold 1 to 10,000 events', () => {
    expect(() => read([])).toThrow('[INVALID_BODY] The body must hold at least one event.')
    expect(() => read('3')).toThrow('[INVALID_BODY] The body must be an event, or an array of events; it is a number.')
    expect(read(new Array(eventsPerRequestMax).fill(valid)).events).toHaveLength(eventsPerRequestMax)
    expect(() => read(new Array(eventsPerRequestMax + 1).fill(valid))).toThrow('[BODY_TOO_LARGE]')
  })

  it('has every wrong item listed, even when there are too many faults to list', () => {
    const batch = read(new Array(eventsPerRequestMax).fill({}))
    expect(new Set(batch.rejected.map(({ index }) => index)).size).toBe(eventsPerRequestMax)
    expect(batch.rejected.length).toBeLessThan(eventsPerRequestMax * 5)
  })
})

describe('NDJSON', () => {
  it('loses only its bad lines', () => {
    const line = JSON.stringify(valid)
    const batch = read(`${line}\r\n\n${line.slice(0, -1)}\n  \n${line} x\n{"event_id":"only"}\n${line}`, 'ndjson')
    expect(batch.events).toHaveLength(2)
    const places = batch.rejected.map(({ index, code, pointer }) => [index, code, pointer])
    expect(places.slice(0, 3)).toEqual([
      [2, 'NOT_JSON', '/2'],
      [4, 'NOT_JSON', '/4'],
      [5, 'MISSING_FIELD', '/5/user_id'],
    ])
    expect(batch.rejectedItems).toBe(3)
  })

  it('must hold an event', () => {
    expect(() => read(' \n\r\n', 'ndjson')).toThrow('[INVALID_BODY] The body must hold at least one event.')
    expect(() => read(`${'{}\n'.repeat(eventsPerRequestMax + 1)}`, 'ndjson')).toThrow('[BODY_TOO_LARGE]')
  })
})

describe('the reader and the schema of the API document', () => {
  const schema = Compile(EventInput)
  const text = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 140 }),
    fc.constantFrom('a', 'a b', 'a@b', '', 'é', '\u0007', 'x'.repeat(128), 'x'.repeat(129)),
  )
  const anything = fc.oneof(text, fc.integer(), fc.constant(null), fc.constant([]), fc.constant({}), fc.boolean())
  const candidate = fc.record(
    {
      event_id: fc.oneof({ weight: 5, arbitrary: text }, anything),
      user_id: fc.oneof({ weight: 5, arbitrary: text }, anything),
      event_type: fc.oneof({ weight: 5, arbitrary: text }, anything),
      timestamp: fc.oneof(
        { weight: 5, arbitrary: fc.integer({ min: -10, max: 1_700_000_000 }) },
        fc.double(),
        anything,
      ),
      metadata: fc.oneof({ weight: 5, arbitrary: fc.dictionary(fc.string(), fc.integer()) }, anything),
      extra: anything,
    },
    { requiredKeys: [] },
  )

  it('agree on what an event is', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          candidate,
          candidate.map(({ extra, ...rest }) => ({ ...valid, ...rest })),
        ),
        (input) => {
          const json = JSON.parse(JSON.stringify(input))
          const inTime = typeof json.timestamp !== 'number' || json.timestamp < nowMs / 1000
          fc.pre(inTime)
          expect([json, read(json).events.length === 1]).toEqual([json, schema.Check(json)])
        },
      ),
      { numRuns: 2_000 },
    )
  })
})

describe('the whole way', () => {
  const id = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
    .filter((s) => /^[^\p{Cc}]+$/u.test(s) && s.isWellFormed())

  it('from JSON to a record and back gives the same event, as the codec writes it', () => {
    fc.assert(
      fc.property(
        id,
        id,
        fc.stringMatching(/^[A-Za-z0-9_$][A-Za-z0-9_$.:/-]{0,30}$/),
        fc.oneof(fc.integer({ min: 0, max: nowMs / 1000 }), fc.integer({ min: 1e11, max: nowMs })),
        fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 }), { maxKeys: 6 }),
        (event_id, user_id, event_type, timestamp, extra) => {
          const metadata = JSON.stringify(extra)
          const fields = JSON.stringify({ event_id, user_id, event_type, timestamp })
          const body = `${fields.slice(0, -1)},"metadata":${metadata}}`
          const batch = read(body)
          fc.pre(batch.rejected.every(({ code }) => code !== 'NUMBER_NOT_EXACT' && code !== 'NUL_CHARACTER'))
          const event = batch.events[0]
          expect(batch.rejected).toEqual([])
          if (event === undefined) return
          expect(JSON.parse(event.metadata)).toEqual(JSON.parse(metadata))
          expect([event.event_id, event.user_id, event.event_type]).toEqual([event_id, user_id, event_type])
          const record = batch.records[0]
          expect(record?.value).toEqual(codec.encode(event))
          const key = Buffer.from(user_id)
          expect(record).toMatchObject({ topic: 'events', partition: partitionOfKey(key, 4), key, timestamp: nowMs })
        },
      ),
      { numRuns: 500 },
    )
  })
})
