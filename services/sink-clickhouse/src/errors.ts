/** Why a record cannot be stored, as its dead letter says it. */
export const poisonCodes = ['NOT_FRAMED', 'UNKNOWN_SCHEMA', 'INCOMPATIBLE', 'UNDECODABLE', 'OUT_OF_RANGE'] as const
export type PoisonCode = (typeof poisonCodes)[number]

/** A record that can never be stored. A value, not thrown: one bad record is no failure of the sink. */
export interface Poison {
  readonly code: PoisonCode
  /** A sentence without any of the record's content. */
  readonly message: string
}

/** Why a batch cannot be written now. */
export const sinkErrorCodes = ['COLUMN_MISSING'] as const
export type SinkErrorCode = (typeof sinkErrorCodes)[number]

/**
 * The table cannot take what the records hold. Retryable: the batch waits, and nothing behind it is read, until somebody has migrated the table; written without
 * the field, its values would be lost without a trace.
 */
export class SinkError extends Error {
  override readonly name = 'SinkError'
  readonly code: SinkErrorCode
  readonly retryable = true

  constructor(code: SinkErrorCode, message: string) {
    super(`[${code}] ${message}`)
    this.code = code
  }
}
