import type { VNode } from 'preact'
import { formatCount, formatValue } from '../format/numbers.ts'
import { formatWindow } from '../format/times.ts'
import type { ChartFrame, ChartSeries } from '../stats/chart-frame.ts'
import type { ChartKind } from './plot.ts'
import { slotClass } from './slot-class.ts'

/** Which numbers of a chart are read. */
export interface ReadoutInput {
  readonly kind: ChartKind
  readonly frame: ChartFrame
  readonly zone: string
  readonly nowMs: number
  /** The window under the crosshair. */
  readonly index: number
}

/** What the readout needs. */
export interface ChartReadoutProps extends ReadoutInput {
  readonly leftPx: number
}

/** The numbers of the window under the crosshair. */
export function ChartReadout({ kind, frame, zone, nowMs, index, leftPx }: ChartReadoutProps): VNode | null {
  const startMs = frame.windowStartsMs[index]
  if (startMs === undefined) return null
  const onRightHalf = index > frame.windowStartsMs.length / 2
  const present = seriesPresent(kind, frame, index)
  let total = 0
  for (const series of present) total += series.counts[index] ?? 0
  return (
    <div
      class={`readout ${onRightHalf ? 'readout-left' : 'readout-right'}`}
      style={{ left: `${leftPx}px` }}
      aria-hidden="true"
    >
      <p class="readout-time">{formatWindow(startMs, { interval: frame.interval, zone, nowMs })}</p>
      {present.length === 0 && <p class="muted">{nothingText[kind]}</p>}
      <dl>
        {present.map((series) => (
          <div key={series.eventType ?? ''}>
            <dt>
              <span class={`swatch ${slotClass(series.slot)}`} aria-hidden="true" />
              <span class="legend-name">{series.eventType ?? 'other types'}</span>
            </dt>
            <dd>{valueText(kind, series, index)}</dd>
          </div>
        ))}
        {kind === 'counts' && present.length > 1 && (
          <div class="readout-total">
            <dt>All</dt>
            <dd>{formatCount(total)}</dd>
          </div>
        )}
      </dl>
    </div>
  )
}

/** The same in one sentence, for screen readers. */
export function readoutText({ kind, frame, zone, nowMs, index }: ReadoutInput): string {
  const startMs = frame.windowStartsMs[index]
  if (startMs === undefined) return ''
  const values = seriesPresent(kind, frame, index).map(
    (series) => `${series.eventType ?? 'other types'} ${valueText(kind, series, index)}`,
  )
  const time = formatWindow(startMs, { interval: frame.interval, zone, nowMs })
  return `${time}: ${values.length === 0 ? nothingText[kind] : values.join(', ')}`
}

const nothingText: Readonly<Record<ChartKind, string>> = { counts: 'No events', averages: 'No values' }

function seriesPresent(kind: ChartKind, frame: ChartFrame, index: number): readonly ChartSeries[] {
  return frame.series.filter(({ counts, averages }) =>
    kind === 'counts' ? (counts[index] ?? 0) > 0 : (averages[index] ?? null) !== null,
  )
}

function valueText(kind: ChartKind, series: ChartSeries, index: number): string {
  return kind === 'counts' ? formatCount(series.counts[index] ?? 0) : formatValue(series.averages[index] ?? null)
}
