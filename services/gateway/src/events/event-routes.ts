import { createCodec } from '@millrace/schemas'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { type Fault, GatewayError } from '../errors.ts'
import { mediaTypeOf, takeBytes } from '../http/body.ts'
import { entityTagOf, isKnown } from '../http/entity-tag.ts'
import { type GatewayApp, principalOf } from '../http/gateway-app.ts'
import { compileValidator, invalidParameter } from '../http/validation.ts'
import { type Durability, durabilities, durabilityDescription } from '../kafka/ports.ts'
import {
  batchBodyBytesMax,
  eventIdCharsMax,
  eventsPageDefault,
  eventsPageMax,
  eventsPerRequestMax,
  queryCharsMax,
  receiptRecordsMax,
  storedWaitMsMax,
} from '../limits.ts'
import { exampleCursor, translateBadCursor } from '../schema/cursor.ts'
import { problemResponses } from '../schema/response.ts'
import { readTimeRange, timeParameter } from '../schema/time.ts'
import { AvroEventReader } from './avro-event-reader.ts'
import { type EventBatch, rejectionCodes } from './event-batch.ts'
import type { EventTopic, Reception } from './event-encoder.ts'
import { EventReader } from './event-reader.ts'
import { EventBodies } from './event-schema.ts'
import type { EventIntake, EventReceipt, EventStore, KeptEvent } from './ports.ts'
import { marksOf, type ReadMark, type StoredWatch } from './stored-watch.ts'

/** What the event routes need. */
export interface EventRoutesDeps {
  readonly events: EventIntake
  readonly eventStore: EventStore
  readonly watch: StoredWatch
  readonly onItems: (accepted: number, rejected: number) => void
}

const exampleId = '0190c5a4-5c1e-7d3a-9f6b-2f6f0e6a7b11'

/** How events may be written. */
const eventMediaTypes = ['application/json', 'application/x-ndjson', 'application/avro', 'avro/binary'] as const

const acceptedShape = Type.Object({
  accepted: Type.Integer(),
  event_ids: Type.Optional(
    Type.Array(Type.Object({ index: Type.Integer(), event_id: Type.String() }), {
      description: 'The ids of those accepted events that came without one.',
    }),
  ),
  rejected: Type.Array(
    Type.Object({
      index: Type.Integer({ description: 'Place in the array or container, or line of the NDJSON, from 0.' }),
      code: Type.Enum([...rejectionCodes]),
      pointer: Type.String(),
      detail: Type.String(),
    }),
  ),
  durability: Type.Enum([...durabilities, 'stored'], {
    description: `${durabilityDescription} stored: the event store has it as well.`,
  }),
})

const Accepted = Type.Object(acceptedShape.properties, {
  title: 'EventsTaken',
  description: 'Every accepted event is safe, in Kafka or on the disk.',
  examples: [
    {
      accepted: 2,
      rejected: [{ index: 1, code: 'WRONG_TYPE', pointer: '/1/timestamp', detail: 'must be a number; it is a string' }],
      durability: 'kafka',
    },
    { accepted: 1, event_ids: [{ index: 0, event_id: exampleId }], rejected: [], durability: 'spooled' },
  ],
})
const StoredNow = Type.Object(acceptedShape.properties, {
  title: 'EventsTaken',
  description: 'With `wait=stored`: the event store has every accepted event as well.',
  examples: [{ accepted: 1, rejected: [], durability: 'stored' }],
})

const PostQuery = Type.Object(
  {
    wait: Type.Optional(
      Type.Enum(['stored'], {
        examples: ['stored'],
        description: `Waits up to ${storedWaitMsMax / 1_000} s until GET /events shows the events: then 200, otherwise 202.`,
      }),
    ),
  },
  { additionalProperties: false },
)

