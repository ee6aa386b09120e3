import { type Broker, type Fetcher, hasCode, RecordCursor } from '@millrace/streams'
import { letterPollMs, readOverMax } from '../limits.ts'

/** Offsets of one partition, from the first up to, and without, the next. */
export interface OffsetGap {
  readonly partition: number
  readonly firstOffset: number
  readonly nextOffset: number
}

/** What is read of a topic, and how much of it. */
export interface OffsetReading {
  readonly broker: Broker
  readonly topic: string
  /** Of each partition in the order of their offsets, and apart from each other. */
  readonly gaps: readonly OffsetGap[]
  /** At most so many records. */
  readonly recordsMax: number
  readonly signal: AbortSignal
  /** The cursor's record is in a gap. */
  readonly onRecord: (cursor: RecordCursor, partition: number) => Promise<void>
}

/**
 * Reads the records that lie in the gaps: committed ones only, so that markers, aborted and compacted offsets are passed over. Returns the gaps, or the parts of them, that it did not come to: because
 * there were too many records, the signal was aborted, or retention has deleted them meanwhile.
 */
export async function readGaps(reading: OffsetReading): Promise<readonly OffsetGap[]> {
  const { broker, gaps } = reading
  if (gaps.length === 0) return []
  const fetcher = await broker.openFetcher({ clientId: 'millrace-reconcile' })
  let left = reading.recordsMax
  const unread: OffsetGap[] = []
  try {
    for (const partition of new Set(gaps.map((gap) => gap.partition))) {
      const ofPartition = gaps.filter((gap) => gap.partition === partition)
      const read = await readPartition(fetcher, ofPartition, { ...reading, recordsMax: left })
      left -= read.records
      unread.push(...read.unread)
    }
    return unread
  } finally {
    await fetcher.close()
  }
}

async function readPartition(fetcher: Fetcher, gaps: readonly OffsetGap[], reading: OffsetReading) {
  const { topic, recordsMax, signal, onRecord } = reading
  const of = { topic, partition: gaps[0]?.partition ?? 0 }
  const cursor = new RecordCursor()
  let records = 0
  let index = 0
  let at = -1
  for (;;) {
    while ((gaps[index]?.nextOffset ?? Number.POSITIVE_INFINITY) <= at) index++
    const gap = gaps[index]
    if (gap === undefined) break
    if (records >= recordsMax || signal.aborted) break
    if (at < 0 || gap.firstOffset > at + readOverMax) {
      at = gap.firstOffset
      fetcher.assign([{ ...of, offset: at }])
    }
    const polled = await pollUnlessDeleted(fetcher)
    if (polled === undefined) break
    for (const fetched of polled) {
      if (fetched.partition !== of.partition) continue
      cursor.reset(fetched)
      while (records < recordsMax && cursor.next()) {
        while ((gaps[index]?.nextOffset ?? Number.POSITIVE_INFINITY) <= cursor.offset) index++
        at = cursor.offset + 1
        if (cursor.offset < (gaps[index]?.firstOffset ?? Number.POSITIVE_INFINITY)) continue
        records++
        await onRecord(cursor, of.partition)
      }
    }
    if (records < recordsMax) at = Math.max(at, fetcher.position(of) ?? at)
  }
  const unread = gaps.slice(index).map((gap) => ({ ...gap, firstOffset: Math.max(gap.firstOffset, at) }))
  return { records, unread }
}

async function pollUnlessDeleted(fetcher: Fetcher) {
  try {
    return await fetcher.poll(letterPollMs)
  } catch (error) {
    if (hasCode(error, 'OFFSET_OUT_OF_RANGE')) return undefined
    throw error
  }
}
