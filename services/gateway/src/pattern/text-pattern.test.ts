import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { patternCharsMax } from '../limits.ts'
import { PatternError } from './pattern-error.ts'
import { compilePattern } from './text-pattern.ts'

const matches = (pattern: string, text: string) => compilePattern(pattern).matches(text)

/** Patterns of every kind there is, and texts of the characters that they tell apart. */
const atom = fc.constantFrom(
  'a',
  'b',
  '.',
  '\\d',
  '\\W',
  '\\s',
  '[ab]',
  '[^a-c]',
  '[\\d_-]',
  'ä',
  '🌾',
  '\\u0061',
  '\\.',
  '',
)
const pattern = fc.letrec<{ node: string }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4, depthSize: 'medium' },
    atom,
    fc.tuple(tie('node'), tie('node')).map(([a, b]) => a + b),
    fc.tuple(tie('node'), tie('node')).map(([a, b]) => `(?:${a}|${b})`),
    fc
      .tuple(tie('node'), fc.constantFrom('?', '*', '+', '{2}', '{1,3}', '{2,}', '{0}'))
      .map(([a, quantifier]) => `(${a})${quantifier}`),
  ),
})).node
const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '1', '_', ' ', '\n', 'ä', '🌾', '.', '-'), maxLength: 8 })

describe('a pattern', () => {
  it('matches what the same regular expression matches', () => {
    fc.assert(
      fc.property(pattern, fc.array(text, { minLength: 20, maxLength: 20 }), (source, texts) => {
        fc.pre(source.length <= patternCharsMax)
        const compiled = compilePattern(source)
        const expression = new RegExp(`^(?:${source})$`, 'u')
        for (const one of texts) expect([one, compiled.matches(one)]).toEqual([one, expression.test(one)])
      }),
      { numRuns: 400 },
    )
  })

  it.each([
    ['[A-Z]{2}\\d{6,10}', 'DE123456', 'DE12345'],
    ['^\\+?[0-9 ()/-]{5,32}$', '+49 (0)30 / 123-456', '12a45'],
    ['[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', '5b0f8c1e-2d3a-4f6b-9c7d-8e1f2a3b4c5d', '5b0f8c1e'],
    ['[^\\s@]{1,64}@[^\\s@.]+(\\.[^\\s@.]{2,63})+', 'ada@mail.example.com', 'ada@example'],
    ['(Mr|Ms|Dr)\\. .+', 'Dr. Ada 🌾', 'Dr Ada'],
    ['', '', 'a'],
    ['.{0,1000}', 'x'.repeat(1_000), 'x'.repeat(1_001)],
    ['[\\u{1f300}-\\u{1f9ff}]+', '🌾🌍', '🌾x'],
    ['a\\$', 'a$', 'a'],
    ['[^]', '\n', ''],
  ])('%s matches %j and not %j', (source, good, bad) => {
    expect([matches(source, good), matches(source, bad)]).toEqual([true, false])
  })

  it.each([
    ['(a', 'without its ")"'],
    ['a)', 'without its "("'],
    ['[a', 'without its "]"'],
    ['a**', 'repeats a repetition'],
    ['a+?', 'repeats a repetition'],
    ['*a', 'where it means nothing'],
    ['a{,3}', 'not of the form'],
    ['a{3,1}', 'the wrong way round'],
    ['[z-a]', 'the wrong way round'],
    ['[\\d-z]', 'not one character'],
    ['(?=a)', 'not supported'],
    ['(?<!a)b', 'not supported'],
    ['(?<name>a)', 'not supported'],
    ['(a)\\1', 'not supported'],
    ['\\bword\\b', 'not supported'],
    ['\\p{L}', 'not supported'],
    ['\\ud800', 'not of the form'],
    ['a^b', 'always stands for the whole text'],
    ['\\', 'single "\\"'],
    [`${'('.repeat(20)}a${')'.repeat(20)}`, 'deep'],
    ['a'.repeat(257), 'at most 256'],
    ['(a{100}){100}', 'at most 1024'],
    ['((a?){100}b?){10}', 'too much open'],
    // Each needs a table that is exponential in its length.
    ['(a|b)*a(a|b){12}', 'too large'],
    ['(.*a){8}.{8}b.{8}', 'too large'],
  ])('%s is refused: %s', (source, problem) => {
    expect(() => compilePattern(source)).toThrow(PatternError)
    expect(() => compilePattern(source)).toThrow(problem)
  })

  it.each(['(a+)+b', '(a|a)*b', '(a|aa)+b', '(.*)*x', 'a*a*a*a*a*a*b', '([a-z]+)*\\d'])(
    'as %s, on which a backtracking matcher never ends, is matched in one pass',
    (source) => {
      expect(matches(source, `${'a'.repeat(100_000)}!`)).toBe(false)
    },
  )
})
