import {
  combine,
  count,
  json,
  of,
  StreamsBuilder,
  sum,
  type Topology,
  tumblingWindows,
  utf8,
  type Windowed,
  type WindowResult,
} from '@millrace/streams'
import { graceMs, windowSizeMs } from './limits.ts'

/** The application, its input and its results, at the broker. */
export const applicationId = 'faults'
export const inputTopic = 'fault-events'
export const resultsTopic = 'fault-results'

/** An event of the input. Values are whole numbers, so that sums are exact in any order. */
export interface FaultEvent {
  readonly type: string
  readonly at: number
  readonly value: number
}

/** What is counted of a window. */
export interface Totals {
  readonly count: number
  readonly sum: number
}

/** What the results topic has, under the key `<way>/<type>@<window start>`. */
export interface WindowTotals extends Totals {
  readonly final: boolean
}

/**
 * How events reach their windows: merged from partials that were made before the repartition, or one by one through it. Both count the same, and
 * must give the same.
 */
export const ways = ['partials', 'records'] as const
export type Way = (typeof ways)[number]

/** How windows are counted. */
export const totals = combine<FaultEvent>()({ count: count(), sum: of((event: FaultEvent) => event.value, sum()) })

/** The program under test. */
export function faultTopology(): Topology {
  const builder = new StreamsBuilder()
  const windows = tumblingWindows({ sizeMs: windowSizeMs, graceMs })
  const byType = builder
    .stream(inputTopic, { key: utf8, value: json<FaultEvent>(), timestampOf: (event) => event.at })
    .groupBy((event) => event.type, { name: 'by-type', key: utf8, value: json<FaultEvent>(), watermarks: true })
  const tables = {
    partials: byType
      .preAggregate({ name: 'partials', windowSizeMs, aggregator: totals })
      .windowedBy(windows)
      .merge({ store: 'merged', emit: 'updates-and-close' }),
    records: byType.windowedBy(windows).aggregate(totals, { store: 'counted', emit: 'updates-and-close' }),
  }
  for (const way of ways) {
    tables[way]
      .results()
      .map((result: WindowResult<Totals>, window: Windowed<string>) => ({
        key: resultKey(way, window.key, window.startMs),
        value: { ...result.result, final: result.final },
      }))
      .to(resultsTopic, { key: utf8, value: json<WindowTotals>() })
  }
  return builder.build()
}

/** The key of a window's results. */
export function resultKey(way: Way, type: string, startMs: number): string {
  return `${way}/${type}@${startMs}`
}

/** The topics that the program's transactions write to. */
export const writtenTopics: readonly string[] = [
  resultsTopic,
  ...['by-type-repartition', 'partials-repartition', 'merged-changelog', 'counted-changelog'].map(
    (name) => `${applicationId}-${name}`,
  ),
]
