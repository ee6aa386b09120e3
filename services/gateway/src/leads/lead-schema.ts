import { type Static, type TSchemaOptions, Type } from 'typebox'
import { idempotencyKeyCharsMax, leadEmailCharsMax, leadTextCharsMax } from '../limits.ts'

/** No control characters. */
const line = '^[^\\u0000-\\u001f\\u007f-\\u009f]*$'
/** Line breaks and tabs may be in it. */
const lines = '^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f]*$'
/** One `@`, something before it, a domain of dot-separated labels behind it; no white space. Linear to match. */
const email =
  '^[^\\s@\\u0000-\\u001f\\u007f-\\u009f]{1,64}@[^\\s@.\\u0000-\\u001f\\u007f-\\u009f]+(?:\\.[^\\s@.\\u0000-\\u001f\\u007f-\\u009f]+)+$'

const plain = { minLength: 1, maxLength: leadTextCharsMax, pattern: line, 'x-rule': 'must not hold control characters' }

function text(options: TSchemaOptions = {}) {
  return Type.String({ ...plain, ...options })
}

/** An optional text; null says the same as leaving it out. */
function optionalText(options: TSchemaOptions = {}) {
  return Type.Optional(Type.Unsafe<string | null>({ type: ['string', 'null'], ...plain, ...options }))
}

/** One, for the API's document. */
export const exampleLead = {
  first_name: 'Ada',
  last_name: 'Lovelace',
  email: 'ada@example.com',
  country: 'GB',
  attributes: { plan: 'pro' },
}

/** A lead as it is submitted. What goes beyond it (real dates, known countries, sizes) is in `lead-check.ts`. */
export const LeadInput = Type.Object(
  {
    first_name: text(),
    last_name: text(),
    email: text({ maxLength: leadEmailCharsMax, pattern: email, 'x-rule': 'must be an e-mail address' }),
    phone: optionalText({
      minLength: 5,
      maxLength: 64,
      pattern: '^\\+?[0-9 ()./x-]+$',
      'x-rule': 'must hold digits, spaces and + ( ) . / - x only',
    }),
    date_of_birth: optionalText({
      maxLength: 10,
      pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}$',
      'x-rule': 'must be a day as YYYY-MM-DD',
      description: 'YYYY-MM-DD, a real day from 1900 on, not in the future.',
    }),
    address: optionalText({ maxLength: 1_000, pattern: lines }),
    city: optionalText(),
    postal_code: optionalText({ maxLength: 32 }),
    country: optionalText({
      minLength: 2,
      maxLength: 2,
      pattern: '^[A-Z]{2}$',
      'x-rule': 'must be two capital letters',
      description: 'ISO 3166-1 alpha-2, for instance DE.',
    }),
    source: optionalText(),
    campaign: optionalText(),
    consent: Type.Optional(Type.Unsafe<boolean | null>({ type: ['boolean', 'null'] })),
    attributes: Type.Optional(
      Type.Object(
        {},
        { additionalProperties: true, description: 'Everything else, as a JSON object of at most 16 KiB.' },
      ),
    ),
  },
  {
    additionalProperties: false,
    title: 'Lead',
    examples: [exampleLead],
  },
)
export type LeadInput = Static<typeof LeadInput>

/** A lead of a bulk request, which may carry a key of its own. */
export const BulkLeadInput = Type.Object(
  {
    ...LeadInput.properties,
    idempotency_key: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: idempotencyKeyCharsMax,
        pattern: '^[\\x21-\\x7e]+$',
        description: 'As the header Idempotency-Key of a request with this lead alone; before that of the request.',
      }),
    ),
  },
  { additionalProperties: false, title: 'BulkLead' },
)
