import { ConsoleError, type ConsoleErrorCode, type ConsoleErrorContext } from './console-error.ts'
import { isJsonObject, optionalTextAt } from './json.ts'

/**
 * The error of an answer that is not 2xx. The gateway answers with problem+json; where something else answered (a proxy), the status
 * alone has to do.
 */
export async function errorOf(response: Response): Promise<ConsoleError> {
  const problem = await problemOf(response)
  const context: ConsoleErrorContext = {
    status: response.status,
    ...(problem.requestId === null ? {} : { requestId: problem.requestId }),
    ...retryAfterOf(response),
  }
  return new ConsoleError(codeOf(response.status), problem.detail ?? sentenceFor(response.status), context)
}

function codeOf(status: number): ConsoleErrorCode {
  if (status === 401) return 'unauthorized'
  if (status === 403) return 'forbidden'
  // 408 and 429 are the client errors that pass by waiting.
  if (status >= 500 || status === 408 || status === 429) return 'unavailable'
  return 'refused'
}

async function problemOf(response: Response): Promise<{ detail: string | null; requestId: string | null }> {
  const none = { detail: null, requestId: null }
  if (!(response.headers.get('content-type') ?? '').includes('json')) return none
  try {
    const body: unknown = await response.json()
    if (!isJsonObject(body)) return none
    return {
      detail: optionalTextAt(body, 'detail') ?? optionalTextAt(body, 'title'),
      requestId: optionalTextAt(body, 'request_id'),
    }
  } catch {
    // The status has already said that the request failed; a broken description of it changes nothing.
    return none
  }
}

function retryAfterOf(response: Response): { retryAfterMs: number } | Record<string, never> {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  return Number.isFinite(seconds) && seconds >= 0 ? { retryAfterMs: seconds * 1_000 } : {}
}

function sentenceFor(status: number): string {
  return `The gateway answered with status ${status}.`
}
