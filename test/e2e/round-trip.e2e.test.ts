import { randomUUID } from 'node:crypto'
import { promisify } from 'node:util'
import { gzip, zstdCompress } from 'node:zlib'
import avsc from 'avsc'
import fc from 'fast-check'
import { beforeAll, expect, it } from 'vitest'
import { anyEvents, type EventText } from './any-event.ts'
import { type Answer, eventually, GatewayClient } from './gateway-client.ts'

/** Printed with a counterexample, and in the test's name. */
const seed = 20_261_121
const runsCount = 4
const eventsPerBody = 12
/** For events that the store did not have yet when the gateway had waited for it. */
const storedDeadlineMs = 45_000
const run = randomUUID().slice(0, 8)

/** A way to write events into the body of a request. */
interface Encoding {
  readonly name: string
  /** Of the 32 levels that a body may have, those that are left for metadata. */
  readonly metadataLevelsMax: number
  /** Several bodies when one holds one event. */
  bodies(events: readonly EventText[]): Promise<readonly Buffer[]>
  readonly headers: Readonly<Record<string, string>>
}

const json = { 'content-type': 'application/json' }
const ndjson = { 'content-type': 'application/x-ndjson; charset=utf-8' }
const gzipped = { 'content-encoding': 'gzip' }
const zstandard = { 'content-encoding': 'zstd' }

const encodings: readonly Encoding[] = [
  { name: 'single', metadataLevelsMax: 31, bodies: async (events) => events.map(bytesOf), headers: json },
  { name: 'array', metadataLevelsMax: 30, bodies: async (events) => [arrayOf(events)], headers: json },
  { name: 'ndjson', metadataLevelsMax: 31, bodies: async (events) => [linesOf(events)], headers: ndjson },
  {
    name: 'array-gzip',
    metadataLevelsMax: 30,
    bodies: async (events) => [await promisify(gzip)(arrayOf(events))],
    headers: { ...json, ...gzipped },
  },
  {
    name: 'ndjson-zstd',
    metadataLevelsMax: 31,
    bodies: async (events) => [await promisify(zstdCompress)(linesOf(events))],
    headers: { ...ndjson, ...zstandard },
  },
  ...(['null', 'deflate', 'zstandard'] as const).map((codec) => ({
    name: `avro-${codec}`,
    metadataLevelsMax: 32,
    bodies: async (events: readonly EventText[]) => [await containerOf(events, codec)],
    headers: { 'content-type': 'application/avro' },
  })),
]

let producer: GatewayClient
let analyst: GatewayClient

beforeAll(async () => {
  producer = await GatewayClient.as('producer')
  analyst = await GatewayClient.as('analyst')
})

it(`every event that is accepted comes back unchanged, however it was sent (seed ${seed})`, async () => {
  let accepted = 0
  let pass = 0
  const bodies = encodings.map(({ metadataLevelsMax }) =>
    anyEvents({ eventType: '', metadataLevelsMax }, eventsPerBody),
  )
  await fc.assert(
    fc.asyncProperty(fc.tuple(...bodies), async (perEncoding) => {
      pass++
      const all = perEncoding.map((events, i) => {
        const encoding = encodings[i]
        if (encoding === undefined) throw new RangeError('an encoding for each list')
        return roundTrip(
          encoding,
          events.map((event) => ({ ...event, event_type: `${run} ${pass} ${encoding.name}` })),
        )
      })
      for (const count of await Promise.all(all)) accepted += count
    }),
    // What comes back late cannot be made smaller in good time: the first counterexample is the last.
    { seed, numRuns: runsCount, endOnFailure: true },
  )
  const sent = runsCount * encodings.length * eventsPerBody
  expect(accepted, 'most events are taken, or this shows nothing').toBeGreaterThan(sent / 2)
}, 180_000)

/** Sends the events and reads them back; answers how many were accepted. */
async function roundTrip({ name, headers, bodies }: Encoding, events: readonly EventText[]): Promise<number> {
  const good = events.filter(({ refusal }) => refusal === undefined)
  const answers = await Promise.all((await bodies(events)).map((body) => post(new Uint8Array(body), headers)))
  expect(refusalsOf(answers), name).toEqual(events.map(({ refusal }) => refusal))
  // What was answered with 200 is there at the first look; a store that is behind is waited for.
  const withinMs = answers.some(({ status }) => status === 202) ? storedDeadlineMs : 0
  const ids = good.map(({ event_id }) => event_id).sort()
  const found = await eventually(
    withinMs,
    () => storedOf(events[0]?.event_type ?? ''),
    (stored) => expect([...stored.keys()].sort(), name).toEqual(ids),
  )
  for (const event of good) expect(found.get(event.event_id), name).toEqual(expectedOf(event))
  return good.length
}

function post(body: Uint8Array<ArrayBuffer>, headers: Encoding['headers']): Promise<Answer> {
  return producer.postBytes('/events?wait=stored', body, headers)
}

