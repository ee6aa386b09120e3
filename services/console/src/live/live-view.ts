import type { StatsFeed } from '../feed/stats-feed.ts'
import { chartTypesMax } from '../limits.ts'
import { type ChartFrame, chartFrame } from '../stats/chart-frame.ts'
import { assignSlots, type ColourSlots } from '../stats/colour-slots.ts'
import { type Headlines, headlines } from '../stats/headlines.ts'
import { intervalSpecs } from '../stats/interval.ts'
import { type ShownRange, shownRange } from '../stats/shown-range.ts'
import { type TypeTotals, typeTotals } from '../stats/type-totals.ts'
import { type Connection, connectionOf } from './connection.ts'
import type { LiveSettings } from './live-settings.ts'

/**
 * What there is to see: `forbidden` for an account that may not read, `loading` until history has answered, `nothing` when no event was
 * ever counted, `elsewhere` when all data is older than the range, `quiet` when only the chosen type has none here.
 */
export const contents = ['forbidden', 'loading', 'nothing', 'elsewhere', 'quiet', 'data'] as const
/** One of {@link contents}. */
export type Content = (typeof contents)[number]

/** Everything the page draws, made anew for each drawing. */
export interface LiveView {
  readonly settings: LiveSettings
  /** The present of what is shown; a pause holds it still. */
  readonly nowMs: number
  /** The present. */
  readonly clockMs: number
  readonly range: ShownRange
  readonly content: Content
  readonly headlines: Headlines
  readonly frame: ChartFrame
  readonly totals: readonly TypeTotals[]
  readonly slots: ColourSlots
  readonly typesLeftOut: boolean
  readonly connection: Connection
  readonly lastUpdateMs: number | null
  /** The start of the newest window known, also outside the range. */
  readonly newestStartMs: number | null
}

/** What a view is made of. */
export interface LiveViewInput {
  readonly settings: LiveSettings
  readonly clockMs: number
  /** Since when the page is held still, or null. */
  readonly pausedAtMs: number | null
  /** The feed of the chosen interval. */
  readonly chartFeed: StatsFeed
  /** The feed of the ten-second windows; may be the same one. */
  readonly headlineFeed: StatsFeed
  readonly previousSlots: ColourSlots
  /** The newest data found outside the range, if it was looked for. */
  readonly newestElsewhereMs: number | null
}

/** Computes the page from the windows held. Pure: the same input gives the same view. */
export function liveView(input: LiveViewInput): LiveView {
  const { settings, clockMs, pausedAtMs, chartFeed, headlineFeed } = input
  const nowMs = pausedAtMs ?? clockMs
  const { interval, end, eventType } = settings
  const store = chartFeed.store
  const newestStartMs = newer(store.newestStartMs(), input.newestElsewhereMs)
  const range = shownRange({ interval, end, nowMs, newestStartMs: store.newestStartMs() })
  const totals = typeTotals({ store, range, nowMs })
  const slots = assignSlots(
    input.previousSlots,
    totals.slice(0, chartTypesMax).map((row) => row.eventType),
  )
  return {
    settings,
    nowMs,
    clockMs,
    range,
    content: contentOf(input, totals, newestStartMs),
    headlines: headlines({ store: headlineFeed.store, atMs: headlinesAtMs(input, nowMs), eventType }),
    frame: chartFrame({ store, interval, range, slots, eventType }),
    totals,
    slots,
    typesLeftOut: store.typesLeftOut(),
    connection: connectionOf([chartFeed.state, headlineFeed.state], pausedAtMs !== null),
    lastUpdateMs: newer(chartFeed.lastUpdateMs, headlineFeed.lastUpdateMs),
    newestStartMs,
  }
}

function contentOf(
  { settings, chartFeed }: LiveViewInput,
  totals: readonly TypeTotals[],
  newestStartMs: number | null,
): Content {
  if (totals.length > 0) {
    const chosen = settings.eventType
    return chosen === null || totals.some((row) => row.eventType === chosen) ? 'data' : 'quiet'
  }
  if (chartFeed.state.error?.code === 'forbidden') return 'forbidden'
  if (chartFeed.state.history !== 'loaded') return 'loading'
  return newestStartMs === null ? 'nothing' : 'elsewhere'
}

/** In the view of the latest data the big numbers are those of the last ten seconds that have data. */
function headlinesAtMs({ settings, headlineFeed }: LiveViewInput, nowMs: number): number {
  const newestStartMs = headlineFeed.store.newestStartMs()
  if (settings.end === 'now' || newestStartMs === null) return nowMs
  const newestEndMs = newestStartMs + intervalSpecs['10s'].windowMs
  return newestStartMs < nowMs ? Math.min(nowMs, newestEndMs) : newestEndMs
}

function newer(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b
  return Math.max(a, b)
}
