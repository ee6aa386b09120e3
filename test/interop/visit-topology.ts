import {
  type Aggregator,
  hoppingWindows,
  int64,
  of,
  StreamsBuilder,
  sum,
  type Topology,
  tumblingWindows,
  utf8,
} from '@millrace/streams'

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs

/** Of the windows, with enough room for every visit that comes out of order. */
const graceMs = 2 * minuteMs

/** Of the windows of a minute. */
const retentionMs = 60 * minuteMs

/** A visit to a page, which is its key; its value in the topic is `user kind amount`. */
export interface Visit {
  readonly page: string
  readonly user: string
  readonly kind: 'in' | 'out'
  readonly amount: number
  readonly atMs: number
}

/** A visit's value as the topic has it. */
export function textOf({ user, kind, amount }: Visit): string {
  return `${user} ${kind} ${amount}`
}

/** How many are present: a page from which all have gone has no row. */
const presence: Aggregator<string, number | null, number | null> = {
  name: 'presence',
  version: 1,
  init: () => 0,
  add: (present, value) => (present ?? 0) + (partsOf(value).kind === 'in' ? 1 : -1) || null,
  result: (present) => present,
  serde: { read: int64.read, write: (present) => int64.write(present ?? 0) },
}

/** A store of the program, as both sides name it. */
export interface StoreRows {
  readonly store: string
  /** Of its windows; undefined in a table. */
  readonly windows: { readonly sizeMs: number; readonly advanceMs: number; readonly retentionMs: number } | undefined
}

/** All stores of the program. */
export const stores: readonly StoreRows[] = [
  { store: 'visits-per-minute', windows: { sizeMs: minuteMs, advanceMs: minuteMs, retentionMs } },
  { store: 'amount-per-minute', windows: { sizeMs: minuteMs, advanceMs: 20_000, retentionMs } },
  { store: 'visits-per-day', windows: { sizeMs: dayMs, advanceMs: dayMs, retentionMs: 7 * dayMs } },
  { store: 'visits', windows: undefined },
  { store: 'present', windows: undefined },
  { store: 'visits-per-user', windows: undefined },
]

/**
 * The program that one of our applications and one of Kafka Streams run in turns (jvm-changelog, VisitStores). `onUser` hears of every new
 * number of visits of a user: they come last, behind a repartition.
 */
export function visitTopology(input: string, onUser: (user: string, visits: number) => void): Topology {
  const builder = new StreamsBuilder()
  const visits = builder.stream(input, { key: utf8, value: utf8 })
  const byPage = visits.groupByKey()
  byPage.windowedBy(tumblingWindows({ sizeMs: minuteMs, graceMs })).count({ store: 'visits-per-minute', retentionMs })
  byPage.windowedBy(hoppingWindows({ sizeMs: minuteMs, advanceMs: 20_000, graceMs })).aggregate(
    of((value: string) => partsOf(value).amount, sum()),
    { store: 'amount-per-minute', retentionMs },
  )
  byPage
    .windowedBy(tumblingWindows({ sizeMs: dayMs, graceMs }))
    .count({ store: 'visits-per-day', retentionMs: 7 * dayMs })
  byPage.count({ store: 'visits' })
  byPage.aggregate(presence, { store: 'present' })
  visits
    .groupBy((value) => partsOf(value).user, { name: 'by-user', key: utf8, value: utf8 })
    .count({ store: 'visits-per-user' })
    .toStream()
    .peek(({ key, value }) => onUser(key, value))
  return builder.build()
}

function partsOf(value: string): { readonly user: string; readonly kind: string; readonly amount: number } {
  const [user = '', kind = '', amount] = value.split(' ')
  return { user, kind, amount: Number(amount) }
}
