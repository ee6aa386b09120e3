import { describe, expect, test } from 'vitest'
import readme from '../../README.md?raw'
import { ConsoleError, consoleErrorCodes } from './console-error.ts'

describe('ConsoleError', () => {
  test('starts its message with the code and keeps the sentence for people apart', () => {
    const error = new ConsoleError('forbidden', 'No.', { status: 403, requestId: 'r-1' })
    expect(error.message).toBe('[forbidden] No.')
    expect(error).toMatchObject({ detail: 'No.', retryable: false, status: 403, requestId: 'r-1', retryAfterMs: null })
  })

  test('translates what fetch throws, and lets its own errors pass', () => {
    const cause = new TypeError('Failed to fetch')
    expect(ConsoleError.from(cause)).toMatchObject({ code: 'unreachable', retryable: true, cause })
    const timeout = ConsoleError.from(new DOMException('late', 'TimeoutError'))
    expect(timeout.detail).toBe('The gateway did not answer in time.')
    expect(ConsoleError.from(timeout)).toBe(timeout)
  })

  test('has every code in the table of README.md, with the right answer on retrying', () => {
    const documented = [...readme.matchAll(/^\| `(\w+)` +\| (yes|no) +\|/gm)].map(([, code, retried]) => ({
      code,
      retried,
    }))
    const actual = consoleErrorCodes.map((code) => ({
      code,
      retried: new ConsoleError(code, '').retryable ? 'yes' : 'no',
    }))
    expect(documented).toEqual(actual)
  })
})
