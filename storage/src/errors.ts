/** Why something of this package failed. Foreign errors are translated into these at the drivers; code branches on `code` only. */
export const storageErrorCodes = [
  'UNAVAILABLE',
  'TIMED_OUT',
  'OVERLOADED',
  'WRITE_CONFLICT',
  'ROW_REFUSED',
  'OFFSET_GAP',
  'ACCESS_DENIED',
  'SCHEMA_MISMATCH',
  'MIGRATION_FAILED',
  'INVALID_QUERY',
  'QUERY_TOO_EXPENSIVE',
  'CANCELLED',
  'FAILED',
] as const
export type StorageErrorCode = (typeof storageErrorCodes)[number]

/** Codes after which the same call may succeed. */
const retryable: ReadonlySet<StorageErrorCode> = new Set<StorageErrorCode>([
  'UNAVAILABLE',
  'TIMED_OUT',
  'OVERLOADED',
  'WRITE_CONFLICT',
])

/**
 * An error of `@millrace/storage`: the message starts with `[CODE]`, the cause is kept. The exception is `ROW_REFUSED`, whose database message may
 * quote personal data: there only the database's number is kept.
 */
export class StorageError extends Error {
  override readonly name = 'StorageError'
  readonly code: StorageErrorCode
  readonly retryable: boolean
  /** The database's own error number, where there is one. */
  readonly databaseCode: number | undefined
  /** What is wrong with a refused row, without any of its content; only `ROW_REFUSED` has it. */
  readonly refusal: string | undefined

  constructor(
    code: StorageErrorCode,
    message: string,
    options: { cause?: unknown; databaseCode?: number | undefined; refusal?: string } = {},
  ) {
    super(`[${code}] ${message}`, { cause: options.cause })
    this.code = code
    this.retryable = retryable.has(code)
    this.databaseCode = options.databaseCode
    this.refusal = options.refusal
  }
}
