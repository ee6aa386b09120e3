/** Why an operation was not carried out. */
export const operationsErrorCodes = ['TOPIC_MISSING', 'TOPIC_SILENT', 'TOO_MUCH', 'BAD_RANGE'] as const
export type OperationsErrorCode = (typeof operationsErrorCodes)[number]

const retryable: ReadonlySet<OperationsErrorCode> = new Set<OperationsErrorCode>(['TOPIC_SILENT'])

/** An error of `@millrace/operations`: the message starts with `[CODE]`; `detail` is the sentence alone, for whoever has asked. */
export class OperationsError extends Error {
  override readonly name = 'OperationsError'
  readonly code: OperationsErrorCode
  readonly detail: string
  readonly retryable: boolean

  constructor(code: OperationsErrorCode, detail: string) {
    super(`[${code}] ${detail}`)
    this.code = code
    this.detail = detail
    this.retryable = retryable.has(code)
  }
}
