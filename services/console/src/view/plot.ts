import uPlot from 'uplot'
import { formatAxisNumber } from '../format/numbers.ts'
import { formatAxisTime } from '../format/times.ts'
import { chartTypesMax } from '../limits.ts'
import { type ChartFrame, stackedCounts } from '../stats/chart-frame.ts'
import { intervalSpecs } from '../stats/interval.ts'
import { slotProperty } from './slot-class.ts'

/** What a chart shows: event counts as stacked bars, or average values as lines. */
export type ChartKind = 'counts' | 'averages'

/** What a plot is made of. */
export interface PlotOptions {
  readonly kind: ChartKind
  /** The element the plot fills; it is redrawn when that changes its size. */
  readonly holder: HTMLElement
  /** Called when the crosshair moves, with null when it leaves. */
  readonly onCrosshair: (place: { index: number; leftPx: number } | null) => void
}

/** A canvas that draws frames. */
export interface Plot {
  draw(frame: ChartFrame, zone: string): void
  /** Moves the crosshair by windows, within the range; from the newest one when it was nowhere. */
  moveCrosshair(windows: number): void
  clearCrosshair(): void
  destroy(): void
}

/** One series per colour and one for "other", painted in this order: the tallest layer of the stack first, the others over it. */
const paintOrder: readonly (number | null)[] = [
  null,
  ...Array.from({ length: chartTypesMax }, (_, index) => chartTypesMax - 1 - index),
]

