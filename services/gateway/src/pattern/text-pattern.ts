import { patternCellsMax, patternCharsMax, patternStatesMax, patternStepsMax } from '../limits.ts'
import { type CharSet, codePointMax, rangesOf } from './char-set.ts'
import { PatternError } from './pattern-error.ts'
import { parsePattern } from './pattern-parser.ts'
import { type PositionAutomaton, positionsOf } from './position-automaton.ts'

/** A pattern that texts either match from their first character to their last, or not. */
export interface TextPattern {
  matches(text: string): boolean
}

/**
 * Compiles a pattern (`pattern-parser.ts` says which there are) to a table of a deterministic automaton: matching takes one look-up per character, whatever the
 * pattern and the text are, so nobody can write one that takes long. What this costs is room, which is bounded: patterns that need too large a table
 * are refused, as `(a|b)*a(a|b){12}` with its 8,192 states. Throws `PatternError`.
 */
export function compilePattern(text: string): TextPattern {
  if (text.length > patternCharsMax) throw new PatternError(`must have at most ${patternCharsMax} characters`)
  const automaton = positionsOf(parsePattern(text))
  const { kinds, kindOf } = kindsOf(automaton.sets)
  const { table, accepting } = tableOf(automaton, kinds)
  const width = kinds.length
  const ascii = Uint16Array.from({ length: 128 }, (_, code) => kindOf(code))

  return {
    matches(text) {
      let state = startState
      for (let at = 0; at < text.length; at++) {
        let code = text.charCodeAt(at)
        if (code >= 0xd800 && code <= 0xdbff) {
          code = text.codePointAt(at) ?? code
          if (code > 0xffff) at++
        }
        const kind = code < 128 ? (ascii[code] ?? 0) : kindOf(code)
        state = table[state * width + kind] ?? deadState
        if (state === deadState) return false
      }
      return accepting[state] === 1
    },
  }
}

const deadState = 0
const startState = 1

/** Which of the sets of a pattern hold a character: all that the pattern can tell about it. */
interface Kinds {
  /** For each kind, whether it is in the set of that index. */
  readonly kinds: readonly (readonly boolean[])[]
  kindOf(code: number): number
}

function kindsOf(sets: readonly CharSet[]): Kinds {
  const edges = new Set([0])
  for (const [first, last] of sets.flatMap(rangesOf)) {
    edges.add(first)
    if (last < codePointMax) edges.add(last + 1)
  }
  // Between two edges nothing changes, so the first character speaks for all.
  const starts = Uint32Array.from(edges).sort()
  const kinds: boolean[][] = []
  const known = new Map<string, number>()
  const kindAt = Uint16Array.from(starts, (start) => {
    const memberships = sets.map((set) => holds(set, start))
    const name = memberships.join()
    const kind = known.get(name) ?? kinds.push(memberships) - 1
    known.set(name, kind)
    return kind
  })
  return {
    kinds,
    kindOf(code) {
      let low = 0
      let high = starts.length - 1
      while (low < high) {
        const middle = (low + high + 1) >> 1
        if ((starts[middle] ?? 0) <= code) low = middle
        else high = middle - 1
      }
      return kindAt[low] ?? 0
    },
  }
}

function holds(set: CharSet, code: number): boolean {
  return rangesOf(set).some(([first, last]) => first <= code && code <= last)
}

/** The subset construction: each state is the set of positions that the text may have come to. */
function tableOf(automaton: PositionAutomaton, kinds: Kinds['kinds']): { table: Uint16Array; accepting: Uint8Array } {
  const { setOf, first, follow, last, isNullable } = automaton
  const width = kinds.length
  const rows: Uint16Array[] = [new Uint16Array(width)]
  const accepting: number[] = [0]
  /** What may come next, by state; and the states by what may come next and whether the text may end. */
  const nexts: (readonly number[])[] = [[]]
  const known = new Map<string, number>()
  let steps = 0

  function stateOf(next: readonly number[], isEnd: boolean): number {
    if (next.length === 0 && !isEnd) return deadState
    const name = `${isEnd ? '$' : ''}${next.join()}`
    const found = known.get(name)
    if (found !== undefined) return found
    if (rows.length >= patternStatesMax || (rows.length + 1) * width > patternCellsMax) throw tooLarge()
    const state = nexts.push(next) - 1
    rows.push(new Uint16Array(width))
    accepting.push(isEnd ? 1 : 0)
    known.set(name, state)
    return state
  }

  stateOf(first, isNullable)
  for (let state = startState; state < nexts.length; state++) {
    const byKind = rows[state]
    for (const [kind, memberships] of kinds.entries()) {
      const open = nexts[state] ?? []
      const reached = open.filter((position) => memberships[setOf[position] ?? 0])
      const next = new Set<number>()
      steps += open.length
      for (const position of reached) {
        const after = follow[position] ?? []
        for (const one of after) next.add(one)
        steps += next.size
      }
      if (steps > patternStepsMax) throw tooLarge()
      const target = stateOf(
        [...next].sort((a, b) => a - b),
        reached.some((position) => last.has(position)),
      )
      if (byKind !== undefined) byKind[kind] = target
    }
  }
  const table = new Uint16Array(rows.length * width)
  for (const [state, row] of rows.entries()) table.set(row, state * width)
  return { table, accepting: Uint8Array.from(accepting) }
}

function tooLarge(): PatternError {
  return new PatternError(
    'is too large to be compiled: repeat less, or leave less open where a repetition begins and ends',
  )
}
