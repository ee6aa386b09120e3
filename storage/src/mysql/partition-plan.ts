/** A partition of a table by days. */
export interface LogPartition {
  readonly name: string
  /** Its rows are of times before this one, and not of an earlier partition; a midnight, UTC. Infinity for the last one. */
  readonly belowMs: number
}

/** The partition behind all days. */
export const lastPartition = 'later'

const dayMs = 86_400_000

/** The midnight, UTC, at or before a time. */
export function startOfDay(ms: number): number {
  return Math.floor(ms / dayMs) * dayMs
}

/** A partition as the database describes it: its bound stands in quotes, or is MAXVALUE. */
export function partitionOfDay(name: string, description: string | null): LogPartition {
  const belowMs = Date.parse(`${(description ?? '').replaceAll("'", '').slice(0, 10)}T00:00:00Z`)
  return { name, belowMs: Number.isNaN(belowMs) ? Number.POSITIVE_INFINITY : belowMs }
}

/**
 * Which partitions of a table by days are to be made, in their order, and which to be dropped after that. Days begin at midnight, UTC. Between the last one that is there and
 * `daysAhead` after today every day gets one; on a table without days they begin with its oldest row. What is past its retention already gets one partition
 * together, which is among those to be dropped: a table that nobody looked after for months does not get partitions that go at once.
 */
export function planPartitions(options: {
  /** In their order; the last one is `lastPartition`. */
  readonly partitions: readonly LogPartition[]
  /** The oldest row's time, of a table without days; undefined when it has no rows. */
  readonly oldestMs: number | undefined
  readonly todayMs: number
  readonly retentionDays: number
  readonly daysAhead: number
}): { readonly make: readonly LogPartition[]; readonly drop: readonly string[] } {
  const { partitions, oldestMs = options.todayMs, todayMs, retentionDays, daysAhead } = options
  const keepFromMs = todayMs - retentionDays * dayMs
  const lastMs = partitions.at(-2)?.belowMs
  const make: LogPartition[] = []
  let fromMs = lastMs ?? startOfDay(Math.min(oldestMs, todayMs))
  if (fromMs < keepFromMs) {
    make.push(dayBefore(keepFromMs))
    fromMs = keepFromMs
  }
  for (; fromMs <= todayMs + daysAhead * dayMs; fromMs += dayMs) make.push(dayBefore(fromMs + dayMs))
  const drop = [...partitions, ...make].filter(({ belowMs }) => belowMs <= keepFromMs).map(({ name }) => name)
  return { make, drop }
}

/** The partition of the day that ends at a midnight, named after that day. */
function dayBefore(belowMs: number): LogPartition {
  const day = new Date(belowMs - dayMs).toISOString().slice(0, 10)
  return { name: `p${day.replaceAll('-', '')}`, belowMs }
}
