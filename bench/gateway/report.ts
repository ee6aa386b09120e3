import { type Figure, figureOf } from '../figures.ts'
import { numberText, ratioText, textTable } from '../table.ts'
import { type Job, jobs } from './jobs.ts'
import type { Measurement } from './measure.ts'
import { naiveName } from './sides.ts'

/** The runs of one job, of both sides. */
export interface Comparison {
  readonly job: Job
  readonly ours: readonly Measurement[]
  readonly peer: readonly Measurement[]
}

/** What is said of every measurement. */
interface Reading {
  readonly figure: string
  readonly unit: (job: Job) => string
  readonly better: 'more' | 'less'
  readonly of: (measurement: Measurement) => number
  readonly target: (job: Job) => number | undefined
}

const unitOf = ({ events }: Job) => (events === 0 ? 'request' : 'event')

const readings: readonly Reading[] = [
  {
    figure: 'CPU',
    unit: (job) => `µs/${unitOf(job)}`,
    better: 'less',
    of: ({ cpuMicros }) => cpuMicros,
    target: ({ targets }) => targets.cpuMicros,
  },
  {
    figure: 'throughput',
    unit: (job) => `${unitOf(job)}s/s`,
    better: 'more',
    of: ({ perSecond }) => perSecond,
    target: ({ targets }) => targets.perSecond,
  },
  { figure: 'cores', unit: () => 'of 1', better: 'less', of: ({ cores }) => cores, target: () => undefined },
  { figure: 'p50', unit: () => 'ms', better: 'less', of: ({ p50Ms }) => p50Ms, target: () => undefined },
  { figure: 'p99', unit: () => 'ms', better: 'less', of: ({ p99Ms }) => p99Ms, target: ({ targets }) => targets.p99Ms },
]

/**
 * The figures of the jobs: the best run of each side. Targets are absolute, so a job that has a peer has two figures: one with the target, and one
 * with the comparison.
 */
export function gatewayFigures(comparisons: readonly Comparison[]): readonly Figure[] {
  return comparisons.flatMap(({ job, ours, peer }) =>
    readings.flatMap(({ figure, unit, better, of, target }) => {
      const measured = { bench: job.name, figure, unit: unit(job), better, ours: best(ours.map(of), better) } as const
      const wanted = target(job)
      const absolute = figureOf({ ...measured, ...(wanted === undefined ? {} : { target: wanted }) })
      if (peer.length === 0) return [absolute]
      const compared = figureOf({
        ...measured,
        figure: `${figure}, compared`,
        peer: { name: naiveName, value: best(peer.map(of), better) },
      })
      return [absolute, compared]
    }),
  )
}

/** The table for people: one line per figure, with both of its sides. */
export function gatewayTable(figures: readonly Figure[]): string {
  const header = ['job', 'figure', 'ours', naiveName, 'better by', 'target']
  const rows = figures
    .filter(({ figure }) => !figure.endsWith(', compared'))
    .map((figure) => {
      const compared = figures.find(
        (other) => other.bench === figure.bench && other.figure === `${figure.figure}, compared`,
      )
      return [
        figure.bench,
        `${figure.figure}, ${figure.unit}`,
        numberText(figure.ours),
        compared === undefined ? '' : numberText(compared.peer),
        compared === undefined || figure.figure === 'cores' ? '' : ratioText(compared.ratio),
        figure.target === null ? '' : `${numberText(figure.target)} ${figure.met === true ? 'met' : 'missed'}`,
      ]
    })
  const named = jobs.filter(({ name }) => figures.some(({ bench }) => bench === name))
  return [textTable(header, rows), '', ...named.map(({ name, title }) => `${name}: ${title}`)].join('\n')
}

function best(values: readonly number[], better: 'more' | 'less'): number | null {
  if (values.length === 0) return null
  return better === 'more' ? Math.max(...values) : Math.min(...values)
}
