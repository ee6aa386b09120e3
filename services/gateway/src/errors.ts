/** What the API calls each of its errors: the HTTP status and the title that go with a code. `docs/api.md` lists them; a test compares. */
export const problems = {
  INVALID_JSON: { status: 400, title: 'The body is not valid JSON' },
  INVALID_COMPRESSION: { status: 400, title: 'The body cannot be decompressed' },
  INVALID_AVRO: { status: 400, title: 'The body is not an Avro container that can be read' },
  INVALID_BODY: { status: 400, title: 'The body is not as it must be' },
  INVALID_PARAMETER: { status: 400, title: 'A query, path or header parameter is not as it must be' },
  NO_VALID_ITEM: { status: 400, title: 'Not one item of the batch is valid' },
  BAD_REQUEST: { status: 400, title: 'The request cannot be understood' },
  UNAUTHENTICATED: { status: 401, title: 'A valid bearer token is required' },
  INVALID_CREDENTIALS: { status: 401, title: 'Wrong username or password' },
  INVALID_REFRESH_TOKEN: { status: 401, title: 'A valid refresh token is required' },
  FORBIDDEN: { status: 403, title: 'Your role does not allow this' },
  API_KEY_NOT_FOUND: { status: 404, title: 'There is no such API key' },
  ROUTE_NOT_FOUND: { status: 404, title: 'There is no such route' },
  DEAD_LETTER_NOT_FOUND: { status: 404, title: 'There is no such dead letter' },
  EVENT_NOT_FOUND: { status: 404, title: 'There is no such event' },
  LEAD_NOT_FOUND: { status: 404, title: 'There is no such lead' },
  LEAD_FIELDS_NOT_FOUND: { status: 404, title: 'There are no such definitions of lead fields' },
  METHOD_NOT_ALLOWED: { status: 405, title: 'This route does not know the method' },
  REQUEST_TIMEOUT: { status: 408, title: 'The request did not arrive in time' },
  DEAD_LETTERS_TOO_MANY: { status: 409, title: 'There are more dead letters than one answer reads' },
  LEAD_FIELDS_EXIST: { status: 409, title: 'The source has definitions of lead fields already' },
  LEAD_FIELDS_FULL: { status: 409, title: 'Too many sources have definitions of lead fields' },
  PRECONDITION_FAILED: { status: 412, title: 'It was changed since you read it' },
  API_KEY_LIMIT: { status: 409, title: 'The account has as many API keys as it may have' },
  BODY_TOO_LARGE: { status: 413, title: 'The body is too large' },
  URI_TOO_LONG: { status: 414, title: 'The address is too long' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, title: 'The body has a type or an encoding that is not supported' },
  LEAD_CONFLICT: { status: 422, title: 'The same key was used with another body' },
  LEAD_REJECTED: { status: 422, title: 'The database refused the lead' },
  PRECONDITION_REQUIRED: { status: 428, title: 'Say which version you have read' },
  RATE_LIMITED: { status: 429, title: 'Too many requests' },
  TOO_MANY_ATTEMPTS: { status: 429, title: 'Too many failed logins for this account' },
  HEADERS_TOO_LARGE: { status: 431, title: 'The headers are too large' },
  INTERNAL: { status: 500, title: 'Something went wrong on our side' },
  OVERLOADED: { status: 503, title: 'The service has too much to do right now' },
  KAFKA_UNAVAILABLE: { status: 503, title: 'Kafka does not acknowledge records right now' },
  SPILL_UNAVAILABLE: { status: 503, title: 'Kafka is away, and no more can be kept for it' },
  STORE_UNAVAILABLE: { status: 503, title: 'A database does not answer right now' },
  NOT_READY: { status: 503, title: 'The service is still starting' },
  OUTCOME_PENDING: { status: 504, title: 'The outcome is not known yet' },
} as const

/** Why the gateway did not do what was asked. */
export type GatewayErrorCode = keyof typeof problems
export const gatewayErrorCodes = Object.keys(problems) as readonly GatewayErrorCode[]

/** One fault of a request: where, as a JSON pointer, and what. `in` says of which part of the request. */
export interface Fault {
  readonly pointer: string
  readonly detail: string
  readonly in?: 'body' | 'query' | 'path' | 'header'
}

/** What goes with an error besides its sentence. */
export interface GatewayErrorOptions {
  readonly cause?: unknown
  readonly faults?: readonly Fault[]
  /** Further members of the problem document, for instance `lead_id`. */
  readonly extensions?: Readonly<Record<string, string | number>>
  readonly retryAfterSeconds?: number
  /** Response headers that belong to the error, for instance `allow`. */
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * An error of the gateway. The message starts with `[CODE]`; `detail` is the sentence that the client sees, so it never holds a foreign
 * error's words: those stay in `cause`, for the log.
 */
export class GatewayError extends Error {
  override readonly name = 'GatewayError'
  readonly code: GatewayErrorCode
  readonly detail: string
  readonly retryable: boolean
  readonly faults: readonly Fault[]
  readonly extensions: Readonly<Record<string, string | number>>
  readonly retryAfterSeconds: number | undefined
  readonly headers: Readonly<Record<string, string>>

  constructor(code: GatewayErrorCode, detail: string, options: GatewayErrorOptions = {}) {
    super(`[${code}] ${detail}`, { cause: options.cause })
    this.code = code
    this.detail = detail
    this.retryable = problems[code].status >= 500 || problems[code].status === 429
    this.faults = options.faults ?? []
    this.extensions = options.extensions ?? {}
    this.retryAfterSeconds = options.retryAfterSeconds
    this.headers = options.headers ?? {}
  }
}
