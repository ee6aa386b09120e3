/**
 * An error as ClickHouse reports it: a number, its name, and a text. The HTTP answer, the `X-ClickHouse-Exception-Code`
 * header and the status all follow from it.
 */
export class ClickhouseFailure extends Error {
  readonly code: number
  readonly codeName: string

  constructor(code: number, codeName: string, message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.name = 'ClickhouseFailure'
    this.code = code
    this.codeName = codeName
  }

  /** The body of the answer, in the form that ClickHouse's clients parse. */
  describe(version: string): string {
    return `Code: ${this.code}. DB::Exception: ${this.message} (${this.codeName}) (version ${version})\n`
  }

  get httpStatus(): number {
    return statuses.get(this.codeName) ?? 500
  }
}

/** The name of every error number of the engine; asked from it once. */
export type FailureNames = ReadonlyMap<number, string>

/**
 * The engine's error, from the text it threw: `Code: 62. DB::Exception: … (SYNTAX_ERROR)`. The name is missing from some
 * of its texts, and a text may repeat its own beginning.
 */
export function toFailure(error: unknown, names: FailureNames): ClickhouseFailure {
  if (error instanceof ClickhouseFailure) return error
  const text = error instanceof Error ? error.message : String(error)
  const match = /^Code: (\d+)\. DB::Exception: (?:Code: \1\. DB::Exception: )?([\s\S]*)$/.exec(text.trim())
  if (match?.[1] === undefined || match[2] === undefined)
    return new ClickhouseFailure(1002, 'UNKNOWN_EXCEPTION', text, { cause: error })
  const code = Number(match[1])
  const name = names.get(code) ?? 'UNKNOWN_EXCEPTION'
  const message = match[2].trim()
  const suffix = `(${name})`
  const bare = message.endsWith(suffix) ? message.slice(0, -suffix.length).trim() : message
  return new ClickhouseFailure(code, name, bare, { cause: error })
}

/** HTTP statuses of ClickHouse's error names, as its own server chooses them; every other error is a 500. */
const statuses: ReadonlyMap<string, number> = new Map([
  ...named(400, [
    'ARGUMENT_OUT_OF_BOUND',
    'BAD_ARGUMENTS',
    'BAD_QUERY_PARAMETER',
    'CANNOT_COMPILE_REGEXP',
    'CANNOT_PARSE_DATE',
    'CANNOT_PARSE_DATETIME',
    'CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING',
    'CANNOT_PARSE_ESCAPE_SEQUENCE',
    'CANNOT_PARSE_INPUT_ASSERTION_FAILED',
    'CANNOT_PARSE_IPV4',
    'CANNOT_PARSE_IPV6',
    'CANNOT_PARSE_NUMBER',
    'CANNOT_PARSE_QUOTED_STRING',
    'CANNOT_PARSE_TEXT',
    'CANNOT_PARSE_UUID',
    'DUPLICATE_COLUMN',
    'ILLEGAL_COLUMN',
    'ILLEGAL_TYPE_OF_ARGUMENT',
    'INCORRECT_DATA',
    'NUMBER_OF_ARGUMENTS_DOESNT_MATCH',
    'SYNTAX_ERROR',
    'THERE_IS_NO_COLUMN',
    'TOO_BIG_AST',
    'TOO_DEEP_AST',
    'TYPE_MISMATCH',
    'UNEXPECTED_AST_STRUCTURE',
    'UNKNOWN_ELEMENT_OF_ENUM',
    'UNKNOWN_QUERY_PARAMETER',
    'VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE',
  ]),
  ...named(401, ['REQUIRED_PASSWORD']),
  ...named(403, ['AUTHENTICATION_FAILED', 'SET_NON_GRANTED_ROLE', 'UNKNOWN_USER', 'WRONG_PASSWORD']),
  ...named(404, [
    'UNKNOWN_AGGREGATE_FUNCTION',
    'UNKNOWN_DATABASE',
    'UNKNOWN_DATABASE_ENGINE',
    'UNKNOWN_FORMAT',
    'UNKNOWN_FUNCTION',
    'UNKNOWN_IDENTIFIER',
    'UNKNOWN_ROLE',
    'UNKNOWN_SETTING',
    'UNKNOWN_STORAGE',
    'UNKNOWN_TABLE',
    'UNKNOWN_TYPE',
    'UNKNOWN_TYPE_OF_QUERY',
  ]),
  ...named(408, ['TIMEOUT_EXCEEDED']),
  ...named(411, ['HTTP_LENGTH_REQUIRED']),
  ...named(413, ['QUERY_IS_TOO_LARGE', 'TOO_LARGE_STRING_SIZE']),
  ...named(501, ['NOT_IMPLEMENTED']),
  ...named(503, ['CANNOT_OPEN_FILE', 'CANNOT_SCHEDULE_TASK', 'SOCKET_TIMEOUT', 'TOO_MANY_SIMULTANEOUS_QUERIES']),
])

function named(status: number, names: readonly string[]): [string, number][] {
  return names.map((name) => [name, status])
}
