import type { ReconciliationRepository } from '@millrace/storage/mysql'
import type { Admin, Broker } from '@millrace/streams'
import { OperationsError } from '../errors.ts'
import {
  differencesMax,
  examinedRecordsMax,
  reconciledMsMax,
  reconciliationMsMax,
  waitingExaminedMax,
} from '../limits.ts'
import { type MinuteRange, minuteBounds, minuteLengthMs } from './minute-bounds.ts'
import { type OffsetGap, readGaps } from './offset-reader.ts'
import type {
  Difference,
  ReconciledMinute,
  ReconciledTopic,
  Reconciliation,
  ReconciliationStage,
  TopicReconciliation,
} from './reconciliation.ts'
import type { StoreQuestion, StoreSide } from './store-side.ts'

/** What a reconciler works on. */
export interface ReconcilerParts {
  readonly broker: Broker
  readonly sides: readonly StoreSide[]
  /** The names of the topics in Kafka, where they are not those of the catalogue. */
  readonly topicNames?: Readonly<Partial<Record<ReconciledTopic, string>>>
  readonly acknowledged: Pick<ReconciliationRepository, 'acknowledged'>
  /** By partition of `events`: the processor has come to this offset. */
  readonly processed: (partitions: number) => Promise<ReadonlyMap<number, number>>
  readonly nowMs: () => number
}

/** What to reconcile. */
export interface ReconciliationRange {
  /** UNIX milliseconds; whole minutes are looked at, those at both ends included. */
  readonly fromMs: number
  readonly toMs: number
  /** All when it is absent. */
  readonly topics?: readonly ReconciledTopic[] | undefined
  /** What is missing in a minute is a difference when the minute ended this long ago. */
  readonly boundMs: number
  readonly signal?: AbortSignal | undefined
}

/** Compares what was acknowledged, what is in Kafka and what is stored. Reads only. */
export interface Reconciler {
  /** One run. Throws `BAD_RANGE`, and what Kafka and the databases throw: half a run is none. */
  run(range: ReconciliationRange): Promise<Reconciliation>
}

/**
 * Makes a reconciler. The law, for every partition and range of offsets: each record that Kafka has there is stored, known under another offset, or a dead letter; the rest waits, or is missing. Counting is
 * enough where the numbers agree. Where they do not, the offsets that the store does not have are asked for, and just those records are read from Kafka.
 */
export function createReconciler(parts: ReconcilerParts): Reconciler {
  let last: Promise<unknown> = Promise.resolve()
  return {
    run(range) {
      // One at a time: each is a load on three servers, and sides remember what they were asked.
      const run = last.then(() => runOnce(parts, range))
      last = run.catch(() => undefined)
      return run
    },
  }
}

async function runOnce(
  parts: ReconcilerParts,
  { fromMs, toMs, topics, boundMs, signal }: ReconciliationRange,
): Promise<Reconciliation> {
  const startedMs = performance.now()
  const ranAtMs = parts.nowMs()
  const range = wholeMinutes(fromMs, toMs)
  const deadline = AbortSignal.timeout(reconciliationMsMax)
  const question = {
    ...range,
    settledMs: ranAtMs - boundMs,
    signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
  }
  const admin = await parts.broker.openAdmin()
  try {
    const found: TopicReconciliation[] = []
    for (const side of parts.sides) {
      if (topics !== undefined && !topics.includes(side.topic)) continue
      found.push(await reconcileTopic(side, admin, { ...parts, question }))
    }
    const tookMs = Math.round(performance.now() - startedMs)
    return { ...range, settledMs: question.settledMs, ranAtMs, tookMs, topics: found }
  } finally {
    await admin.close()
  }
}

function wholeMinutes(fromMs: number, toMs: number) {
  const from = Math.floor(fromMs / minuteLengthMs) * minuteLengthMs
  const to = Math.ceil(toMs / minuteLengthMs) * minuteLengthMs
  if (to <= from) throw new OperationsError('BAD_RANGE', 'the range ends before it begins: from must be before to')
  if (to - from > reconciledMsMax) {
    const hours = reconciledMsMax / 3_600_000
    throw new OperationsError('BAD_RANGE', `the range is longer than ${hours} hours: take a shorter one, several times`)
  }
  return { fromMs: from, toMs: to }
}

