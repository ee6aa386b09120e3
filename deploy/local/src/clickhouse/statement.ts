import { ClickhouseFailure } from './failure.ts'
import { isKeyword, type SqlToken, sqlTokens } from './sql-tokens.ts'

/**
 * What the HTTP interface has to know of a statement; the engine parses it for itself.
 *
 * - `insert-data`: INSERT … FORMAT x or INSERT … VALUES: rows follow the statement.
 * - `insert-select`: INSERT … SELECT; with `input(…)`, the body holds the rows.
 * - `select`: its rows can be streamed. `rows`: it answers rows, but not a stream (SHOW, DESCRIBE, …).
 * - `command`: everything else.
 */
export type Statement =
  | {
      readonly kind: 'insert-data'
      readonly format: string
      readonly sourceAt: number
      readonly formatAt: number
      readonly dataAt: number
    }
  | { readonly kind: 'insert-select'; readonly input: InputCall | undefined }
  | { readonly kind: 'select' | 'rows'; readonly format: string | undefined }
  | { readonly kind: 'command' }

/** `input('structure')` in an INSERT … SELECT, and the FORMAT clause at its end. */
export interface InputCall {
  readonly nameStart: number
  readonly argumentsStart: number
  readonly format: string
  readonly formatStart: number
}

/** Reads a statement. Throws SYNTAX_ERROR for several statements in one request, as ClickHouse does. */
export function readStatement(sql: string): Statement {
  const tokens = sqlTokens(sql)
  const first = tokens.next()
  if (first.done === true) throw new ClickhouseFailure(62, 'SYNTAX_ERROR', 'Empty query')
  // A generator that a `for` loop leaves is closed: each of these reads on by itself.
  if (isKeyword(first.value, 'INSERT')) return readInsert(sql, first.value.end)
  const rest = [first.value, ...tokens]
  refuseSecondStatement(rest)
  const word = rest.find((token) => token.text !== '(')
  if (isStart(word, 'SELECT', 'WITH', 'FROM')) return { kind: 'select', format: formatAtEnd(rest)?.format }
  if (isStart(word, 'SHOW', 'DESCRIBE', 'DESC', 'EXPLAIN', 'EXISTS', 'CHECK'))
    return { kind: 'rows', format: formatAtEnd(rest)?.format }
  return { kind: 'command' }
}

/**
 * The statement that reads its rows from a file instead of from the request.
 * `statement.dataAt` and what follows are dropped when the rows stood in the same text.
 */
export function readingFrom(sql: string, statement: Statement, file: string): string {
  const path = `'${file.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  if (statement.kind === 'insert-data') {
    const { sourceAt, formatAt, format } = statement
    return `${sql.slice(0, sourceAt)} FROM INFILE ${path} COMPRESSION 'none' ${sql.slice(sourceAt, formatAt)} FORMAT ${format}`
  }
  if (statement.kind === 'insert-select' && statement.input !== undefined) {
    const { nameStart, argumentsStart, format, formatStart } = statement.input
    return `${sql.slice(0, nameStart)}file(${path}, '${format}', ${sql.slice(argumentsStart, formatStart)}`
  }
  return sql
}

/** `KILL QUERY WHERE query_id = …` with another expression in place of the engine's own `query_id`; any other statement as it is. */
export function killingBy(expression: string, sql: string): string {
  const tokens = sqlTokens(sql)
  if (!isKeyword(tokens.next().value ?? undefined, 'KILL')) return sql
  let text = ''
  let at = 0
  for (const token of sqlTokens(sql)) {
    if (token.kind !== 'word' || token.text !== 'query_id') continue
    text += `${sql.slice(at, token.start)}${expression}`
    at = token.end
  }
  return text + sql.slice(at)
}

function readInsert(sql: string, from: number): Statement {
  let settings: SqlToken | undefined
  let previous: SqlToken | undefined
  for (const token of sqlTokens(sql, from)) {
    if (isKeyword(token, 'SELECT', 'WITH', 'WATCH')) return readInsertSelect(sql, from)
    if (isKeyword(token, 'INFILE')) return { kind: 'command' }
    if (isKeyword(token, 'SETTINGS')) settings = token
    if (isKeyword(token, 'VALUES')) {
      return {
        kind: 'insert-data',
        format: 'Values',
        sourceAt: settings?.start ?? token.start,
        formatAt: token.start,
        dataAt: token.end,
      }
    }
    if (isKeyword(previous, 'FORMAT') && previous !== undefined && token.kind === 'word') {
      return {
        kind: 'insert-data',
        format: token.text,
        sourceAt: settings?.start ?? previous.start,
        formatAt: previous.start,
        dataAt: startOfData(sql, token.end),
      }
    }
    previous = token
  }
  return { kind: 'command' }
}

function readInsertSelect(sql: string, from: number): Statement {
  const tokens = [...sqlTokens(sql, from)]
  refuseSecondStatement(tokens)
  const end = formatAtEnd(tokens)
  const at = tokens.findIndex(
    (token, index) => token.kind === 'word' && token.text.toLowerCase() === 'input' && tokens[index + 1]?.text === '(',
  )
  const name = tokens[at]
  const bracket = tokens[at + 1]
  if (name === undefined || bracket === undefined || end === undefined)
    return { kind: 'insert-select', input: undefined }
  return {
    kind: 'insert-select',
    input: { nameStart: name.start, argumentsStart: bracket.end, format: end.format, formatStart: end.start },
  }
}

/** Rows begin after the format's name, white space of its line, and one line end. */
function startOfData(sql: string, nameEnd: number): number {
  let at = nameEnd
  while (sql.charAt(at) === ' ' || sql.charAt(at) === '\t') at++
  if (sql.charAt(at) === '\r') at++
  if (sql.charAt(at) === '\n') at++
  return at
}

/** `FORMAT x` at the end, SETTINGS after it or not. */
function formatAtEnd(tokens: readonly SqlToken[]): { format: string; start: number } | undefined {
  for (let at = tokens.length - 2; at >= 0; at--) {
    const token = tokens[at]
    const name = tokens[at + 1]
    if (token === undefined || name === undefined || !isKeyword(token, 'FORMAT') || name.kind !== 'word') continue
    const next = tokens[at + 2]
    const closes = next === undefined || next.text === ';' || isKeyword(next, 'SETTINGS')
    if (closes) return { format: name.text, start: token.start }
  }
  return undefined
}

function refuseSecondStatement(tokens: readonly SqlToken[]): void {
  const end = tokens.findIndex((token) => token.text === ';' && token.kind === 'symbol')
  if (end === -1) return
  const second = tokens.slice(end).find((token) => token.text !== ';')
  if (second === undefined) return
  throw new ClickhouseFailure(
    62,
    'SYNTAX_ERROR',
    `Syntax error (Multi-statements are not allowed): failed at position ${(tokens[end]?.start ?? 0) + 1} (end of query)`,
  )
}

function isStart(token: SqlToken | undefined, ...keywords: string[]): boolean {
  return token?.kind === 'word' && keywords.includes(token.text.toUpperCase())
}
