import { type Static, Type } from 'typebox'
import { eventIdCharsMax, eventsPerRequestMax, eventTypeCharsMax, userIdCharsMax } from '../limits.ts'

/** Letters, digits and `_ $ . : / -`, spaces inside; so never `@`, which separates the parts of a stats key. */
export const eventTypePattern = '^[A-Za-z0-9_$](?:[A-Za-z0-9_$.:/ -]*[A-Za-z0-9_$.:/-])?$'

/** No control characters (Unicode's Cc): ids are shown in tables, logs and URLs. */
export const idPattern = '^[^\\u0000-\\u001f\\u007f-\\u009f]+$'

const example = {
  event_id: 'e-1',
  user_id: 'u-1',
  event_type: 'purchase',
  timestamp: 1_764_000_000,
  metadata: { value: 12.5, currency: 'EUR' },
}
const other = { user_id: 'u-2', event_type: 'page_view', timestamp: 1_764_000_000_250, metadata: { page: '/pricing' } }

/**
 * An event as it is sent. The reader of `POST /events` is written by hand; a property test holds it to this schema, from which the API's
 * document is made.
 */
export const EventInput = Type.Object(
  {
    event_id: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: eventIdCharsMax,
        pattern: idPattern,
        description:
          'Your id of the event: an event that is sent again under the same id counts once in the event store. Without it the event gets a UUID, and counts each time it is sent.',
      }),
    ),
    user_id: Type.String({ minLength: 1, maxLength: userIdCharsMax, pattern: idPattern }),
    event_type: Type.String({
      minLength: 1,
      maxLength: eventTypeCharsMax,
      pattern: eventTypePattern,
      description: 'Letters, digits and _ $ . : / -, spaces inside.',
    }),
    timestamp: Type.Integer({
      minimum: 0,
      description: 'When it happened: UNIX seconds, or milliseconds from 10^11 on. At most 5 minutes in the future.',
    }),
    metadata: Type.Object(
      {},
      {
        additionalProperties: true,
        description: 'Any JSON object, kept as it was written. A number in "value" is what averages are made of.',
      },
    ),
  },
  {
    additionalProperties: false,
    title: 'Event',
  },
)
export type EventInput = Static<typeof EventInput>

/** An object container of one event, in base64; a test reads it. */
const container = [
  'T2JqAQQWYXZyby5zY2hlbWGSBHsidHlwZSI6InJlY29yZCIsIm5hbWUiOiJFdmVudCIsImZpZWxkcyI6W3sibmFtZSI6ImV2ZW50X2lkIiwidHlwZSI6InN0',
  'cmluZyJ9LHsibmFtZSI6InVzZXJfaWQiLCJ0eXBlIjoic3RyaW5nIn0seyJuYW1lIjoiZXZlbnRfdHlwZSIsInR5cGUiOiJzdHJpbmcifSx7Im5hbWUiOiJ0',
  'aW1lc3RhbXAiLCJ0eXBlIjp7InR5cGUiOiJsb25nIiwibG9naWNhbFR5cGUiOiJ0aW1lc3RhbXAtbWlsbGlzIn19LHsibmFtZSI6Im1ldGFkYXRhIiwidHlw',
  'ZSI6InN0cmluZyJ9XX0UYXZyby5jb2RlYwhudWxsAAABAgMEBQYHCAkKCwwNDg8CTAZlLTMGdS0xEHB1cmNoYXNlgKC/6dZmHHsidmFsdWUiOjEyLjV9AAEC',
  'AwQFBgcICQoLDA0ODw==',
].join('')

const avro = {
  schema: Type.Unsafe<Uint8Array>({
    description:
      'An Avro object container file whose records have the fields of an event, `metadata` as JSON text. The example is in base64; what is sent are its bytes.',
    examples: [container],
  }),
}

/** The forms in which `POST /events` takes events, for the API's document. */
export const EventBodies = {
  'application/json': {
    schema: Type.Union([EventInput, Type.Array(EventInput, { minItems: 1, maxItems: eventsPerRequestMax })], {
      examples: [example, [example, other]],
    }),
  },
  'application/x-ndjson': {
    schema: Type.String({
      description: 'One event per line.',
      examples: [`${JSON.stringify(example)}\n${JSON.stringify(other)}\n`],
    }),
  },
  'application/avro': avro,
  'avro/binary': avro,
}