/** Why each event was refused, undefined for those that are stored: of one answer to all, or of an answer to each. */
function refusalsOf(answers: readonly Answer[]): readonly (string | undefined)[] {
  const [first] = answers
  if (answers.length > 1 || first === undefined) return answers.map((answer) => refusalOf(answer))
  expect([200, 202], first.text).toContain(first.status)
  const refusals = new Array(eventsPerBody).fill(undefined)
  for (const { index, code } of first.body.rejected) refusals[index] = code
  return refusals
}

function refusalOf({ status, body, text }: Answer): string | undefined {
  if (status === 200 || status === 202) return undefined
  expect([status, body.code], text).toEqual([400, 'NO_VALID_ITEM'])
  return codeOf(body.errors[0].detail)
}

/** A problem document says in words what the rejections of a batch have as a code. */
function codeOf(detail: string): string {
  const codes = {
    TOO_DEEP: /nested deeper/,
    WRONG_LENGTH: /at most 65536 bytes/,
    NUL_CHARACTER: /U\+0000/,
    LONE_SURROGATE: /other half/,
    NUMBER_NOT_EXACT: /2\^53|64-bit/,
    DUPLICATE_KEY: /more than once/,
  }
  const found = Object.entries(codes).find(([, pattern]) => pattern.test(detail))
  return found?.[0] ?? detail
}

/** What `GET /events` must show of an event. */
function expectedOf({ event_id, user_id, event_type, timestamp, metadata }: EventText) {
  const timestampMs = timestamp >= 1e11 ? timestamp : timestamp * 1_000
  const { value } = JSON.parse(metadata)
  return {
    event_id,
    user_id,
    event_type,
    timestamp: timestampMs,
    occurred_at: new Date(timestampMs).toISOString(),
    // JSON as JavaScript writes it has no −0.
    value: typeof value === 'number' ? value + 0 : null,
    metadata,
  }
}

/** All events of a type, page by page, with their metadata as the text that it is. */
async function storedOf(eventType: string): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>()
  let cursor: string | null = null
  do {
    const query = new URLSearchParams({ event_type: eventType, limit: '5', ...(cursor === null ? {} : { cursor }) })
    const { status, body, text }: Answer = await analyst.get(`/events?${query}`)
    expect(status, text).toBe(200)
    const texts = metadataTexts(text)
    for (const [i, event] of body.events.entries()) {
      expect(JSON.parse(texts[i] ?? '')).toEqual(event.metadata)
      expect(found.has(event.event_id), 'each event comes once').toBe(false)
      found.set(event.event_id, { ...event, metadata: texts[i] })
    }
    cursor = body.next_cursor
  } while (cursor !== null)
  return found
}

/**
 * The metadata of a page's events as they stand in the answer, where they are the last member of each event. Inside of a string the quotes of the
 * words that are looked for would be escaped; metadata that holds such a member itself is passed over whole.
 */
function metadataTexts(page: string): readonly string[] {
  const texts: string[] = []
  const member = ',"metadata":'
  for (let at = page.indexOf(member); at >= 0; at = page.indexOf(member, at)) {
    const start = at + member.length
    at = endOfObject(page, start)
    texts.push(page.slice(start, at))
  }
  return texts
}

function endOfObject(text: string, start: number): number {
  let [depth, isString] = [0, false]
  for (let at = start; at < text.length; at++) {
    const character = text[at]
    if (isString && character === '\\') at++
    else if (character === '"') isString = !isString
    else if (!isString && (character === '{' || character === '[')) depth++
    else if (!isString && (character === '}' || character === ']') && --depth === 0) return at + 1
  }
  throw new RangeError('the object has no end')
}

function textOf({ event_id, user_id, event_type, timestamp, metadata }: EventText): string {
  // The metadata goes in as text: printed by JSON.stringify it would lose what this is about.
  const head = JSON.stringify({ event_id, user_id, event_type, timestamp })
  return `${head.slice(0, -1)},"metadata":${metadata}}`
}

const bytesOf = (event: EventText) => Buffer.from(textOf(event))
const arrayOf = (events: readonly EventText[]) => Buffer.from(`[${events.map(textOf).join(', ')}]`)
const linesOf = (events: readonly EventText[]) => Buffer.from(events.map(textOf).join('\r\n'))

/** A container as another program writes it, with its fields in an order of its own. */
async function containerOf(events: readonly EventText[], codec: 'null' | 'deflate' | 'zstandard'): Promise<Buffer> {
  const fields = ['metadata', 'event_id', 'event_type', 'user_id'].map((name) => ({ name, type: 'string' }))
  const type = avsc.Type.forSchema({
    type: 'record',
    name: 'Sent',
    fields: [...fields, { name: 'timestamp', type: 'long' }],
  })
  const codecs = {
    ...avsc.streams.BlockEncoder.defaultCodecs(),
    zstandard: (data: Buffer, done: (error: Error | null, data: Buffer) => void) => zstdCompress(data, done),
  }
  const encoder = new avsc.streams.BlockEncoder(type, { codec, codecs, blockSize: 2_000, writeHeader: 'always' })
  const chunks: Buffer[] = []
  encoder.on('data', (chunk: Buffer) => chunks.push(chunk))
  const ended = new Promise((resolve) => encoder.on('end', resolve))
  for (const { refusal, ...event } of events) encoder.write(event)
  encoder.end()
  await ended
  return Buffer.concat(chunks)
}
