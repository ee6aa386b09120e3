import { type Figure, figureOf } from '../figures.ts'
import { numberText, ratioText, textTable } from '../table.ts'
import type { Comparison } from './compare.ts'
import { jobs } from './jobs.ts'
import { jvmName } from './jvm.ts'
import { cpuMicrosOf, type Measurement, rateOf } from './measurement.ts'

const mebibyte = 1024 * 1024

/** What is said of every measurement. */
interface Reading {
  readonly figure: string
  readonly unit: string
  readonly better: 'more' | 'less'
  readonly of: (measurement: Measurement) => number | null
}

const readings: readonly Reading[] = [
  { figure: 'throughput', unit: 'records/s', better: 'more', of: rateOf },
  { figure: 'CPU', unit: 'µs/record', better: 'less', of: cpuMicrosOf },
  {
    figure: 'peak memory',
    unit: 'MiB',
    better: 'less',
    of: ({ peakBytes }) => (peakBytes === null ? null : peakBytes / mebibyte),
  },
]

/** The best of the runs of each side, compared. */
export function comparisonFigures({ job, ours, peer }: Comparison): readonly Figure[] {
  return readings.map(({ figure, unit, better, of }) =>
    figureOf({
      bench: job.name,
      figure,
      unit,
      better,
      ours: best(ours.map(of), better),
      peer: { name: jvmName, value: best(peer.map(of), better) },
      ...(figure === 'CPU' && job.cpuRatioTarget !== undefined ? { target: job.cpuRatioTarget } : {}),
    }),
  )
}

/** The table for people: one line per figure, the best of the runs and how far they lie apart. */
export function resultTable(figures: readonly Figure[], comparisons: readonly Comparison[]): string {
  const header = ['job', 'figure', 'ours', 'JVM', 'better by', 'spread ours', 'spread JVM', 'target']
  const rows = figures.map((figure) => {
    const comparison = comparisons.find(({ job }) => job.name === figure.bench)
    const reading = readings.find((known) => known.figure === figure.figure)
    const spread = (of: readonly Measurement[] | undefined) =>
      of === undefined || reading === undefined ? '' : spreadText(of.map(reading.of))
    return [
      figure.bench,
      `${figure.figure}, ${figure.unit}`,
      numberText(figure.ours),
      comparison === undefined ? '' : numberText(figure.peer),
      comparison === undefined ? '' : ratioText(figure.ratio),
      spread(comparison?.ours),
      spread(comparison?.peer),
      targetText(figure),
    ]
  })
  const named = jobs.filter(({ name }) => figures.some(({ bench }) => bench === name))
  return [textTable(header, rows), '', ...named.map(({ name, title }) => `${name}: ${title}`)].join('\n')
}

function best(values: readonly (number | null)[], better: 'more' | 'less'): number | null {
  const known = values.filter((value) => value !== null)
  if (known.length === 0) return null
  return better === 'more' ? Math.max(...known) : Math.min(...known)
}

/** How far the runs lie apart, in percent of their least. */
function spreadText(values: readonly (number | null)[]): string {
  const known = values.filter((value) => value !== null)
  const [least, most] = [Math.min(...known), Math.max(...known)]
  return known.length < 2 ? '–' : `${Math.round(((most - least) / least) * 100)} %`
}

function targetText({ target, met, peer_name: peerName }: Figure): string {
  if (target === null) return ''
  const wanted = peerName === null ? numberText(target) : ratioText(target)
  return `${wanted} ${met === null ? 'not known' : met ? 'met' : 'missed'}`
}
