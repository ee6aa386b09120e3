import type { VNode } from 'preact'
import { zoneOf } from '../format/times.ts'
import type { LiveView } from '../live/live-view.ts'
import { intervalSpecs } from '../stats/interval.ts'
import { Chart } from './chart.tsx'
import { slotClass } from './slot-class.ts'

/** What the charts need. */
export interface ChartsProps {
  readonly view: LiveView
  readonly localZone: string
}

/** Both charts over one range, with one legend and one crosshair. */
export function Charts({ view, localZone }: ChartsProps): VNode {
  const { frame, nowMs } = view
  const zone = zoneOf(frame.interval, localZone)
  const { unitName } = intervalSpecs[frame.interval]
  return (
    <section class="card charts" aria-label="Charts">
      {frame.series.length > 0 && (
        <ul class="legend" aria-label="Colours">
          {frame.series.map(({ eventType, slot }) => (
            <li key={eventType ?? ''}>
              <span class={`swatch ${slotClass(slot)}`} aria-hidden="true" />
              <span class="legend-name" title={eventType ?? undefined}>
                {eventType ?? 'other types'}
              </span>
            </li>
          ))}
        </ul>
      )}
      <Chart kind="counts" title={`Events per ${unitName}`} frame={frame} zone={zone} nowMs={nowMs} />
      <Chart kind="averages" title={`Average value per ${unitName}`} frame={frame} zone={zone} nowMs={nowMs} />
    </section>
  )
}