type Question = Omit<StoreQuestion, 'ranges'>

/** A range while it is judged. */
interface JudgedRange extends MinuteRange {
  readonly isSettled: boolean
  stored: number
  resent: number
  deadLettered: number
  waiting: number
  missing: number
  doubled: number
  /** The processor has not come to them. */
  unprocessed: number
  /** Places of what is missing, and of what waits. */
  readonly places: {
    readonly stage: 'store' | 'waiting' | 'processor'
    readonly offset: number
    readonly records: number
  }[]
}

async function reconcileTopic(
  side: StoreSide,
  admin: Admin,
  parts: ReconcilerParts & { readonly question: Question },
): Promise<TopicReconciliation> {
  const topic = parts.topicNames?.[side.topic] ?? side.topic
  const partitions = (await admin.describeTopics([topic])).get(topic)?.partitions
  if (partitions === undefined)
    throw new OperationsError('TOPIC_MISSING', `there is no topic ${topic}: provision the topics`)
  const ranges = await minuteBounds(admin, { topic, partitions }, parts.question)
  const question = { ...parts.question, ranges }
  // Asked after the ends of the minutes: what was stored meanwhile is no more than they hold. And positions before rows: what a sink has come to is stored.
  const committed = await side.committed(partitions)
  const counted = await side.count(question)
  const judged = ranges.map((range, index): JudgedRange => {
    const { records = 0, doubled = 0 } = counted.ranges[index] ?? {}
    const isSettled = range.minuteMs + minuteLengthMs <= question.settledMs
    const fate = { stored: records, resent: 0, deadLettered: 0, waiting: 0, missing: 0, unprocessed: 0 }
    return { ...range, isSettled, ...fate, doubled, places: [] }
  })
  const examination = { side, topic, broker: parts.broker, question, committed }
  const { isComplete, byReception } = await examine(judged, examination)
  const processed = side.topic === 'events' ? await parts.processed(partitions) : undefined
  if (processed !== undefined) await countUnprocessed(judged, processed, { topic, broker: parts.broker, question })
  const acknowledged = await acknowledgedBy(side, parts)
  const received = (minuteMs: number) => (counted.byReception.get(minuteMs) ?? 0) + (byReception.get(minuteMs) ?? 0)
  return summarise(side, judged, {
    isComplete,
    acknowledged,
    received: isComplete ? received : undefined,
    isProcessed: processed !== undefined,
  })
}

interface Examination {
  readonly side: StoreSide
  readonly topic: string
  readonly broker: Broker
  readonly question: StoreQuestion
  readonly committed: ReadonlyMap<number, number>
}

/** A record that is not stored under its own offset. */
interface Unstored {
  readonly range: JudgedRange
  readonly offset: number
  readonly timestamp: number
  readonly key: string | undefined
}

/** Finds out what became of the records that are not stored under their own offsets. */
async function examine(judged: readonly JudgedRange[], { side, topic, broker, question, committed }: Examination) {
  const gaps: OffsetGap[] = []
  for (const range of judged) {
    const short = range.nextOffset - range.firstOffset - range.stored
    if (short <= 0) continue
    // Not judged yet: it is on its way until the minute is settled.
    if (!range.isSettled) {
      range.waiting += short
      continue
    }
    const found = await side.missing(range, question)
    for (const gap of found.gaps) gaps.push(...afterWaiting(gap, range, committed.get(range.partition) ?? 0))
  }
  const unstored: Unstored[] = []
  const ordered = gaps.sort((a, b) => a.partition - b.partition || a.firstOffset - b.firstOffset)
  const unread = await readGaps({
    broker,
    topic,
    gaps: ordered,
    recordsMax: examinedRecordsMax,
    signal: question.signal,
    async onRecord(cursor, partition) {
      const { offset, timestamp } = cursor
      const range = rangeAt(judged, partition, offset)
      if (range !== undefined) unstored.push({ range, offset, timestamp, key: await side.keyOf(cursor) })
    },
  })
  for (const gap of unread) noteUnread(gap, judged, committed)
  const byReception = await settle(unstored, { side, question, committed })
  return { isComplete: unread.length === 0, byReception }
}

