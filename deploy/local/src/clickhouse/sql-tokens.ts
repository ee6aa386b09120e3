/** A word, a quoted thing or a single symbol of SQL text; comments and white space are left out. */
export interface SqlToken {
  readonly kind: 'word' | 'quoted' | 'symbol'
  readonly text: string
  readonly start: number
  readonly end: number
  /** How many brackets are open around it. An opening bracket itself counts as outside. */
  readonly depth: number
}

/**
 * The tokens of ClickHouse SQL from `start` on, lazily: the rows that follow an INSERT are not SQL, and are never
 * looked at when the caller stops in time. An unclosed quote or comment reaches to the end of the text.
 */
export function* sqlTokens(sql: string, start = 0): Generator<SqlToken> {
  let depth = 0
  let at = start
  while (at < sql.length) {
    const skipped = skipBlank(sql, at)
    if (skipped > at) {
      at = skipped
      continue
    }
    const char = sql.charAt(at)
    const from = at
    if (char === "'" || char === '"' || char === '`') {
      at = endOfQuoted(sql, at)
      yield { kind: 'quoted', text: sql.slice(from, at), start: from, end: at, depth }
    } else if (wordChar.test(char)) {
      while (at < sql.length && wordChar.test(sql.charAt(at))) at++
      yield { kind: 'word', text: sql.slice(from, at), start: from, end: at, depth }
    } else {
      at++
      if (isClosing(char)) depth = Math.max(0, depth - 1)
      yield { kind: 'symbol', text: char, start: from, end: at, depth }
      if (isOpening(char)) depth++
    }
  }
}

/** Whether a token is this keyword, outside of any bracket. */
export function isKeyword(token: SqlToken | undefined, ...keywords: readonly string[]): boolean {
  return token?.kind === 'word' && token.depth === 0 && keywords.includes(token.text.toUpperCase())
}

// Bytes of UTF-8 read as Latin-1 belong to words, too.
const wordChar = /[A-Za-z0-9_$\u0080-\uffff]/

/** The end of the white space or comment at `at`; `at` itself when there is none. */
function skipBlank(sql: string, at: number): number {
  const char = sql.charAt(at)
  if (/\s/.test(char)) return at + 1
  if (char === '#' || (char === '-' && sql.charAt(at + 1) === '-')) return endOf(sql, '\n', at)
  if (char === '/' && sql.charAt(at + 1) === '*') return endOf(sql, '*/', at + 2)
  return at
}

function endOf(sql: string, mark: string, from: number): number {
  const found = sql.indexOf(mark, from)
  return found === -1 ? sql.length : found + mark.length
}

function endOfQuoted(sql: string, start: number): number {
  const quote = sql.charAt(start)
  for (let at = start + 1; at < sql.length; at++) {
    const char = sql.charAt(at)
    if (char === '\\') at++
    else if (char === quote) {
      // A doubled quote stands for itself.
      if (sql.charAt(at + 1) !== quote) return at + 1
      at++
    }
  }
  return sql.length
}

function isOpening(char: string): boolean {
  return char === '(' || char === '[' || char === '{'
}

function isClosing(char: string): boolean {
  return char === ')' || char === ']' || char === '}'
}
