import type { VNode } from 'preact'
import { formatMoment, zoneOf } from '../format/times.ts'
import type { LiveModel } from '../live/live-model.ts'
import type { LiveView } from '../live/live-view.ts'
import { intervalSpecs } from '../stats/interval.ts'

/** What the notice needs. */
export interface NoticeProps {
  readonly view: LiveView
  readonly model: Pick<LiveModel, 'showEnd' | 'showType'>
  readonly localZone: string
}

/** One sentence on why the page does not show what one might expect, with the way out; nothing when all is well. */
export function Notice({ view, model, localZone }: NoticeProps): VNode | null {
  const { content, connection, settings } = view
  if (content === 'forbidden') {
    return (
      <p class="notice notice-bad">This account may not read statistics. Sign in as an analyst or an administrator.</p>
    )
  }
  if (content === 'loading' && connection.error === null) return <p class="notice">Loading the windows so far…</p>
  if (connection.phase === 'live' && connection.error !== null) {
    return <p class="notice notice-bad">Earlier windows could not be loaded: {connection.error.detail}</p>
  }
  if (content === 'elsewhere' && view.newestStartMs !== null && settings.end === 'now') {
    return (
      <p class="notice">
        No events in the last {intervalSpecs[settings.interval].rangeName}. The newest are of{' '}
        {formatMoment(view.newestStartMs, zoneOf(settings.interval, localZone))}.
        <button class="button button-small" type="button" onClick={() => model.showEnd('latest')}>
          Show latest data
        </button>
      </p>
    )
  }
  if (content === 'quiet') {
    return (
      <p class="notice">
        No events of type “{settings.eventType}” in the shown range.
        <button class="button button-small" type="button" onClick={() => model.showType(null)}>
          Show all types
        </button>
      </p>
    )
  }
  return null
}
