/** Why something of this package failed. `retryable` follows from the code. */
export const schemaErrorCodes = [
  'NOT_FRAMED',
  'UNKNOWN_SCHEMA',
  'UNDECODABLE',
  'NOT_ENCODABLE',
  'REGISTRY_UNAVAILABLE',
  'NOT_REGISTERED',
  'INCOMPATIBLE',
] as const
export type SchemaErrorCode = (typeof schemaErrorCodes)[number]

/** An error of `@millrace/schemas`: the message starts with `[CODE]`, the cause is kept. */
export class SchemaError extends Error {
  override readonly name = 'SchemaError'
  readonly code: SchemaErrorCode
  readonly retryable: boolean
  /** The schema id of the record or of the registry's answer, where there is one. */
  readonly schemaId: number | undefined

  constructor(code: SchemaErrorCode, message: string, options: { cause?: unknown; schemaId?: number } = {}) {
    super(`[${code}] ${message}`, { cause: options.cause })
    this.code = code
    this.retryable = code === 'REGISTRY_UNAVAILABLE' || code === 'UNKNOWN_SCHEMA'
    this.schemaId = options.schemaId
  }
}
