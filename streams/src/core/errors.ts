/** Why something of this package failed. Foreign errors are translated into these at the adapters; code branches on `code` only. */
export const streamsErrorCodes = [
  'INVALID_TOPOLOGY',
  'INVALID_CONFIG',
  'INVALID_RECORD',
  'INVALID_STATE',
  'SERIALIZATION',
  'DESERIALIZATION',
  'PROCESSING',
  'TOPIC_MISSING',
  'TOPIC_MISMATCH',
  'BROKER_UNAVAILABLE',
  'BROKER_REFUSED',
  'RECORD_TOO_LARGE',
  'CORRUPT_BATCH',
  'OFFSET_OUT_OF_RANGE',
  'FENCED',
  'REBALANCED',
  'OUTCOME_UNKNOWN',
  'STORE_FAILED',
  'STORE_CORRUPT',
  'STORE_LOCKED',
  'STORE_UNKNOWN',
  'STORE_NOT_READY',
  'STORE_ELSEWHERE',
  'INVALID_QUERY',
  'BUFFER_FULL',
  'TIMED_OUT',
  'CLOSED',
] as const
export type StreamsErrorCode = (typeof streamsErrorCodes)[number]

/** Codes after which the same call may succeed. `OUTCOME_UNKNOWN` is not among them: the producer must be replaced first. */
const retryable: ReadonlySet<StreamsErrorCode> = new Set<StreamsErrorCode>([
  'BROKER_UNAVAILABLE',
  'REBALANCED',
  'STORE_NOT_READY',
  'TIMED_OUT',
])

/** Where an error happened, as far as it is known. */
export interface ErrorContext {
  readonly cause?: unknown
  readonly topic?: string
  readonly partition?: number
  readonly offset?: number
  readonly store?: string
  /** Of `STORE_ELSEWHERE`: where to ask instead. */
  readonly endpoint?: string
}

/** An error of `@millrace/streams`: the message starts with `[CODE]`, the cause is kept, the place is in fields. */
export class StreamsError extends Error {
  override readonly name = 'StreamsError'
  readonly code: StreamsErrorCode
  readonly retryable: boolean
  readonly topic: string | undefined
  readonly partition: number | undefined
  readonly offset: number | undefined
  readonly store: string | undefined
  readonly endpoint: string | undefined

  constructor(code: StreamsErrorCode, message: string, context: ErrorContext = {}) {
    super(`[${code}] ${message}`, { cause: context.cause })
    this.code = code
    this.retryable = retryable.has(code)
    this.topic = context.topic
    this.partition = context.partition
    this.offset = context.offset
    this.store = context.store
    this.endpoint = context.endpoint
  }
}

/** True when `error` is a `StreamsError` with one of `codes`. */
export function hasCode(error: unknown, ...codes: readonly StreamsErrorCode[]): error is StreamsError {
  return error instanceof StreamsError && codes.includes(error.code)
}
