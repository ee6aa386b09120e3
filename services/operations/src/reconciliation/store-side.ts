import type { RecordCursor } from '@millrace/streams'
import type { MinuteRange } from './minute-bounds.ts'
import type { OffsetGap } from './offset-reader.ts'
import type { ReconciledTopic } from './reconciliation.ts'

/** What a store has of the minutes of a topic. */
export interface StoredMinutes {
  /** For each of the ranges, in their order: different records, and rows beyond one for each. */
  readonly ranges: readonly { readonly records: number; readonly doubled: number }[]
  /** Records by the minute in which they were received, wherever they lie in the topic. */
  readonly byReception: ReadonlyMap<number, number>
}

/** What is asked of a store. */
export interface StoreQuestion {
  readonly ranges: readonly MinuteRange[]
  readonly fromMs: number
  readonly toMs: number
  /** Only ranges before this time are judged. */
  readonly settledMs: number
  readonly signal: AbortSignal
}

/**
 * One store, as reconciliation asks it about one topic. A store that keeps the offset of each record answers with offsets; one that keeps only an id of each answers for a range whose number is not right with the
 * whole range, and each of its records is looked for.
 */
export interface StoreSide {
  readonly topic: ReconciledTopic
  readonly store: 'clickhouse' | 'mysql'
  /** What a record is that is found by its key: stored under this offset too, or under another one. */
  readonly foundAs: 'stored' | 'resent'
  /** Routes of the gateway that acknowledge records of the topic; empty when none does. */
  readonly routes: readonly string[]
  count(question: StoreQuestion): Promise<StoredMinutes>
  /** Offsets of a range that the store does not have, in order, and whether these are all of them. */
  missing(range: MinuteRange, question: StoreQuestion): Promise<{ readonly gaps: readonly OffsetGap[] }>
  /** Names a record across its copies; undefined for one that cannot be read. */
  keyOf(cursor: RecordCursor): Promise<string | undefined>
  /** Which of the keys are stored. */
  known(keys: readonly string[], question: StoreQuestion): Promise<ReadonlySet<string>>
  /** Which offsets of the range are dead letters. */
  deadLettered(range: OffsetGap, signal: AbortSignal): Promise<ReadonlySet<number>>
  /** By partition: the sink has come to this offset. */
  committed(partitions: number): Promise<ReadonlyMap<number, number>>
}

/** Offsets as gaps: those that follow one another become one. */
export function gapsOf(partition: number, offsets: readonly number[]): readonly OffsetGap[] {
  const gaps: { partition: number; firstOffset: number; nextOffset: number }[] = []
  for (const offset of offsets) {
    const last = gaps.at(-1)
    if (last !== undefined && last.nextOffset === offset) last.nextOffset = offset + 1
    else gaps.push({ partition, firstOffset: offset, nextOffset: offset + 1 })
  }
  return gaps
}

/** By partition: the bounds of its ranges, the end of the last one included. */
export function boundsByPartition(ranges: readonly MinuteRange[]) {
  const bounds = new Map<number, number[]>()
  for (const { partition, firstOffset, nextOffset } of ranges) {
    const found = bounds.get(partition)
    if (found === undefined) bounds.set(partition, [firstOffset, nextOffset])
    else found.push(nextOffset)
  }
  return [...bounds].map(([partition, offsets]) => ({ partition, bounds: offsets }))
}

/** One text for a place in a topic. */
export function placeKey(partition: number, firstOffset: number): string {
  return `${partition}-${firstOffset}`
}
