/** One measured figure, as `--json` writes it. Numbers are in `unit`; null is what was not measured or does not apply. */
export interface Figure {
  readonly bench: string
  readonly figure: string
  readonly unit: string
  readonly ours: number | null
  readonly peer: number | null
  readonly peer_name: string | null
  /** How many times better ours is than the peer, whichever way "better" goes for this unit. */
  readonly ratio: number | null
  readonly target: number | null
  readonly met: boolean | null
  /** The totals of the runs were checked and equal. */
  readonly exact: boolean
}

/** What is known of a figure before it is compared. */
export interface Measured {
  readonly bench: string
  readonly figure: string
  readonly unit: string
  readonly ours: number | null
  readonly peer?: { readonly name: string; readonly value: number | null }
  readonly better: 'more' | 'less'
  /** What `ratio` or, without a peer, `ours` is to reach. */
  readonly target?: number
}

/** Compares what was measured; called only for runs whose totals were checked. */
export function figureOf({ bench, figure, unit, ours, peer, better, target }: Measured): Figure {
  const theirs = peer?.value ?? null
  const ratio = ours === null || theirs === null ? null : better === 'more' ? ours / theirs : theirs / ours
  return {
    bench,
    figure,
    unit,
    ours,
    peer: theirs,
    peer_name: peer?.name ?? null,
    ratio,
    target: target ?? null,
    met: target === undefined ? null : isMet({ ours, ratio, better, target, hasPeer: peer !== undefined }),
    exact: true,
  }
}

function isMet(of: {
  readonly ours: number | null
  readonly ratio: number | null
  readonly better: 'more' | 'less'
  readonly target: number
  readonly hasPeer: boolean
}): boolean | null {
  if (of.hasPeer) return of.ratio === null ? null : of.ratio >= of.target
  if (of.ours === null) return null
  return of.better === 'more' ? of.ours >= of.target : of.ours <= of.target
}