function rangeAt(judged: readonly JudgedRange[], partition: number, offset: number): JudgedRange | undefined {
  return judged.find((of) => of.partition === partition && of.firstOffset <= offset && offset < of.nextOffset)
}

/** Long ranges behind what the sink has come to wait, whatever they are: only the part before them, and short ones, are read. */
function afterWaiting(gap: OffsetGap, range: JudgedRange, committed: number): readonly OffsetGap[] {
  const waitingFrom = Math.max(gap.firstOffset, committed)
  const waiting = gap.nextOffset - waitingFrom
  if (waiting <= waitingExaminedMax) return [gap]
  note(range, 'waiting', waitingFrom, waiting)
  return waitingFrom > gap.firstOffset ? [{ ...gap, nextOffset: waitingFrom }] : []
}

function noteUnread(gap: OffsetGap, judged: readonly JudgedRange[], committed: ReadonlyMap<number, number>): void {
  for (const range of judged) {
    if (range.partition !== gap.partition) continue
    const first = Math.max(gap.firstOffset, range.firstOffset)
    const next = Math.min(gap.nextOffset, range.nextOffset)
    if (next <= first) continue
    const behind = Math.min(Math.max(committed.get(range.partition) ?? 0, first), next)
    if (behind > first) note(range, 'store', first, behind - first)
    if (next > behind) note(range, 'waiting', behind, next - behind)
  }
}

function note(range: JudgedRange, stage: 'store' | 'waiting' | 'processor', offset: number, records: number): void {
  if (stage === 'store') range.missing += records
  else if (stage === 'waiting') range.waiting += records
  else range.unprocessed += records
  range.places.push({ stage, offset, records })
}

/** Decides what each of the records is; returns how many were received in which minute. */
async function settle(
  unstored: readonly Unstored[],
  { side, question, committed }: Pick<Examination, 'side' | 'question' | 'committed'>,
): Promise<ReadonlyMap<number, number>> {
  const byReception = new Map<number, number>()
  const known = await side.known([...new Set(unstored.flatMap(({ key }) => key ?? []))], question)
  for (const partition of new Set(unstored.map(({ range }) => range.partition))) {
    const records = unstored.filter(({ range }) => range.partition === partition)
    const firstOffset = records[0]?.offset ?? 0
    const nextOffset = (records.at(-1)?.offset ?? 0) + 1
    const letters = await side.deadLettered({ partition, firstOffset, nextOffset }, question.signal)
    for (const { range, offset, timestamp, key } of records) {
      const minuteMs = Math.floor(timestamp / minuteLengthMs) * minuteLengthMs
      byReception.set(minuteMs, (byReception.get(minuteMs) ?? 0) + 1)
      if (letters.has(offset)) range.deadLettered++
      else if (key !== undefined && known.has(key)) range[side.foundAs]++
      else note(range, offset >= (committed.get(partition) ?? 0) ? 'waiting' : 'store', offset, 1)
    }
  }
  return byReception
}

/** What the processor has not come to; few offsets may be markers of transactions, and are read. */
async function countUnprocessed(
  judged: readonly JudgedRange[],
  processed: ReadonlyMap<number, number>,
  { topic, broker, question }: Pick<Examination, 'topic' | 'broker' | 'question'>,
): Promise<void> {
  const behind = judged.flatMap((range) => {
    const firstOffset = Math.max(range.firstOffset, processed.get(range.partition) ?? 0)
    return firstOffset < range.nextOffset ? [{ range, firstOffset }] : []
  })
  const settled = behind.filter(({ range }) => range.isSettled)
  const offsets = settled.reduce((sum, { range, firstOffset }) => sum + range.nextOffset - firstOffset, 0)
  const isRead = offsets > 0 && offsets <= waitingExaminedMax
  for (const { range, firstOffset } of behind) {
    if (!isRead || !range.isSettled) note(range, 'processor', firstOffset, range.nextOffset - firstOffset)
  }
  if (!isRead) return
  await readGaps({
    broker,
    topic,
    gaps: settled.map(({ range: { partition, nextOffset }, firstOffset }) => ({ partition, firstOffset, nextOffset })),
    recordsMax: waitingExaminedMax,
    signal: question.signal,
    async onRecord({ offset }, partition) {
      const range = rangeAt(judged, partition, offset)
      if (range !== undefined) note(range, 'processor', offset, 1)
    },
  })
}

