import type { VNode } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { ChartFrame } from '../stats/chart-frame.ts'
import { ChartReadout, readoutText } from './chart-readout.tsx'
import { type ChartKind, createPlot, type Plot } from './plot.ts'

/** What a chart needs. */
export interface ChartProps {
  readonly kind: ChartKind
  readonly title: string
  readonly frame: ChartFrame
  readonly zone: string
  readonly nowMs: number
}

/** Where the crosshair is: the window's index, and its distance from the chart's left edge. */
interface CrosshairPlace {
  readonly index: number
  readonly leftPx: number
}

/** One chart. It is a slider over its windows: the arrow keys move the crosshair, and what it points at is shown and read out. */
export function Chart({ kind, title, frame, zone, nowMs }: ChartProps): VNode {
  const holder = useRef<HTMLDivElement>(null)
  const plot = useRef<Plot | null>(null)
  const [place, setPlace] = useState<CrosshairPlace | null>(null)
  const [attended, setAttended] = useState(false)

  useEffect(() => {
    if (holder.current === null) return
    const created = createPlot({ kind, holder: holder.current, onCrosshair: setPlace })
    plot.current = created
    return () => created.destroy()
  }, [kind])
  useEffect(() => plot.current?.draw(frame, zone), [frame, zone])

  const isEmpty = frame.series.every(({ counts, averages }) =>
    kind === 'counts' ? counts.every((count) => count === 0) : averages.every((average) => average === null),
  )
  return (
    <figure class="chart">
      <figcaption>
        <h2>{title}</h2>
      </figcaption>
      <div
        class="chart-area"
        role="slider"
        tabIndex={0}
        aria-label={`${title}, window by window`}
        aria-valuemin={0}
        aria-valuemax={frame.windowStartsMs.length - 1}
        aria-valuenow={place?.index ?? frame.windowStartsMs.length - 1}
        aria-valuetext={
          place === null ? 'No window chosen' : readoutText({ kind, frame, zone, nowMs, index: place.index })
        }
        onMouseEnter={() => setAttended(true)}
        onMouseLeave={() => setAttended(false)}
        onFocus={() => setAttended(true)}
        onBlur={() => {
          setAttended(false)
          plot.current?.clearCrosshair()
        }}
        onKeyDown={(event) => {
          const step = steps[event.key]
          if (step === undefined) return
          event.preventDefault()
          plot.current?.moveCrosshair(step)
        }}
      >
        <div class={`chart-canvas chart-${kind}`} ref={holder} />
        {isEmpty && (
          <p class="chart-empty muted">
            <span class="chart-empty-text">{kind === 'counts' ? 'No events' : 'No values'} in the shown range</span>
          </p>
        )}
        {attended && place !== null && (
          <ChartReadout kind={kind} frame={frame} zone={zone} nowMs={nowMs} index={place.index} leftPx={place.leftPx} />
        )}
      </div>
    </figure>
  )
}

const steps: Readonly<Record<string, number>> = {
  ArrowLeft: -1,
  ArrowRight: 1,
  PageUp: -10,
  PageDown: 10,
  Home: Number.NEGATIVE_INFINITY,
  End: Number.POSITIVE_INFINITY,
}
