import { and, eq, gte, lt, sql } from 'drizzle-orm'
import { StorageError } from '../errors.ts'
import { statementRowsMax } from './limits.ts'
import type { Database, Mysql } from './mysql.ts'
import { sinkOffsets, sinkRejections } from './schema.ts'
import { translateMysqlError } from './translate-error.ts'

/** One partition as one consumer group reads it. */
export interface SinkPartition {
  readonly group: string
  readonly topic: string
  readonly partition: number
}

/** A contiguous range of a partition's offsets that is stored together. */
export interface SinkRange extends SinkPartition {
  readonly firstOffset: number
  /** The offset after the last one of the range. */
  readonly nextOffset: number
  /** Up to here, everything that follows from storing is known to be produced. */
  readonly settledOffset: number
}

/** A record's value with its place in the range. */
export interface Placed<T> {
  readonly offset: number
  readonly value: T
}

/** A record that was not stored, and why; the reason holds no content. */
export interface Rejection {
  readonly offset: number
  readonly reason: string
}

/** How far a partition is stored and settled. */
export interface StoredOffsets {
  readonly nextOffset: number
  readonly settledOffset: number
}

/** What storing a range came to. */
export interface StoredRange {
  /** Rows before this offset were stored by an earlier attempt. */
  readonly newFrom: number
  /** Of the whole range, those of earlier attempts included. */
  readonly rejections: readonly Rejection[]
}

/** Where each partition goes on. */
export interface SinkOffsetRepository {
  /** By partition number; partitions of which nothing was stored are absent. */
  read(group: string, topic: string): Promise<ReadonlyMap<number, StoredOffsets>>
  /** Notes that everything up to `settledOffset` was produced; never moves back. */
  settle(of: SinkPartition & { readonly settledOffset: number }): Promise<void>
}

/** The repository of `sink_offsets`. */
export function createSinkOffsetRepository(mysql: Mysql): SinkOffsetRepository {
  return {
    async read(group, topic) {
      const rows = await mysql.run('reading sink offsets', (database) =>
        database
          .select()
          .from(sinkOffsets)
          .where(and(eq(sinkOffsets.consumerGroup, group), eq(sinkOffsets.topic, topic))),
      )
      return new Map(rows.map((row) => [row.partitionNumber, row]))
    },

    async settle({ settledOffset, ...of }) {
      await mysql.run('settling sink offsets', (database) =>
        database
          .update(sinkOffsets)
          .set({ settledOffset })
          .where(
            and(
              isPartition(of),
              lt(sinkOffsets.settledOffset, settledOffset),
              gte(sinkOffsets.nextOffset, settledOffset),
            ),
          ),
      )
    },
  }
}

/**
 * Stores the rows of `range` that are not stored yet, inside the caller's transaction, and moves the partition's offset with them. Rows before the stored
 * offset were stored by an earlier attempt: they are left alone. A row that `check` or the database refuses is noted in
 * `sink_rejections`, and the rest is stored.
 * Throws `OFFSET_GAP` when the range begins after the stored offset: something between was never stored.
 */
export async function storeRange<T>(
  database: Database,
  range: SinkRange,
  rows: readonly Placed<T>[],
  options: {
    /** A sentence when a value cannot be handed to the database at all. */
    readonly check: (value: T) => string | undefined
    /** Inserts rows, leaving those alone that exist already; all of them or none. */
    readonly insert: (rows: readonly Placed<T>[]) => Promise<void>
    readonly now: Date
  },
): Promise<StoredRange> {
  const isNext = await advanceFrom(database, range, options.now)
  const stored = isNext ? { nextOffset: range.firstOffset } : await lockOffsets(database, range, options.now)
  if (stored.nextOffset < range.firstOffset) {
    throw new StorageError(
      'OFFSET_GAP',
      `${range.topic}-${range.partition} is stored up to ${stored.nextOffset}, but the next batch begins at ${range.firstOffset}: restart the sink, which reads on from the stored offset`,
    )
  }
  const earlier = stored.nextOffset > range.firstOffset ? await readRejections(database, range) : []
  const sound: Placed<T>[] = []
  const fresh: Rejection[] = []
  for (const row of rows) {
    if (row.offset < stored.nextOffset) continue
    const reason = options.check(row.value)
    if (reason === undefined) sound.push(row)
    else fresh.push({ offset: row.offset, reason })
  }
  for (let at = 0; at < sound.length; at += statementRowsMax) {
    await insertBisecting(sound.slice(at, at + statementRowsMax), options.insert, fresh)
  }
  await noteRejections(database, range, fresh, options.now)
  if ('settledOffset' in stored) await advance(database, range, stored, options.now)
  return { newFrom: stored.nextOffset, rejections: [...earlier, ...fresh] }
}

