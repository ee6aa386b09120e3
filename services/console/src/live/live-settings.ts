import { type Interval, isInterval } from '../stats/interval.ts'
import { isRangeEnd, type RangeEnd } from '../stats/shown-range.ts'

/** What a person chose to see. */
export interface LiveSettings {
  readonly interval: Interval
  readonly end: RangeEnd
  /** Only this type, or null for all. */
  readonly eventType: string | null
}

/** Ten-second windows of all types, up to the present. */
export const defaultSettings: LiveSettings = { interval: '10s', end: 'now', eventType: null }

/** Reads settings from the fragment of the page's address; what it does not name, or names wrongly, is the default. */
export function parseSettings(fragment: string): LiveSettings {
  const query = new URLSearchParams(fragment.replace(/^#/, ''))
  const interval = query.get('interval')
  const end = query.get('end')
  const eventType = query.get('type')
  return {
    interval: isInterval(interval) ? interval : defaultSettings.interval,
    end: isRangeEnd(end) ? end : defaultSettings.end,
    eventType: eventType === '' ? null : eventType,
  }
}

/** The fragment for settings, so that a view can be bookmarked and sent; empty for the defaults. */
export function formatSettings({ interval, end, eventType }: LiveSettings): string {
  const query = new URLSearchParams()
  if (interval !== defaultSettings.interval) query.set('interval', interval)
  if (end !== defaultSettings.end) query.set('end', end)
  if (eventType !== null) query.set('type', eventType)
  const text = query.toString()
  return text === '' ? '' : `#${text}`
}
