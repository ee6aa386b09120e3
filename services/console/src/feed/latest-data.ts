import type { GatewayClient } from '../gateway/gateway-client.ts'
import { latestSpanYearsMax } from '../limits.ts'
import { type Interval, intervalSpecs } from '../stats/interval.ts'
import type { ShownRange } from '../stats/shown-range.ts'
import type { StatsWindow } from '../stats/stats-window.ts'

const yearMs = 366 * 86_400_000

/** What a search for the newest data needs. */
export interface LatestDataInput {
  readonly client: Pick<GatewayClient, 'fetchStats'>
  readonly interval: Interval
  readonly nowMs: number
}

/**
 * The start of the newest window of an interval, or null when there is no data at all. The API has no such question, so this one narrows
 * down: the newest day with data, of it the newest hour, and so on. Days are looked for in spans that double, newest first: data of last
 * week costs one request more than data of the last century.
 */
export async function findLatestStartMs(
  { client, interval, nowMs }: LatestDataInput,
  signal: AbortSignal,
): Promise<number | null> {
  const newestOf = async (asked: Interval, range: ShownRange) =>
    newestStartMs(await client.fetchStats({ interval: asked, range }, signal))

  let startMs: number | null = null
  let toMs = Math.ceil(nowMs / intervalSpecs['1d'].windowMs + 1) * intervalSpecs['1d'].windowMs
  for (let years = 1; startMs === null && years <= latestSpanYearsMax; years *= 2) {
    const fromMs = toMs - years * yearMs
    startMs = await newestOf('1d', { fromMs, toMs })
    toMs = fromMs
  }
  let found: Interval = '1d'
  for (const finer of stepsDownTo(interval)) {
    if (startMs === null) return null
    const day: ShownRange = { fromMs: startMs, toMs: startMs + intervalSpecs[found].windowMs }
    const finerStartMs: number | null = await newestOf(finer, day)
    // Finer windows may be kept for a shorter time than days: then the day's start is as near as one can get.
    if (finerStartMs === null) return startMs
    startMs = finerStartMs
    found = finer
  }
  return startMs
}

function stepsDownTo(interval: Interval): readonly Interval[] {
  if (interval === '1d') return []
  if (interval === '1h') return ['1h']
  if (interval === '10s') return ['1h', '1m', '10s']
  return ['1h', interval]
}

function newestStartMs(windows: readonly StatsWindow[]): number | null {
  let newestMs: number | null = null
  for (const { windowStartMs } of windows) {
    if (newestMs === null || windowStartMs > newestMs) newestMs = windowStartMs
  }
  return newestMs
}