/** Steps of the axis of counts: whole numbers only. */
const wholeSteps = Array.from({ length: 15 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat()

const yAxisWidthPx = 52

/** A plot inside `holder`. The series are fixed, one per colour, so that new types need no new plot. */
export function createPlot({ kind, holder, onCrosshair }: PlotOptions): Plot {
  let frame: ChartFrame | null = null
  let zone = 'UTC'
  const colourOf = (property: string) => getComputedStyle(holder).getPropertyValue(property).trim()

  const timeAxis: uPlot.Axis = {
    stroke: () => colourOf('--text-muted'),
    font: '11px system-ui, sans-serif',
    grid: { show: false },
    ticks: { stroke: () => colourOf('--line'), size: 4, width: 1 },
    size: 28,
    space: 70,
    values: (_plot, ticksS, _axis, _space, stepS) =>
      ticksS.map((tickS) => formatAxisTime(tickS * 1_000, { stepMs: stepS * 1_000, zone })),
  }
  const valueAxis: uPlot.Axis = {
    stroke: () => colourOf('--text-muted'),
    font: '11px system-ui, sans-serif',
    grid: { stroke: () => colourOf('--line'), width: 1 },
    ticks: { show: false },
    size: yAxisWidthPx,
    space: 30,
    values: (_plot, ticks) => ticks.map(formatAxisNumber),
    ...(kind === 'counts' ? { incrs: wholeSteps } : {}),
  }
  const plot = new uPlot(
    {
      width: holder.clientWidth,
      height: holder.clientHeight,
      padding: [10, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false }, sync: { key: 'windows' } },
      tzDate: (s) => (zone === 'UTC' ? uPlot.tzDate(new Date(s * 1_000), 'Etc/UTC') : new Date(s * 1_000)),
      scales: {
        x: { time: true, range: () => xRange(frame) },
        y: { range: kind === 'counts' ? countRange : averageRange },
      },
      axes: [timeAxis, valueAxis],
      series: [{}, ...paintOrder.map((slot) => seriesOf(kind, () => colourOf(slotProperty(slot))))],
      hooks: {
        setCursor: [
          ({ cursor }) => {
            const { idx, left } = cursor
            onCrosshair(
              idx == null || left === undefined || left < 0 ? null : { index: idx, leftPx: left + yAxisWidthPx },
            )
          },
        ],
      },
    },
    emptyData(),
    holder,
  )

  const resize = new ResizeObserver(() => plot.setSize({ width: holder.clientWidth, height: holder.clientHeight }))
  resize.observe(holder)
  const darkness = matchMedia('(prefers-color-scheme: dark)')
  const repaint = () => plot.redraw(false, true)
  darkness.addEventListener('change', repaint)

  return {
    draw(nextFrame, nextZone) {
      frame = nextFrame
      zone = nextZone
      plot.setData(dataOf(kind, nextFrame))
    },
    moveCrosshair(windows) {
      const times = plot.data[0]
      const from = plot.cursor.idx ?? times.length
      const to = Math.min(times.length - 1, Math.max(0, from + windows))
      const timeS = times[to]
      if (timeS !== undefined) plot.setCursor({ left: plot.valToPos(timeS, 'x'), top: 1 })
    },
    clearCrosshair: () => plot.setCursor({ left: -10, top: -10 }),
    destroy() {
      resize.disconnect()
      darkness.removeEventListener('change', repaint)
      plot.destroy()
    },
  }
}

function seriesOf(kind: ChartKind, colour: () => string): uPlot.Series {
  if (kind === 'counts') {
    return { fill: colour, width: 0, points: { show: false }, paths: barPaths }
  }
  return {
    stroke: colour,
    width: 1.5,
    spanGaps: false,
    points: { show: true, size: 4, width: 0, fill: colour, filter: lonelyPoints },
  }
}

const touchingBars = uPlot.paths.bars?.({ size: [1, 40] })
const spacedBars = uPlot.paths.bars?.({ size: [1, 40], gap: 1 })

/** Bars with a line of space between them, unless that would take the better part of each bar. */
const barPaths: uPlot.Series.PathBuilder = (plot, seriesIndex, from, to) => {
  const barPx = plot.over.clientWidth / Math.max(1, plot.data[0].length)
  return (barPx >= 4 ? spacedBars : touchingBars)?.(plot, seriesIndex, from, to) ?? null
}

/** A value between two gaps has no line: it is drawn as a point. */
function lonelyPoints(plot: uPlot, seriesIndex: number): number[] {
  const values = plot.data[seriesIndex] ?? []
  const lonely: number[] = []
  for (let index = 0; index < values.length; index += 1) {
    if (values[index] != null && values[index - 1] == null && values[index + 1] == null) lonely.push(index)
  }
  return lonely
}

/** Positions are the middles of the windows, so that a bar covers its window. */
function dataOf(kind: ChartKind, { interval, windowStartsMs, series }: ChartFrame): uPlot.AlignedData {
  const halfMs = intervalSpecs[interval].windowMs / 2
  const layers: readonly (readonly (number | null)[])[] =
    kind === 'counts' ? stackedCounts(series) : series.map(({ averages }) => averages)
  const nothing = windowStartsMs.map(() => null)
  return [
    windowStartsMs.map((startMs) => (startMs + halfMs) / 1_000),
    ...paintOrder.map((slot) => [...(layers[series.findIndex((one) => one.slot === slot)] ?? nothing)]),
  ]
}

function emptyData(): uPlot.AlignedData {
  return [[], ...paintOrder.map(() => [])]
}

function xRange(frame: ChartFrame | null): uPlot.Range.MinMax {
  return frame === null ? [0, 1] : [frame.range.fromMs / 1_000, frame.range.toMs / 1_000]
}

function countRange(_plot: uPlot, _min: number, max: number | null): uPlot.Range.MinMax {
  return [0, Math.max(4, (max ?? 0) * 1.08)]
}

function averageRange(_plot: uPlot, min: number | null, max: number | null): uPlot.Range.MinMax {
  if (min === null || max === null) return [0, 1]
  // A flat line gets room above and below it, whatever its size.
  const spread = max - min === 0 ? Math.max(1, Math.abs(max) * 0.1) : max - min
  return [min - spread * 0.08, max + spread * 0.08]
}
