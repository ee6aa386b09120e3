/** The part of k6's end-of-test data that is read here. */
export interface SummaryData {
  readonly state: { readonly testRunDurationMs: number }
  readonly metrics: Readonly<Record<string, SummaryMetric>>
}

/** One metric, or a part of it under a name such as `http_req_duration{scenario:events}`. */
export interface SummaryMetric {
  readonly values: Readonly<Record<string, number>>
  readonly thresholds?: Readonly<Record<string, { readonly ok: boolean }>>
}

/** What the text tells beside the measurements. */
export interface SummaryReport extends SummaryData {
  readonly profile: string
  readonly rate: number
  readonly duration: string
}

const columns = ['job', 'requests', 'items', 'failed', 'not sent', 'median', 'p95', 'p99', 'slowest'] as const

/** A table with a row per job, and the thresholds that were not held. */
export function summaryText({ profile, rate, duration, metrics }: SummaryReport, jobs: readonly string[]): string {
  const rows = jobs.map((name) => {
    const value = (metric: string, of: string) => metrics[`${metric}{scenario:${name}}`]?.values[of] ?? 0
    const time = (of: string) => milliseconds(value('http_req_duration', of))
    const counts = [value('http_req_duration', 'count'), value('items', 'count')]
    // k6 calls the requests that failed its passes: it asks whether "failed" is true.
    const failed = value('http_req_failed', 'passes')
    const late = value('dropped_iterations', 'count')
    return [name, ...[...counts, failed, late].map(String), time('med'), time('p(95)'), time('p(99)'), time('max')]
  })
  const wrong = metrics.checks?.values.fails ?? 0
  const broken = Object.entries(metrics).flatMap(([name, { thresholds = {} }]) =>
    Object.entries(thresholds)
      .filter(([, { ok }]) => !ok)
      .map(([rule]) => `  ${name}: not ${rule}`),
  )
  const sent = jobs.some((name) => (metrics[`http_req_duration{scenario:${name}}`]?.values.count ?? 0) > 0)
  if (!sent) return `\n${profile}: no request was sent, and nothing was measured.\n\n`
  const verdict =
    broken.length === 0 ? 'Every threshold held.' : `Thresholds that did not hold:\n${[...broken].sort().join('\n')}`
  return `
${profile}: ${rate} requests per second for ${duration}

${table([columns, ...rows])}

${wrong} answers were not as they must be. ${verdict}

`
}

function milliseconds(value: number): string {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = columns.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)))
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart((widths[i] ?? 0) + 2)))
        .join('')
        .trimEnd(),
    )
    .join('\n')
}