const Receipt = Type.Object(
  {
    event_id: Type.String(),
    status: Type.Enum(['stored']),
    records: Type.Array(
      Type.Object({
        topic: Type.String(),
        partition: Type.Integer(),
        offset: Type.Integer(),
        received_at: Type.Integer({ description: 'When this service took it in, UNIX milliseconds.' }),
        user_id: Type.String(),
        event_type: Type.String(),
        timestamp: Type.Integer(),
      }),
      {
        description: `The one received last first, at most ${receiptRecordsMax}: several when an id was sent several times.`,
      },
    ),
  },
  {
    title: 'EventReceipt',
    description: 'The records of Kafka that the event was stored from.',
    examples: [
      {
        event_id: 'e-1',
        status: 'stored',
        records: [
          {
            topic: 'events',
            partition: 2,
            offset: 41_823,
            received_at: 1_764_000_001_000,
            user_id: 'u-1',
            event_type: 'purchase',
            timestamp: 1_764_000_000_000,
          },
        ],
      },
    ],
  },
)

const EventsQuery = Type.Object(
  {
    user_id: Type.Optional(Type.String({ minLength: 1, maxLength: queryCharsMax, examples: ['u-1'] })),
    event_type: Type.Optional(Type.String({ minLength: 1, maxLength: queryCharsMax, examples: ['purchase'] })),
    from: Type.Optional(timeParameter('Inclusive.', '2025-11-24')),
    to: Type.Optional(timeParameter('Exclusive.', '2025-11-25T12:00:00Z')),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: eventsPageMax, default: eventsPageDefault, examples: [20] }),
    ),
    cursor: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: queryCharsMax * 2,
        description: 'next_cursor of the page before.',
        examples: [exampleCursor],
      }),
    ),
  },
  { additionalProperties: false },
)

const StoredEvent = Type.Object(
  {
    event_id: Type.String(),
    user_id: Type.String(),
    event_type: Type.String(),
    timestamp: Type.Integer({ description: 'UNIX milliseconds.' }),
    occurred_at: Type.String({ description: 'The same, ISO 8601.' }),
    value: Type.Unsafe<number | null>({ type: ['number', 'null'] }),
    metadata: Type.Object({}, { additionalProperties: true }),
  },
  { title: 'StoredEvent' },
)

const EventsPage = Type.Object(
  {
    events: Type.Array(StoredEvent),
    next_cursor: Type.Unsafe<string | null>({ type: ['string', 'null'], description: 'null on the last page.' }),
  },
  {
    title: 'EventsPage',
    description: 'A page of events, newest first.',
    examples: [
      {
        events: [
          {
            event_id: 'e-1',
            user_id: 'u-1',
            event_type: 'purchase',
            timestamp: 1_764_000_000_000,
            occurred_at: '2025-11-24T16:00:00.000Z',
            value: 12.5,
            metadata: { value: 12.5, currency: 'EUR' },
          },
        ],
        next_cursor: null,
      },
    ],
  },
)

