import type { CheckResult } from '../engine/checks.ts'
import type { Sent } from './record-feed.ts'

/** What a database holds of one partition of a topic. */
export interface StoredPartition {
  readonly partition: number
  readonly rows: number
  /** Different offsets. */
  readonly offsets: number
  readonly first: number
  readonly last: number
}

/** What ClickHouse holds of the events: read without FINAL, from a table whose engine merges no duplicates away. */
export interface StoredEvents {
  readonly rows: number
  readonly ids: number
  readonly values: number
  readonly metadataBytes: number
  readonly partitions: readonly StoredPartition[]
}

/** What MySQL holds of the leads. */
export interface StoredLeads {
  readonly rows: number
  readonly ids: number
  /** Where each partition goes on, by the database's own word. */
  readonly nextOffsets: ReadonlyMap<number, number>
  readonly partitions: readonly StoredPartition[]
}

/** The ends of a topic's partitions, by number. */
export type LogEnds = readonly number[]

/** Every event is there once, as it was sent. */
export function checkEvents(stored: StoredEvents, sent: Sent): CheckResult {
  return {
    title: 'count() = uniqExact(event_id) = events sent, without FINAL, and their values add up',
    looked: `${stored.rows} rows`,
    broken: [
      ...unequal('rows', stored.rows, sent.events),
      ...unequal('different event ids', stored.ids, sent.events),
      ...unequal('sum of values', stored.values, sent.values),
      ...unequal('bytes of metadata', stored.metadataBytes, sent.metadataBytes),
    ],
  }
}

/** Every lead is there once. */
export function checkLeads(stored: StoredLeads, sent: Sent, ends: LogEnds): CheckResult {
  const broken = [
    ...unequal('rows', stored.rows, sent.leads),
    ...unequal('different lead ids', stored.ids, sent.leads),
    ...ends.flatMap((end, partition) =>
      unequal(`stored offset of partition ${partition}`, stored.nextOffsets.get(partition) ?? 0, end),
    ),
  ]
  return {
    title: 'rows = leads sent, and the stored offsets are the ends of the log',
    looked: `${stored.rows} rows`,
    broken,
  }
}

/** The rows of a partition are exactly its log, from the first offset to the end, each once. */
export function checkOffsets(title: string, stored: readonly StoredPartition[], ends: LogEnds): CheckResult {
  const broken = ends.flatMap((end, partition) => {
    const found = stored.find((of) => of.partition === partition)
    if (found === undefined) return end === 0 ? [] : [`partition ${partition} has no rows, and its log ${end} records`]
    const name = (what: string) => `${what} of partition ${partition}`
    return [
      ...unequal(name('rows'), found.rows, end),
      ...unequal(name('different offsets'), found.offsets, end),
      ...unequal(name('first offset'), found.first, 0),
      ...unequal(name('last offset'), found.last, end - 1),
    ]
  })
  return { title, looked: `${ends.length} partitions`, broken }
}

/** Whoever waits for a lead's outcome gets it: at least one for each. */
export function checkOutcomes(leadIds: ReadonlySet<string>, sent: Sent): CheckResult {
  return {
    title: 'every lead has an outcome on lead-outcomes',
    looked: `${leadIds.size} leads`,
    broken: unequal('leads with an outcome', leadIds.size, sent.leads),
  }
}

/** Nothing that was sent is poison. */
export function checkNoDeadLetters(ends: ReadonlyMap<string, number>): CheckResult {
  return {
    title: 'no sound record becomes a dead letter',
    looked: `${ends.size} topics`,
    broken: [...ends].flatMap(([topic, end]) => unequal(`records of ${topic}`, end, 0)),
  }
}

function unequal(what: string, found: number, expected: number): readonly string[] {
  return found === expected ? [] : [`${what}: ${found}, not ${expected}`]
}
