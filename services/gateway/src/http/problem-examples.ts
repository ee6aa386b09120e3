import { type Fault, GatewayError, type GatewayErrorCode } from '../errors.ts'
import { type ProblemDocument, problemDocument } from './problem.ts'

interface Sample {
  readonly detail: string
  readonly instance: string
  readonly faults?: readonly Fault[]
  readonly extensions?: Readonly<Record<string, string | number>>
}

const leadId = '0190c5a4-5c1e-7d3a-9f6b-2f6f0e6a7b11'

/** One case of each error, as a client may meet it. A code without one does not compile. */
const samples: Readonly<Record<GatewayErrorCode, Sample>> = {
  INVALID_JSON: {
    detail: 'Not JSON: at byte 27 expected a comma or the end of the object.',
    instance: '/api/v1/events',
  },
  INVALID_COMPRESSION: { detail: 'The body is not whole and valid gzip.', instance: '/api/v1/events' },
  INVALID_AVRO: { detail: 'The container ends within a block.', instance: '/api/v1/events' },
  INVALID_BODY: {
    detail: 'The body has 2 faults.',
    instance: '/api/v1/lead/process',
    faults: [
      { in: 'body', pointer: '/email', detail: 'is required' },
      { in: 'body', pointer: '/shoe_size', detail: 'is not a known field: put it into "attributes"' },
    ],
  },
  INVALID_PARAMETER: {
    detail: 'The parameters have one fault.',
    instance: '/api/v1/stats',
    faults: [{ in: 'query', pointer: '/limit', detail: 'must be >= 1' }],
  },
  NO_VALID_ITEM: {
    detail: 'Not one event of the body is valid: nothing was taken.',
    instance: '/api/v1/events',
    faults: [{ in: 'body', pointer: '/0/timestamp', detail: 'must be a number; it is a string' }],
  },
  BAD_REQUEST: { detail: 'The address is not a valid one.', instance: '/api/v1/leads/%zz' },
  UNAUTHENTICATED: {
    detail: 'The token is not valid, or not any more: log in again.',
    instance: '/api/v1/user/profile',
  },
  INVALID_CREDENTIALS: { detail: 'The username or the password is wrong.', instance: '/api/v1/login' },
  INVALID_REFRESH_TOKEN: {
    detail:
      'The refresh token is not valid, or not any more: log in again. A token that was used before ends its session.',
    instance: '/api/v1/token/refresh',
  },
  FORBIDDEN: {
    detail: 'The role "user" does not have the scope that this route requires.',
    instance: '/api/v1/leads',
  },
  ROUTE_NOT_FOUND: {
    detail: 'There is nothing at this address: /docs lists what there is.',
    instance: '/api/v1/lead',
  },
  DEAD_LETTER_NOT_FOUND: {
    detail: 'No dead letter has this offset.',
    instance: '/api/v1/ops/dead-letters/events/17',
  },
  DEAD_LETTERS_TOO_MANY: {
    detail: "There are more than 20000 dead letters: ask ClickHouse's table dead_letters, or the command line.",
    instance: '/api/v1/ops/dead-letters/events',
  },
  EVENT_NOT_FOUND: {
    detail: 'The event store has no event with this id, or not yet.',
    instance: '/api/v1/events/e-2/receipt',
  },
  LEAD_NOT_FOUND: { detail: 'No lead with this id is stored.', instance: `/api/v1/leads/${leadId}` },
  LEAD_FIELDS_NOT_FOUND: {
    detail: 'There are no definitions with this id.',
    instance: '/api/v1/lead-fields/0190c5a4-5c1e-4d3a-9f6b-2f6f0e6a7b22',
  },
  API_KEY_NOT_FOUND: {
    detail: 'There is no key with this id that is not revoked already.',
    instance: '/api/v1/api-keys/k3f9a1c2d4e5f6a7',
  },
  API_KEY_LIMIT: {
    detail: 'The account has 100 keys, the most it may have: revoke one that is not needed.',
    instance: '/api/v1/api-keys',
  },
  METHOD_NOT_ALLOWED: { detail: 'This address knows GET, HEAD.', instance: '/api/v1/stats' },
  REQUEST_TIMEOUT: { detail: 'The request could not be read, and the connection is closed.', instance: '' },
  LEAD_FIELDS_EXIST: {
    detail: 'The source has definitions already: change them with PUT.',
    instance: '/api/v1/lead-fields',
    extensions: { id: '0190c5a4-5c1e-4d3a-9f6b-2f6f0e6a7b22' },
  },
  LEAD_FIELDS_FULL: {
    detail: 'At most 100 sources can have definitions: delete those of another one first.',
    instance: '/api/v1/lead-fields',
  },
  PRECONDITION_FAILED: {
    detail: 'The definitions have another version now: read them again, and decide anew.',
    instance: '/api/v1/lead-fields/0190c5a4-5c1e-4d3a-9f6b-2f6f0e6a7b22',
  },
  BODY_TOO_LARGE: { detail: 'The body is larger than this route takes.', instance: '/api/v1/events' },
  URI_TOO_LONG: { detail: 'A part of the path is too long.', instance: '/api/v1/events/e-2/receipt' },
  UNSUPPORTED_MEDIA_TYPE: {
    detail: 'This route does not take bodies of this type: most take application/json.',
    instance: '/api/v1/events',
  },
  LEAD_CONFLICT: {
    detail: 'The lead is not stored: the same key was used for another lead.',
    instance: '/api/v1/lead/process',
    extensions: { lead_id: leadId, outcome: 'conflict', reason: 'the same key was used for another lead' },
  },
  LEAD_REJECTED: {
    detail: 'The lead is not stored: a value does not fit its column.',
    instance: '/api/v1/lead/process',
    extensions: { lead_id: leadId, outcome: 'rejected', reason: 'a value does not fit its column' },
  },
  PRECONDITION_REQUIRED: {
    detail: 'Send If-Match with the ETag of what you have read, or with *.',
    instance: '/api/v1/lead-fields/0190c5a4-5c1e-4d3a-9f6b-2f6f0e6a7b22',
  },
  RATE_LIMITED: { detail: 'At most 1000000 such requests per minute are served.', instance: '/api/v1/events' },
  TOO_MANY_ATTEMPTS: {
    detail: 'This account had too many failed logins: try again later.',
    instance: '/api/v1/login',
  },
  HEADERS_TOO_LARGE: { detail: 'The request could not be read, and the connection is closed.', instance: '' },
  INTERNAL: { detail: 'The request failed. Its id tells us why.', instance: '/api/v1/events' },
  OVERLOADED: {
    detail: 'The service has more to do than it can: send this again a little later.',
    instance: '/api/v1/events',
  },
  KAFKA_UNAVAILABLE: {
    detail:
      'Kafka did not acknowledge the records in time. Some may have been written nevertheless: send them again with the same ids.',
    instance: '/api/v1/events',
  },
  SPILL_UNAVAILABLE: {
    detail: 'Kafka is away, and the log that keeps requests for it is full.',
    instance: '/api/v1/events',
  },
  STORE_UNAVAILABLE: { detail: 'A database does not answer right now.', instance: '/api/v1/leads' },
  NOT_READY: { detail: 'The service is closing: another one takes over.', instance: '/api/v1/events' },
  OUTCOME_PENDING: {
    detail: 'The lead is safe in Kafka and will be stored; the outcome is not known yet.',
    instance: '/api/v1/lead/process',
    extensions: { lead_id: leadId },
  },
}

/** What a client gets for an error, made by the same function as the true answers. */
export function problemExample(code: GatewayErrorCode): ProblemDocument {
  const { detail, instance, ...options } = samples[code]
  const requestId = instance === '' ? '' : '2bf26168-85b3-4f29-974a-b83a6c164fb3'
  return problemDocument(new GatewayError(code, detail, options), { instance, requestId })
}
