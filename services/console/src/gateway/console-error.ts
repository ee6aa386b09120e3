/** Everything that can go wrong between the page and its gateway. README.md explains each; a test keeps the two in step. */
export const consoleErrorCodes = [
  'unreachable',
  'unauthorized',
  'forbidden',
  'refused',
  'unavailable',
  'bad_answer',
] as const
/** One code of {@link consoleErrorCodes}. */
export type ConsoleErrorCode = (typeof consoleErrorCodes)[number]

const retryableCodes: ReadonlySet<ConsoleErrorCode> = new Set(['unreachable', 'unavailable', 'bad_answer'])

/** What is known about a failure besides its code and its words. */
export interface ConsoleErrorContext {
  readonly cause?: unknown
  /** HTTP status, when there was an answer. */
  readonly status?: number
  /** The gateway's id of the request, to find it in the logs. */
  readonly requestId?: string
  /** The wait the gateway asked for. */
  readonly retryAfterMs?: number
}

/**
 * The one error class of the page. Whether trying again can help is decided by the code alone; `detail` is the sentence for
 * people, without the code in front.
 */
export class ConsoleError extends Error {
  override readonly name = 'ConsoleError'
  readonly code: ConsoleErrorCode
  readonly detail: string
  readonly retryable: boolean
  readonly status: number | null
  readonly requestId: string | null
  readonly retryAfterMs: number | null

  constructor(code: ConsoleErrorCode, detail: string, context: ConsoleErrorContext = {}) {
    super(`[${code}] ${detail}`, { cause: context.cause })
    this.code = code
    this.detail = detail
    this.retryable = retryableCodes.has(code)
    this.status = context.status ?? null
    this.requestId = context.requestId ?? null
    this.retryAfterMs = context.retryAfterMs ?? null
  }

  /** Translates whatever `fetch` and body streams throw; an error of ours passes unchanged. */
  static from(reason: unknown): ConsoleError {
    if (reason instanceof ConsoleError) return reason
    if (reason instanceof DOMException && reason.name === 'TimeoutError') {
      return new ConsoleError('unreachable', 'The gateway did not answer in time.', { cause: reason })
    }
    return new ConsoleError('unreachable', 'The gateway cannot be reached.', { cause: reason })
  }
}
