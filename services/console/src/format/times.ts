import { type Interval, intervalSpecs } from '../stats/interval.ts'
import type { ShownRange } from '../stats/shown-range.ts'

const dayMs = 86_400_000

/** The time zone of windows of an interval: days begin at midnight UTC, so they carry UTC dates; shorter windows are shown in the reader's time. */
export function zoneOf(interval: Interval, localZone: string): string {
  return interval === '1d' ? 'UTC' : localZone
}

/** One window: `14:20:10 – 14:20:20`, with the date where it is not that of `nowMs`; a day window is only its date. */
export function formatWindow(
  startMs: number,
  { interval, zone, nowMs }: { interval: Interval; zone: string; nowMs: number },
): string {
  if (interval === '1d') return dateText(startMs, zone)
  const endMs = startMs + intervalSpecs[interval].windowMs
  const times = `${clockText(startMs, interval, zone)} – ${clockText(endMs, interval, zone)}`
  return sameDay(startMs, nowMs, zone) ? times : `${dateText(startMs, zone)}, ${times}`
}

/** The ends of a range: `13:50 – 14:20`, `12 Mar 2001, 13:50 – 14:20` or `5 Mar – 12 Mar 2001`. */
export function formatRange({ fromMs, toMs }: ShownRange, { zone, nowMs }: { zone: string; nowMs: number }): string {
  if (toMs - fromMs > dayMs) return `${dateText(fromMs, zone)} – ${dateText(toMs - 1, zone)}`
  const from = clockText(fromMs, '1m', zone)
  const to = clockText(toMs, '1m', zone)
  const fromDate = dateText(fromMs, zone)
  const toDate = dateText(toMs, zone)
  if (fromDate !== toDate) return `${fromDate}, ${from} – ${toDate}, ${to}`
  return sameDay(toMs, nowMs, zone) ? `${from} – ${to}` : `${toDate}, ${from} – ${to}`
}

/** A point in time for a sentence: `12 Mar 2001, 14:20`. */
export function formatMoment(ms: number, zone: string): string {
  return `${dateText(ms, zone)}, ${clockText(ms, '1m', zone)}`
}

/** How long ago: `just now`, `4 s ago`, `3 min ago`, `2 h ago`, `5 d ago`. */
export function formatAgo(agoMs: number): string {
  const seconds = Math.floor(agoMs / 1_000)
  if (seconds < 1) return 'just now'
  if (seconds < 60) return `${seconds} s ago`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ago`
  return `${Math.floor(seconds / 86_400)} d ago`
}

/** The label of a time axis at a tick, given the distance of the ticks: a clock time, a date at midnight, a year in January. */
export function formatAxisTime(ms: number, { stepMs, zone }: { stepMs: number; zone: string }): string {
  if (stepMs >= dayMs) return part(ms, zone, { day: 'numeric', month: 'short' })
  const time = clockText(ms, stepMs < 60_000 ? '10s' : '1m', zone)
  return time === '00:00' || time === '00:00:00' ? part(ms, zone, { day: 'numeric', month: 'short' }) : time
}

function clockText(ms: number, interval: Interval, zone: string): string {
  return part(ms, zone, {
    hour: '2-digit',
    minute: '2-digit',
    ...(interval === '10s' ? { second: '2-digit' } : {}),
    hourCycle: 'h23',
  })
}

function dateText(ms: number, zone: string): string {
  return part(ms, zone, { day: 'numeric', month: 'short', year: 'numeric' })
}

function sameDay(aMs: number, bMs: number, zone: string): boolean {
  return dateText(aMs, zone) === dateText(bMs, zone)
}

function part(ms: number, timeZone: string, options: Intl.DateTimeFormatOptions): string {
  return new Intl.DateTimeFormat('en-GB', { timeZone, ...options }).format(ms)
}
