import { type Admin, type FetchedBatches, partitionKey, type TopicPartition } from '../core/broker.ts'
import type { Logger } from '../core/logger.ts'
import type { RecordCursor } from '../core/record-cursor.ts'
import type { PackedChanges } from '../state/packed-changes.ts'
import type { ByteStore } from '../state/store.ts'
import type { StoreSpec } from '../topology/topology.ts'
import { type ChangeBuffers, changeOf } from './changelog-record.ts'

/** A store that is a copy of a changelog, complete up to the offset that it holds. */
export interface ChangelogCopy {
  readonly spec: StoreSpec
  readonly rows: ByteStore
  readonly changelog: TopicPartition
}

/** What a changelog holds at a moment: offsets from `start` on, before `end`. */
export interface ChangelogBounds {
  readonly start: number
  readonly end: number
}

/** The bounds of all these changelogs, for `boundsOf`. */
export async function changelogBounds(
  changelogs: readonly TopicPartition[],
  admin: Admin,
): Promise<ReadonlyMap<string, ChangelogBounds>> {
  if (changelogs.length === 0) return new Map()
  const starts = await admin.listOffsets(changelogs, 'earliest')
  const ends = await admin.listOffsets(changelogs, 'latest')
  return new Map(
    changelogs.map((changelog) => {
      const key = partitionKey(changelog)
      return [key, { start: starts.get(key) ?? 0, end: ends.get(key) ?? 0 }]
    }),
  )
}

/** The bounds of one of those that were asked for. */
export function boundsOf(changelog: TopicPartition, bounds: ReadonlyMap<string, ChangelogBounds>): ChangelogBounds {
  return bounds.get(partitionKey(changelog)) ?? { start: 0, end: 0 }
}

/**
 * Where to read a copy's changelog on: from the offset that it holds.
 *
 * A store whose offset lies outside its changelog is wiped and read from the start: the topic was made anew, or records were deleted by hand.
 * But records of a window store's changelog are deleted by age, and then its rows are kept: those that are over expire with stream time.
 */
export async function startOffset(copy: ChangelogCopy, log: ChangelogBounds, logger: Logger): Promise<number> {
  const known = await copy.rows.changelogOffset()
  if (known === undefined) return log.start
  if (known >= log.start && known <= log.end) return known
  const { spec, changelog } = copy
  const place = { store: spec.name, ...changelog, offset: known, first_offset: log.start, last_offset: log.end }
  if (known < log.start && spec.kind === 'window') {
    logger.info(place, 'the changelog was deleted by age beyond the offset of the store: going on from its start')
    return log.start
  }
  logger.warn(place, 'the changelog does not hold the offset of the store: the store is wiped and read from the start')
  await copy.rows.wipe()
  return log.start
}

/** Appends the changes that fetched changelog records stand for; returns how many. */
export function collectChanges(
  batches: FetchedBatches,
  cursor: RecordCursor,
  to: { readonly spec: StoreSpec; readonly changes: PackedChanges; readonly scratch: ChangeBuffers },
): number {
  const before = to.changes.length
  cursor.reset(batches)
  while (cursor.next()) {
    const change = changeOf(cursor, to.spec, to.scratch)
    if (change !== undefined) to.changes.push(change)
  }
  return to.changes.length - before
}