async function acknowledgedBy(
  side: StoreSide,
  { acknowledged, question }: ReconcilerParts & { readonly question: Question },
): Promise<ReadonlyMap<number, number> | undefined> {
  if (side.routes.length === 0) return undefined
  const counts = await acknowledged.acknowledged(side.routes, question)
  return new Map(counts.map(({ minuteMs, items }) => [minuteMs, items]))
}

function summarise(
  side: StoreSide,
  judged: readonly JudgedRange[],
  known: {
    readonly isComplete: boolean
    readonly acknowledged: ReadonlyMap<number, number> | undefined
    readonly received: ((minuteMs: number) => number) | undefined
    readonly isProcessed: boolean
  },
): TopicReconciliation {
  const differences: Difference[] = []
  const totals: Record<ReconciliationStage, number> = { gateway: 0, store: 0, waiting: 0, processor: 0 }
  const add = (difference: Difference) => {
    totals[difference.stage] += difference.records
    differences.push(difference)
  }
  const minutes: ReconciledMinute[] = []
  for (const [minuteMs, ranges] of Map.groupBy(judged, (range) => range.minuteMs)) {
    const minute = minuteOf(minuteMs, ranges, known)
    minutes.push(minute)
    if (!minute.isSettled) continue
    // Acknowledged, and no record of that time is anywhere: the log of the API may have lost entries, so there may be more records, and never less.
    const lost = known.received === undefined ? 0 : (minute.acknowledged ?? 0) - known.received(minuteMs)
    if (lost > 0) {
      add({ stage: 'gateway', minuteMs, records: lost, partition: null, firstOffset: null, nextOffset: null })
    }
    for (const range of ranges) for (const difference of differencesOf(range)) add(difference)
  }
  const { topic, store } = side
  return {
    topic,
    store,
    minutes,
    differences: differences.slice(0, differencesMax),
    totals,
    isComplete: known.isComplete,
  }
}

function minuteOf(
  minuteMs: number,
  ranges: readonly JudgedRange[],
  { acknowledged, isProcessed }: Parameters<typeof summarise>[2],
): ReconciledMinute {
  const minute = { stored: 0, resent: 0, deadLettered: 0, waiting: 0, missing: 0, doubled: 0 }
  let unprocessed = 0
  for (const range of ranges) {
    minute.stored += range.stored
    minute.resent += range.resent
    minute.deadLettered += range.deadLettered
    minute.waiting += range.waiting
    minute.missing += range.missing
    minute.doubled += range.doubled
    unprocessed += range.unprocessed
  }
  const kafka = minute.stored + minute.resent + minute.deadLettered + minute.waiting + minute.missing
  return {
    minuteMs,
    isSettled: ranges.every(({ isSettled }) => isSettled),
    acknowledged: acknowledged === undefined ? null : (acknowledged.get(minuteMs) ?? 0),
    kafka,
    processed: isProcessed ? Math.max(kafka - unprocessed, 0) : null,
    ...minute,
  }
}

/** Places that follow one another become one difference. */
function differencesOf({ minuteMs, partition, places }: JudgedRange): readonly Difference[] {
  const found: {
    stage: ReconciliationStage
    minuteMs: number
    records: number
    partition: number
    firstOffset: number
    nextOffset: number
  }[] = []
  for (const { stage, offset, records } of [...places].sort((a, b) => a.offset - b.offset)) {
    const last = found.findLast((difference) => difference.stage === stage)
    if (last?.nextOffset === offset) {
      last.nextOffset = offset + records
      last.records += records
    } else {
      found.push({ stage, minuteMs, records, partition, firstOffset: offset, nextOffset: offset + records })
    }
  }
  return found
}
