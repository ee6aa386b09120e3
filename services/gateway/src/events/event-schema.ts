import { type Static, Type } from 'typebox'
import { eventIdCharsMax, eventTypeCharsMax, userIdCharsMax } from '../limits.ts'

/** Letters, digits and `_ $ . : / -`, spaces inside; so never `@`, which separates the parts of a stats key. */
export const eventTypePattern = '^[A-Za-z0-9_$](?:[A-Za-z0-9_$.:/ -]*[A-Za-z0-9_$.:/-])?$'

/** No control characters (Unicode's Cc): ids are shown in tables, logs and URLs. */
export const idPattern = '^[^\\u0000-\\u001f\\u007f-\\u009f]+$'

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
    examples: [
      {
        event_id: 'e-1',
        user_id: 'u-1',
        event_type: 'purchase',
        timestamp: 1764000000,
        metadata: { value: 12.5, currency: 'EUR' },
      },
    ],
  },
)
export type EventInput = Static<typeof EventInput>
