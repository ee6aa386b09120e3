import { patternDepthMax } from '../limits.ts'
import { type CharSet, charSet, complementOf, unionOf } from './char-set.ts'
import { PatternError } from './pattern-error.ts'

/** What a pattern says, as a tree. */
export type PatternNode =
  | { readonly kind: 'chars'; readonly set: CharSet }
  | { readonly kind: 'sequence'; readonly parts: readonly PatternNode[] }
  | { readonly kind: 'choice'; readonly options: readonly PatternNode[] }
  | { readonly kind: 'repeat'; readonly part: PatternNode; readonly min: number; readonly max: number }

const digit = charSet([[0x30, 0x39]])
const word = charSet([
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
])
/** ECMA-262's WhiteSpace and LineTerminator. */
const space = charSet([
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
])
const lineEnd = charSet([
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
])
const escapedSets: ReadonlyMap<string, CharSet> = new Map([
  ['d', digit],
  ['D', complementOf(digit)],
  ['w', word],
  ['W', complementOf(word)],
  ['s', space],
  ['S', complementOf(space)],
])
const escapedControls: ReadonlyMap<string, number> = new Map([
  ['t', 0x09],
  ['n', 0x0a],
  ['v', 0x0b],
  ['f', 0x0c],
  ['r', 0x0d],
])

/**
 * Parses a pattern: the part of ECMAScript's regular expressions with the flag `u` that is regular in the strict sense. Characters, `.`, classes, escapes,
 * groups, `|`, and `? * + {n} {n,} {n,m}`; `^` at its beginning and `$` at its end say what holds anyway. Throws `PatternError` for anything else.
 */
export function parsePattern(text: string): PatternNode {
  const chars = [...text]
  let at = chars[0] === '^' ? 1 : 0
  const end = chars.at(-1) === '$' && !isEscaped(chars, chars.length - 1) ? chars.length - 1 : chars.length

  function fail(problem: string): never {
    throw new PatternError(`${problem}, at character ${at + 1}`)
  }

  function choice(depth: number): PatternNode {
    if (depth > patternDepthMax) fail(`has parentheses more than ${patternDepthMax} deep`)
    const options = [sequence(depth)]
    while (chars[at] === '|' && at < end) {
      at++
      options.push(sequence(depth))
    }
    const [only] = options
    return options.length === 1 && only !== undefined ? only : { kind: 'choice', options }
  }

  function sequence(depth: number): PatternNode {
    const parts: PatternNode[] = []
    while (at < end && chars[at] !== '|' && chars[at] !== ')') parts.push(quantified(atom(depth)))
    return { kind: 'sequence', parts }
  }

  function atom(depth: number): PatternNode {
    const char = chars[at] ?? ''
    switch (char) {
      case '(':
        return group(depth)
      case '[':
        return { kind: 'chars', set: charClass() }
      case '.':
        at++
        return { kind: 'chars', set: complementOf(lineEnd) }
      case '\\':
        return { kind: 'chars', set: escaped() }
      case '^':
      case '$':
        return fail(`has "${char}" inside: it always stands for the whole text`)
      case '*':
      case '+':
      case '?':
      case '{':
      case '}':
      case ']':
        return fail(`has "${char}" where it means nothing: write "\\${char}" for the character`)
      default:
        at++
        return { kind: 'chars', set: single(codePoint(char)) }
    }
  }

  function group(depth: number): PatternNode {
    at++
    if (chars[at] === '?') {
      if (chars[at + 1] !== ':') fail('has a group of a kind that is not supported: there are "(…)" and "(?:…)"')
      at += 2
    }
    const inside = choice(depth + 1)
    if (at >= end || chars[at] !== ')') fail('has a "(" without its ")"')
    at++
    return inside
  }

  function quantified(part: PatternNode): PatternNode {
    const char = at < end ? chars[at] : undefined
    if (char === '*') return repeat(part, 0, Number.POSITIVE_INFINITY)
    if (char === '+') return repeat(part, 1, Number.POSITIVE_INFINITY)
    if (char === '?') return repeat(part, 0, 1)
    if (char !== '{') return part
    const [whole, min = '', comma, max] = /^\{(\d{1,4})(,(\d{1,4})?)?\}/.exec(chars.slice(at, end).join('')) ?? []
    if (whole === undefined) fail('has a "{" that is not of the form {n}, {n,} or {n,m}')
    at += whole.length - 1
    const upTo = comma === undefined ? Number(min) : max === undefined ? Number.POSITIVE_INFINITY : Number(max)
    if (upTo < Number(min)) fail('has a repetition whose bounds are the wrong way round')
    return repeat(part, Number(min), upTo)
  }

  function repeat(part: PatternNode, min: number, max: number): PatternNode {
    at++
    if (at < end && '*+?{'.includes(chars[at] ?? ' ')) fail('repeats a repetition: put parentheses around it')
    return { kind: 'repeat', part, min, max }
  }

  function charClass(): CharSet {
    at++
    const isNegated = chars[at] === '^'
    if (isNegated) at++
    const sets: CharSet[] = []
    while (at < end && chars[at] !== ']') {
      const first = classItem()
      if (chars[at] !== '-' || at + 1 >= end || chars[at + 1] === ']') {
        sets.push(first)
        continue
      }
      at++
      const last = classItem()
      if (!isSingle(first) || !isSingle(last)) fail('has a range with an end that is not one character')
      if ((first[0] ?? 0) > (last[0] ?? 0)) fail('has a range whose ends are the wrong way round')
      sets.push(charSet([[first[0] ?? 0, last[0] ?? 0]]))
    }
    if (at >= end) fail('has a "[" without its "]"')
    at++
    const all = unionOf(sets)
    return isNegated ? complementOf(all) : all
  }

  function classItem(): CharSet {
    if (chars[at] === '\\') return escaped()
    const char = chars[at] ?? ''
    at++
    return single(codePoint(char))
  }

  function escaped(): CharSet {
    at++
    const char = at < end ? chars[at] : undefined
    if (char === undefined) fail('ends with a single "\\"')
    at++
    const set = escapedSets.get(char)
    if (set !== undefined) return set
    const control = escapedControls.get(char)
    if (control !== undefined) return single(control)
    if (char === 'u') return single(unicodeEscape())
    // Letters and digits mean something else, here or in other versions.
    if (/^[!-/:-@[-`{-~]$/.test(char)) return single(codePoint(char))
    at--
    return fail(`has "\\${char}", which is not supported`)
  }

  function unicodeEscape(): number {
    const rest = chars.slice(at, Math.min(end, at + 8)).join('')
    const [whole, four, braced] = /^(?:([0-9a-fA-F]{4})|\{([0-9a-fA-F]{1,6})\})/.exec(rest) ?? []
    const code = Number.parseInt(four ?? braced ?? '', 16)
    const isCharacter = code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff)
    if (whole === undefined || !isCharacter) fail('has a "\\u" that is not of the form \\uXXXX or \\u{X…}')
    at += whole.length
    return code
  }

  const node = choice(0)
  if (at < end) fail('has a ")" without its "("')
  return node
}

function single(code: number): CharSet {
  return [code, code]
}

function isSingle(set: CharSet): boolean {
  return set.length === 2 && set[0] === set[1]
}

function codePoint(char: string): number {
  return char.codePointAt(0) ?? 0
}

function isEscaped(chars: readonly string[], index: number): boolean {
  let slashes = 0
  while (chars[index - 1 - slashes] === '\\') slashes++
  return slashes % 2 === 1
}
