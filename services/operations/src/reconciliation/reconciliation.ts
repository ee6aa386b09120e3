/** The topics that are reconciled with the store that they land in. */
export const reconciledTopics = ['events', 'leads', 'api-logs'] as const
export type ReconciledTopic = (typeof reconciledTopics)[number]

/**
 * Where records can be lost or held up. `gateway`: acknowledged, and not in Kafka. `store`: in Kafka, and neither stored nor a dead letter. `waiting`: the sink has not come to it. `processor`: the
 * processor has not.
 */
export const reconciliationStages = ['gateway', 'store', 'waiting', 'processor'] as const
export type ReconciliationStage = (typeof reconciliationStages)[number]

/** What became of the records of one minute. Of a settled one, `kafka` = `stored` + `resent` + `deadLettered` + `waiting` + `missing`. */
export interface ReconciledMinute {
  readonly minuteMs: number
  /** Older than the bound: what is missing here is a difference. */
  readonly isSettled: boolean
  /** Items that requests of this minute were acknowledged for, as far as the API's log has them; null where nobody acknowledges. */
  readonly acknowledged: number | null
  /** Records between the offsets where the minute begins and ends. */
  readonly kafka: number
  /** Those that the processor has processed; null for topics that it does not read. */
  readonly processed: number | null
  readonly stored: number
  /** Stored under another record's offset: events sent again, which merge, and leads sent again, in conflict, or erased since. */
  readonly resent: number
  readonly deadLettered: number
  /** The sink has not come to them. */
  readonly waiting: number
  /** Nowhere. */
  readonly missing: number
  /** Rows beyond one per record: an insert that was repeated, until ClickHouse merges it. */
  readonly doubled: number
}

/** Records of a settled minute that are not where they should be. */
export interface Difference {
  readonly stage: ReconciliationStage
  readonly minuteMs: number
  readonly records: number
  /** Null for what the gateway has acknowledged: it has no offset. */
  readonly partition: number | null
  readonly firstOffset: number | null
  /** The offset after the last one. */
  readonly nextOffset: number | null
}

/** One topic. */
export interface TopicReconciliation {
  readonly topic: ReconciledTopic
  readonly store: 'clickhouse' | 'mysql'
  /** The oldest first. */
  readonly minutes: readonly ReconciledMinute[]
  /** The first of them; `totals` has all. */
  readonly differences: readonly Difference[]
  readonly totals: Readonly<Record<ReconciliationStage, number>>
  /** False when there was more to be looked at than one run may: what was not is counted as missing, or waiting. */
  readonly isComplete: boolean
}

/** A run over a range of time. */
export interface Reconciliation {
  readonly fromMs: number
  readonly toMs: number
  /** Minutes that end after this are not judged. */
  readonly settledMs: number
  readonly ranAtMs: number
  readonly tookMs: number
  readonly topics: readonly TopicReconciliation[]
}

/** How many records of all topics are not where they should be. */
export function differenceOf({ topics }: Pick<Reconciliation, 'topics'>): number {
  let records = 0
  for (const { totals } of topics) for (const stage of reconciliationStages) records += totals[stage]
  return records
}
