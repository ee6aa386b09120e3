const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const compact = new Intl.NumberFormat('en', {
  notation: 'compact',
  minimumSignificantDigits: 3,
  maximumSignificantDigits: 3,
})
const axis = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 })
const significant = new Intl.NumberFormat('en', { maximumSignificantDigits: 4 })
const scientific = new Intl.NumberFormat('en', { notation: 'scientific', maximumSignificantDigits: 4 })
const upToTwo = new Intl.NumberFormat('en', { maximumFractionDigits: 2 })
const upToOne = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })
const percent = new Intl.NumberFormat('en', { style: 'percent', maximumFractionDigits: 1 })

/** What stands for a number that does not exist, such as the average of no values. */
export const noNumber = '–'

/** A count in full: `1,234,567`. */
export function formatCount(count: number): string {
  return whole.format(count)
}

/** A count for a place with little room: in full below a million, then `1.23M`. */
export function formatBigCount(count: number): string {
  return Math.abs(count) < 1_000_000 ? whole.format(count) : compact.format(count)
}

/** Events per second, with as many decimals as its size deserves: `0.35`, `12.5`, `4,210`, `1.20M`. */
export function formatRate(ratePerS: number): string {
  if (ratePerS > 0 && ratePerS < 0.005) return '<0.01'
  if (ratePerS < 10) return upToTwo.format(ratePerS)
  if (ratePerS < 100) return upToOne.format(ratePerS)
  return formatBigCount(ratePerS)
}

/** A measured value: four significant digits, but never fewer than its whole part; very large and very small ones as `1.234E12`. */
export function formatValue(value: number | null): string {
  if (value === null) return noNumber
  const size = Math.abs(value)
  if (size !== 0 && (size < 0.0001 || size >= 1e9)) return scientific.format(value)
  return size >= 1_000 ? upToOne.format(value) : significant.format(value)
}

/** A share between 0 and 1: `12.5%`. */
export function formatShare(share: number): string {
  return share > 0 && share < 0.001 ? '<0.1%' : percent.format(share)
}

/** A number beside an axis: `0`, `250`, `1.5K`, `2M`. */
export function formatAxisNumber(value: number): string {
  return Math.abs(value) >= 1e15 ? scientific.format(value) : axis.format(value)
}
