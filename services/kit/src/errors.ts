/** Why something of this package failed. */
export const kitErrorCodes = [
  'INVALID_CONFIG',
  'DEPENDENCY_UNAVAILABLE',
  'LISTEN_FAILED',
  'CLOSE_TIMED_OUT',
  'CLOSE_FAILED',
  'ABORTED',
] as const
export type KitErrorCode = (typeof kitErrorCodes)[number]

/** Codes after which the same call may succeed. */
const retryable: ReadonlySet<KitErrorCode> = new Set<KitErrorCode>(['DEPENDENCY_UNAVAILABLE'])

/** An error of `@millrace/kit`: the message starts with `[CODE]`, the cause is kept. */
export class KitError extends Error {
  override readonly name = 'KitError'
  readonly code: KitErrorCode
  readonly retryable: boolean
  /** Every fault that was found, one sentence each; only `INVALID_CONFIG` has several. */
  readonly problems: readonly string[]

  constructor(code: KitErrorCode, message: string, options: { cause?: unknown; problems?: readonly string[] } = {}) {
    super(`[${code}] ${message}`, { cause: options.cause })
    this.code = code
    this.retryable = retryable.has(code)
    this.problems = options.problems ?? []
  }
}

/** Whether a wait or a piece of work was given up because somebody asked for that: nothing went wrong. */
export function isAbort(error: unknown): boolean {
  return error instanceof KitError ? error.code === 'ABORTED' : error instanceof Error && error.name === 'AbortError'
}