/**
 * Inserts rows with as few statements as possible. Rows that the database refuses are found by halving, put into `refused`, and the others are stored: one bad row of
 * n costs about 2·log2(n) statements. Relies on `insert` doing all or nothing.
 */
async function insertBisecting<T>(
  rows: readonly Placed<T>[],
  insert: (rows: readonly Placed<T>[]) => Promise<void>,
  refused: Rejection[],
): Promise<void> {
  const [first] = rows
  if (first === undefined) return
  try {
    await insert(rows)
  } catch (thrown) {
    const error = translateMysqlError(thrown, 'storing rows')
    if (error.code !== 'ROW_REFUSED') throw error
    if (rows.length === 1) {
      refused.push({ offset: first.offset, reason: error.refusal ?? 'refused by the database' })
      return
    }
    const middle = rows.length >> 1
    await insertBisecting(rows.slice(0, middle), insert, refused)
    await insertBisecting(rows.slice(middle), insert, refused)
  }
}

function isPartition(of: SinkPartition) {
  return and(
    eq(sinkOffsets.consumerGroup, of.group),
    eq(sinkOffsets.topic, of.topic),
    eq(sinkOffsets.partitionNumber, of.partition),
  )
}

/**
 * True when the range begins where the partition is stored up to, as it nearly always does: then its offset is moved, and its row locked, by one statement in place of two. The rows come after it, in
 * the same transaction.
 */
async function advanceFrom(database: Database, range: SinkRange, now: Date): Promise<boolean> {
  const { firstOffset, nextOffset, settledOffset } = range
  const settled = sql`LEAST(${nextOffset}, GREATEST(${sinkOffsets.settledOffset}, ${settledOffset}))`
  const [{ affectedRows }] = await database
    .update(sinkOffsets)
    .set({ nextOffset, settledOffset: settled, updatedAt: now })
    .where(and(isPartition(range), eq(sinkOffsets.nextOffset, firstOffset)))
  return affectedRows === 1
}

/** The row lock keeps a former owner of the partition, which does not know yet that it lost it, from storing at the same time. */
async function lockOffsets(database: Database, range: SinkRange, now: Date): Promise<StoredOffsets> {
  const select = () => database.select().from(sinkOffsets).where(isPartition(range)).for('update')
  const [found] = await select()
  if (found !== undefined) return found
  await database
    .insert(sinkOffsets)
    .values({
      consumerGroup: range.group,
      topic: range.topic,
      partitionNumber: range.partition,
      nextOffset: range.firstOffset,
      settledOffset: range.firstOffset,
      updatedAt: now,
    })
    .onDuplicateKeyUpdate({ set: { topic: sql`${sinkOffsets.topic}` } })
  const [made] = await select()
  if (made === undefined)
    throw new StorageError('FAILED', `sink_offsets lost the row of ${range.topic}-${range.partition}`)
  return made
}

async function advance(database: Database, range: SinkRange, stored: StoredOffsets, now: Date): Promise<void> {
  const nextOffset = Math.max(stored.nextOffset, range.nextOffset)
  const settledOffset = Math.min(nextOffset, Math.max(stored.settledOffset, range.settledOffset))
  await database.update(sinkOffsets).set({ nextOffset, settledOffset, updatedAt: now }).where(isPartition(range))
}

async function readRejections(database: Database, range: SinkRange): Promise<readonly Rejection[]> {
  return database
    .select({ offset: sinkRejections.recordOffset, reason: sinkRejections.reason })
    .from(sinkRejections)
    .where(
      and(
        eq(sinkRejections.topic, range.topic),
        eq(sinkRejections.partitionNumber, range.partition),
        gte(sinkRejections.recordOffset, range.firstOffset),
        lt(sinkRejections.recordOffset, range.nextOffset),
      ),
    )
}

async function noteRejections(
  database: Database,
  range: SinkRange,
  rejections: readonly Rejection[],
  now: Date,
): Promise<void> {
  for (let at = 0; at < rejections.length; at += statementRowsMax) {
    const rows = rejections.slice(at, at + statementRowsMax).map(({ offset, reason }) => ({
      topic: range.topic,
      partitionNumber: range.partition,
      recordOffset: offset,
      reason: reason.slice(0, 255),
      rejectedAt: now,
    }))
    await database
      .insert(sinkRejections)
      .values(rows)
      .onDuplicateKeyUpdate({ set: { reason: sql`${sinkRejections.reason}` } })
  }
}
