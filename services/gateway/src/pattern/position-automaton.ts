import { patternFollowsMax, patternPositionsMax } from '../limits.ts'
import type { CharSet } from './char-set.ts'
import { PatternError } from './pattern-error.ts'
import type { PatternNode } from './pattern-parser.ts'

/** Glushkov's automaton: its states are the places of characters in the pattern, and it has no empty steps. */
export interface PositionAutomaton {
  /** The different sets of characters. */
  readonly sets: readonly CharSet[]
  /** By position: the index of the characters that may stand there. */
  readonly setOf: readonly number[]
  /** Where a text may begin. */
  readonly first: readonly number[]
  /** By position: where it may go on. */
  readonly follow: readonly ReadonlySet<number>[]
  /** Where it may end. */
  readonly last: ReadonlySet<number>
  /** Whether the empty text matches. */
  readonly isNullable: boolean
}

interface Fragment {
  readonly isNullable: boolean
  readonly first: readonly number[]
  readonly last: readonly number[]
}

const empty: Fragment = { isNullable: true, first: [], last: [] }

/** Makes the automaton of a pattern. Throws `PatternError` when it has too many positions. */
export function positionsOf(node: PatternNode): PositionAutomaton {
  const sets: CharSet[] = []
  const indexes = new Map<string, number>()
  const setOf: number[] = []
  const follow: Set<number>[] = []
  let follows = 0

  function build(node: PatternNode): Fragment {
    switch (node.kind) {
      case 'chars':
        return position(node.set)
      case 'sequence':
        return node.parts.map(build).reduce(concat, empty)
      case 'choice':
        return node.options.map(build).reduce(either)
      case 'repeat':
        return repeated(node.part, node.min, node.max)
    }
  }

  function position(set: CharSet): Fragment {
    if (setOf.length >= patternPositionsMax) {
      throw new PatternError(`must stand for at most ${patternPositionsMax} characters, repetitions written out`)
    }
    const name = set.join()
    const index = indexes.get(name) ?? sets.push(set) - 1
    indexes.set(name, index)
    const at = setOf.push(index) - 1
    follow.push(new Set())
    return { isNullable: false, first: [at], last: [at] }
  }

  function link(last: readonly number[], first: readonly number[]): void {
    follows += last.length * first.length
    if (follows > patternFollowsMax) throw new PatternError('leaves too much open: repeat less')
    for (const from of last) for (const to of first) follow[from]?.add(to)
  }

  function concat(a: Fragment, b: Fragment): Fragment {
    link(a.last, b.first)
    return {
      isNullable: a.isNullable && b.isNullable,
      first: a.isNullable ? [...a.first, ...b.first] : a.first,
      last: b.isNullable ? [...a.last, ...b.last] : b.last,
    }
  }

  /** `min` copies in a row, and then either one that repeats, or `max - min` of which each needs the one before it. */
  function repeated(part: PatternNode, min: number, max: number): Fragment {
    // A part without characters, as "()", takes no positions: nothing would bound its copies.
    if (max === 0 || !hasCharacters(part)) return empty
    let whole = empty
    for (let copy = 0; copy < min; copy++) whole = concat(whole, build(part))
    if (max === Number.POSITIVE_INFINITY) {
      const loop = build(part)
      link(loop.last, loop.first)
      return concat(whole, { ...loop, isNullable: true })
    }
    let optional = empty
    for (let copy = min; copy < max; copy++) optional = { ...concat(build(part), optional), isNullable: true }
    return concat(whole, optional)
  }

  const { isNullable, first, last } = build(node)
  return { sets, setOf, first, follow, last: new Set(last), isNullable }
}

function either(a: Fragment, b: Fragment): Fragment {
  return {
    isNullable: a.isNullable || b.isNullable,
    first: [...a.first, ...b.first],
    last: [...a.last, ...b.last],
  }
}

function hasCharacters(node: PatternNode): boolean {
  switch (node.kind) {
    case 'chars':
      return true
    case 'sequence':
      return node.parts.some(hasCharacters)
    case 'choice':
      return node.options.some(hasCharacters)
    case 'repeat':
      return node.max > 0 && hasCharacters(node.part)
  }
}