/** Takes events in, and reads them back. Registered once under the API's prefix, and once at the root, where `documented` is false. */
export function registerEventRoutes(app: GatewayApp, deps: EventRoutesDeps & { readonly documented: boolean }): void {
  const read = bodyReader(deps.events.topic)
  const readMark = markReader(deps.events.topic)
  const hide = !deps.documented

  // This scope takes bodies as bytes: they are read in place, not parsed into objects first.
  app.removeAllContentTypeParsers()
  const takeBody = (request: FastifyRequest, body: Buffer, done: (error: Error | null, body?: Buffer) => void) => {
    try {
      takeBytes(request, body)
      done(null, body)
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)))
    }
  }
  app.addContentTypeParser([...eventMediaTypes], { parseAs: 'buffer' }, takeBody)

  app.route({
    method: 'POST',
    url: '/events',
    bodyLimit: batchBodyBytesMax,
    config: { access: 'events:write' },
    // The reader checks the body; the schema is for the document, and a test holds the one to the other.
    validatorCompiler: (route) => (route.httpPart === 'body' ? () => true : compileValidator(route)),
    schema: {
      hide,
      tags: ['events'],
      ...(hide ? {} : { operationId: 'postEvents' }),
      summary: 'Takes one event, an array of events, one event per line (NDJSON), or an Avro object container',
      description: `At most ${eventsPerRequestMax} events in 8 MiB. Valid events are taken although others of the request are not; each of those is named with every fault.`,
      querystring: PostQuery,
      body: { content: EventBodies },
      response: {
        200: StoredNow,
        202: Accepted,
        ...problemResponses(
          'INVALID_PARAMETER',
          'INVALID_JSON',
          'INVALID_AVRO',
          'INVALID_COMPRESSION',
          'INVALID_BODY',
          'NO_VALID_ITEM',
          'UNAUTHENTICATED',
          'FORBIDDEN',
          'BODY_TOO_LARGE',
          'UNSUPPORTED_MEDIA_TYPE',
          'RATE_LIMITED',
          'KAFKA_UNAVAILABLE',
          'SPILL_UNAVAILABLE',
          'OVERLOADED',
        ),
      },
    },
    handler: async (request, reply) => {
      const body: unknown = request.body
      if (!Buffer.isBuffer(body)) throw new GatewayError('INVALID_BODY', 'The body must hold at least one event.')
      const reception = { receivedAtMs: request.receivedAtMs, source: principalOf(request).id }
      const batch = read(body, mediaTypeOf(request), reception)
      noteItems(request, batch, deps)
      if (batch.records.length === 0) throw noValidEvent(batch)
      const durability = await deps.events.sender.send(batch.records)
      if (request.query.wait !== 'stored' || durability !== 'kafka') return sendAccepted(reply, batch, durability)
      const isStored = await deps.watch.wait(marksOf(batch.records, readMark))
      return sendAccepted(reply, batch, isStored ? 'stored' : durability)
    },
  })

  app.route({
    method: 'GET',
    url: '/events',
    config: { access: 'events:read' },
    schema: {
      hide,
      tags: ['events'],
      ...(hide ? {} : { operationId: 'getEvents' }),
      summary: 'Stored events, newest first',
      description: 'Pages have an ETag: sent as If-None-Match, the answer is 304 when the page is still the same.',
      querystring: EventsQuery,
      response: {
        200: EventsPage,
        304: Type.Unsafe<undefined>({ type: 'null', description: 'As it was when its ETag was given out.' }),
        ...problemResponses('INVALID_PARAMETER', 'UNAUTHENTICATED', 'FORBIDDEN', 'RATE_LIMITED', 'STORE_UNAVAILABLE'),
      },
    },
    handler: async (request, reply) => {
      const { query, signal } = request
      const faults: Fault[] = []
      const range = readTimeRange(query, faults)
      if (faults.length > 0) throw invalidParameter(faults)
      const { user_id: userId, event_type: eventType, limit = eventsPageDefault, cursor } = query
      const listing = { userId, eventType, ...range, limit, cursor, signal }
      const page = await translateBadCursor(() => deps.eventStore.page(listing))
      const text = pageText(page)
      const etag = entityTagOf(text)
      reply.header('etag', etag)
      if (isKnown(request.headers['if-none-match'], etag)) return reply.code(304).send()
      return sendJson(reply, text)
    },
  })

  app.route({
    method: 'GET',
    url: '/events/:event_id/receipt',
    config: { access: 'events:read' },
    schema: {
      hide,
      tags: ['events'],
      ...(hide ? {} : { operationId: 'getEventReceipt' }),
      summary: 'Where an event is now',
      description:
        'By its id: its record in Kafka, once the event store has it. Until then, and for ids that nobody sent: 404.',
      params: Type.Object({
        event_id: Type.String({ minLength: 1, maxLength: eventIdCharsMax, examples: ['e-1'] }),
      }),
      response: {
        200: Receipt,
        ...problemResponses(
          'INVALID_PARAMETER',
          'UNAUTHENTICATED',
          'FORBIDDEN',
          'EVENT_NOT_FOUND',
          'RATE_LIMITED',
          'STORE_UNAVAILABLE',
        ),
      },
    },
    handler: async ({ params }) => {
      const found = await deps.eventStore.receipts(params.event_id, receiptRecordsMax)
      if (found.length === 0) {
        throw new GatewayError('EVENT_NOT_FOUND', 'The event store has no event with this id, or not yet.')
      }
      const records = found.map((record) => toReceipt(deps.events.topic.topic, record))
      return { event_id: params.event_id, status: 'stored' as const, records }
    },
  })
}

