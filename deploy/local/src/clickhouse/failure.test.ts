import { describe, expect, it } from 'vitest'
import { ClickhouseFailure, toFailure } from './failure.ts'

const names = new Map([
  [27, 'CANNOT_PARSE_INPUT_ASSERTION_FAILED'],
  [60, 'UNKNOWN_TABLE'],
])

describe('toFailure', () => {
  it('takes code, name and text from what the engine throws', () => {
    const failure = toFailure(new Error("Code: 60. DB::Exception: Unknown table 'x'. (UNKNOWN_TABLE)"), names)
    expect(failure).toMatchObject({
      code: 60,
      codeName: 'UNKNOWN_TABLE',
      message: "Unknown table 'x'.",
      httpStatus: 404,
    })
  })

  it('adds a missing name and drops a repeated beginning', () => {
    const failure = toFailure(
      new Error('Code: 27. DB::Exception: Code: 27. DB::Exception: Cannot parse input: (at row 1)\n'),
      names,
    )
    expect(failure).toMatchObject({ code: 27, message: 'Cannot parse input: (at row 1)', httpStatus: 400 })
    expect(failure.describe('26.7')).toBe(
      'Code: 27. DB::Exception: Cannot parse input: (at row 1) (CANNOT_PARSE_INPUT_ASSERTION_FAILED) (version 26.7)\n',
    )
  })

  it('keeps any other error as the cause of an unknown one', () => {
    const cause = new Error('the disk is gone')
    expect(toFailure(cause, names)).toMatchObject({ code: 1002, codeName: 'UNKNOWN_EXCEPTION', cause, httpStatus: 500 })
  })
})

it.each([
  ['SYNTAX_ERROR', 400],
  ['REQUIRED_PASSWORD', 401],
  ['AUTHENTICATION_FAILED', 403],
  ['UNKNOWN_DATABASE', 404],
  ['TIMEOUT_EXCEEDED', 408],
  ['NOT_IMPLEMENTED', 501],
  ['MEMORY_LIMIT_EXCEEDED', 500],
])('%s is answered with %i', (name, status) => {
  expect(new ClickhouseFailure(1, name, '').httpStatus).toBe(status)
})
