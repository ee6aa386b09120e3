import { count } from '../src/aggregate/count.ts'
import { json, utf8 } from '../src/core/serde.ts'
import { StreamsBuilder } from '../src/dsl/streams-builder.ts'
import type { Topology } from '../src/topology/topology.ts'
import { tumblingWindows } from '../src/windows/time-windows.ts'

/** A visit, as the input topic has it. */
export interface Visit {
  readonly page: string
  readonly atMs: number
}

/** What the output topic has, under the key `page@window start`. */
export interface PageCount {
  readonly count: number
  readonly final: boolean
}

/** Windows of the counts. */
export const windowSizeMs = 1_000

/** Grace of the counts: generous, so that no visit of a test is late. */
export const graceMs = 5_000

/** Counts visits by page and second, pre-aggregated, through a repartition with watermarks, with final results. */
export function countingTopology(input: string, output: string): Topology {
  const builder = new StreamsBuilder()
  builder
    .stream(input, { key: utf8, value: json<Visit>(), timestampOf: (visit) => visit.atMs })
    .groupBy((visit) => visit.page, { key: utf8, value: json<Visit>() })
    .preAggregate({ name: 'by-page', windowSizeMs, aggregator: { ...count(), merge: (left, right) => left + right } })
    .windowedBy(tumblingWindows({ sizeMs: windowSizeMs, graceMs }))
    .merge({ store: 'page-counts', emit: 'updates-and-close' })
    .results()
    .map(({ result, final }, { key, startMs }) => ({ key: `${key}@${startMs}`, value: { count: result, final } }))
    .to(output, { key: utf8, value: json<PageCount>() })
  return builder.build()
}