type ReadBody = (body: Buffer, mediaType: string, reception: Reception) => EventBatch

/** Reads a body by its media type, which is one of `eventMediaTypes`. */
function bodyReader(topic: EventTopic): ReadBody {
  const json = new EventReader(topic)
  const avro = new AvroEventReader(topic)
  return (body, mediaType, reception) => {
    if (mediaType.startsWith('application/json')) return json.read(body, 'json', reception)
    if (mediaType.startsWith('application/x-ndjson')) return json.read(body, 'ndjson', reception)
    return avro.read(body, reception)
  }
}

/** Reads back what was written, of the few records that are waited for. */
function markReader({ schemaId }: EventTopic): ReadMark {
  const codec = createCodec('event', schemaId)
  return ({ value }) => {
    const { event_id, user_id, event_type, timestamp, received_at } = codec.decode(value ?? Buffer.alloc(0))
    const ids = { eventId: event_id, userId: user_id, eventType: event_type }
    return { ...ids, timestampMs: timestamp, receivedAtMs: received_at }
  }
}

function toReceipt(topic: string, record: EventReceipt) {
  return {
    topic,
    partition: record.partition,
    offset: record.offset,
    received_at: record.receivedAtMs,
    user_id: record.userId,
    event_type: record.eventType,
    timestamp: record.timestampMs,
  }
}

function noteItems(request: FastifyRequest, batch: EventBatch, deps: EventRoutesDeps): void {
  request.itemsAccepted = batch.records.length
  request.itemsRejected = batch.rejectedItems
  deps.onItems(batch.records.length, batch.rejectedItems)
}

function noValidEvent({ rejected }: EventBatch): GatewayError {
  const faults = rejected.map(({ pointer, detail }) => ({ in: 'body' as const, pointer, detail }))
  return new GatewayError('NO_VALID_ITEM', 'Not one event of the body is valid: nothing was taken.', { faults })
}

function sendAccepted(reply: FastifyReply, batch: EventBatch, durability: Durability | 'stored'): FastifyReply {
  const { records, givenIds, rejected } = batch
  const ids = givenIds.length === 0 ? {} : { event_ids: givenIds }
  return reply
    .code(durability === 'stored' ? 200 : 202)
    .send({ accepted: records.length, ...ids, rejected, durability })
}

/** Written by hand, because metadata goes out as the text that came in, not parsed and written anew. */
function pageText(page: { readonly events: readonly KeptEvent[]; readonly nextCursor: string | null }): string {
  return `{"events":[${page.events.map(eventText).join(',')}],"next_cursor":${JSON.stringify(page.nextCursor)}}`
}

function eventText(event: KeptEvent): string {
  const head = JSON.stringify({
    event_id: event.eventId,
    user_id: event.userId,
    event_type: event.eventType,
    timestamp: event.timestampMs,
    occurred_at: new Date(event.timestampMs).toISOString(),
    value: event.value,
  })
  return `${head.slice(0, -1)},"metadata":${metadataText(event.metadata)}}`
}

/** Records that another program wrote to the topic may hold any text: what is not an object goes out as an object that says so. */
function metadataText(text: string): string {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return text
  } catch {
    // Answered below, like any other text that is no object.
  }
  return JSON.stringify({ not_an_object: text })
}

function sendJson(reply: FastifyReply, text: string): FastifyReply {
  return reply.type('application/json; charset=utf-8').send(text)
}
