import type { VNode } from 'preact'

const width = 120
const height = 28
const inset = 2

/** What a spark line needs. */
export interface SparkLineProps {
  /** Oldest first; null where there is nothing. */
  readonly values: readonly (number | null)[]
  /** Whether the lower edge is zero rather than the smallest value. */
  readonly fromZero: boolean
}

/** The course of the last minutes at a glance; the charts say the same with numbers, so screen readers skip it. */
export function SparkLine({ values, fromZero }: SparkLineProps): VNode {
  return (
    <svg class="spark" viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true">
      <path d={sparkPath(values, fromZero)} />
    </svg>
  )
}

function sparkPath(values: readonly (number | null)[], fromZero: boolean): string {
  let low = fromZero ? 0 : Number.POSITIVE_INFINITY
  let high = Number.NEGATIVE_INFINITY
  for (const value of values) {
    if (value === null) continue
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  const spread = high - low
  const steps: string[] = []
  let pen = 'M'
  for (const [index, value] of values.entries()) {
    if (value === null) {
      pen = 'M'
      continue
    }
    const x = inset + (index / Math.max(1, values.length - 1)) * (width - 2 * inset)
    // A course without ups and downs lies on the ground when that is zero, and in the middle otherwise.
    const level = spread > 0 ? (value - low) / spread : fromZero ? 0 : 0.5
    steps.push(`${pen}${x.toFixed(1)} ${(height - inset - level * (height - 2 * inset)).toFixed(1)}`)
    // A value between two gaps would be a point without extent: the round line cap makes it a dot.
    if (pen === 'M') steps.push('h0.01')
    pen = 'L'
  }
  return steps.join('')
}
