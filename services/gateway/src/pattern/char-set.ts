/** Code points, as pairs of first and last: ascending, and never touching one another. */
export type CharSet = readonly number[]

export const codePointMax = 0x10ffff

/** The set of everything in `ranges`, which may come in any order and overlap. */
export function charSet(ranges: readonly (readonly [first: number, last: number])[]): CharSet {
  const merged: number[] = []
  for (const [first, last] of [...ranges].sort(([a], [b]) => a - b)) {
    const end = merged.at(-1)
    if (end === undefined || first > end + 1) merged.push(first, last)
    else if (last > end) merged[merged.length - 1] = last
  }
  return merged
}

/** The set of what is in any of these. */
export function unionOf(sets: readonly CharSet[]): CharSet {
  return charSet(sets.flatMap(rangesOf))
}

/** The set of what is not in this one. */
export function complementOf(set: CharSet): CharSet {
  const others: [number, number][] = []
  let next = 0
  for (const [first, last] of rangesOf(set)) {
    if (first > next) others.push([next, first - 1])
    next = last + 1
  }
  if (next <= codePointMax) others.push([next, codePointMax])
  return charSet(others)
}

/** The pairs of a set. */
export function rangesOf(set: CharSet): [first: number, last: number][] {
  const ranges: [number, number][] = []
  for (let at = 0; at + 1 < set.length; at += 2) ranges.push([set[at] ?? 0, set[at + 1] ?? 0])
  return ranges
}
