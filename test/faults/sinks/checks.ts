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
  /** Of each lead the one that it is a duplicate of, by their ids. */
  readonly duplicates: ReadonlyMap<string, string | null>
  /** Rows of the history and different leads in it, by status. */
  readonly history: ReadonlyMap<string, { readonly rows: number; readonly leads: number }>
}

/** What `lead-outcomes` says of a lead, as often as it says it. */
export interface ToldOutcome {
  readonly outcome: string
  readonly duplicateOf: string | null
  readonly times: number
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

/** Every lead knows the one that it is a duplicate of. */
export function checkDuplicates(stored: StoredLeads, sent: Sent): CheckResult {
  const broken: string[] = []
  let flagged = 0
  for (const [leadId, expected] of sent.duplicates) {
    const found = stored.duplicates.get(leadId)
    if (found !== expected) broken.push(`lead ${leadId} is a duplicate of ${found}, not ${expected}`)
    if (expected !== null) flagged++
  }
  return { title: 'who is whose duplicate is as the order of the log has it', looked: `${flagged} duplicates`, broken }
}

/** Each step of a lead's life is there once. */
export function checkHistory({ history }: StoredLeads, sent: Sent): CheckResult {
  const duplicates = [...sent.duplicates.values()].filter((first) => first !== null).length
  const expected = new Map([
    ['received', sent.leads],
    ['stored', sent.leads],
    ['duplicate', duplicates],
  ])
  const broken = [...new Set([...expected.keys(), ...history.keys()])].flatMap((status) => [
    ...unequal(`rows "${status}"`, history.get(status)?.rows ?? 0, expected.get(status) ?? 0),
    ...unequal(`leads "${status}"`, history.get(status)?.leads ?? 0, expected.get(status) ?? 0),
  ])
  return { title: 'every lead has its history, each step once', looked: `${history.size} kinds of steps`, broken }
}

/** Whoever waits for a lead's outcome gets the right one, at least once; said again, it is the same. */
export function checkOutcomes(told: ReadonlyMap<string, readonly ToldOutcome[]>, sent: Sent): CheckResult {
  const broken = unequal('leads with an outcome', told.size, sent.leads).slice()
  let messages = 0
  for (const [leadId, first] of sent.duplicates) {
    const outcomes = told.get(leadId) ?? []
    for (const { outcome, duplicateOf, times } of outcomes) {
      messages += times
      const expected = first === null ? 'stored' : 'duplicate'
      if (outcome !== expected || duplicateOf !== first)
        broken.push(`lead ${leadId} is said to be ${outcome} of ${duplicateOf}, not ${expected} of ${first}`)
    }
    if (outcomes.length === 0) broken.push(`lead ${leadId} has no outcome`)
  }
  return { title: 'every lead has its outcome on lead-outcomes', looked: `${messages} outcomes`, broken }
}

/** The group stands at the end of the log, and no range is announced any more. */
export function checkCommits(commits: ReadonlyMap<number, { offset: number; metadata: string }>, ends: LogEnds) {
  const broken = ends.flatMap((end, partition) => {
    const { offset = 0, metadata = '' } = commits.get(partition) ?? {}
    return [
      ...unequal(`committed offset of partition ${partition}`, offset, end),
      ...(metadata === '' ? [] : [`an intent is left in partition ${partition}: ${metadata}`]),
    ]
  })
  return {
    title: 'the group has committed the end of events, and announces nothing',
    looked: `${ends.length} partitions`,
    broken,
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
