import { type Broker, type OffsetRange, offsetRanges, RecordCursor, StreamsError } from '@millrace/streams'
import { type BatchSink, SinkBatch } from '@millrace/streams/sink'
import { batchBytesMax, batchRowsMax, replayPollMs, replaySilenceMsMax } from '../limits.ts'
import type { ReplayTable } from './replay-table.ts'

/** What a replay works with. */
export interface TableReplayParts {
  readonly broker: Broker
  /** Writes into the replay's table. */
  readonly sink: BatchSink
  readonly table: ReplayTable
  /** Repeats what failed and may succeed; throws what will not. */
  readonly patiently: (work: () => Promise<void>) => Promise<void>
  readonly onProgress: (progress: ReplayProgress) => void
  readonly signal: AbortSignal
  /** Rows of one batch; the sink's own unless a test wants fewer. */
  readonly rowsMax?: number
}

/** How far a replay is. */
export interface ReplayProgress {
  /** Offsets of the range, over all partitions. */
  readonly offsets: number
  readonly done: number
  /** Records that were read. */
  readonly records: number
  /** Of them, those that an earlier attempt has written. */
  readonly known: number
}

/**
 * Reads what arrived in a topic from `fromMs` to `toMs`, and writes it into a table, a partition after the other. Whatever the table has of a batch is left out, so that a replay that was ended may be repeated: rows stay single.
 * Throws `TOPIC_MISSING`, and what Kafka and the sink throw.
 */
export async function replayIntoTable(
  parts: TableReplayParts,
  { topic, fromMs, toMs }: { readonly topic: string; readonly fromMs: number; readonly toMs: number },
): Promise<ReplayProgress> {
  const ranges = await offsetRanges(parts.broker, topic, { fromMs, toMs })
  const offsets = ranges.reduce((sum, { firstOffset, nextOffset }) => sum + nextOffset - firstOffset, 0)
  const progress = { offsets, done: 0, records: 0, known: 0 }
  for (const range of ranges) {
    if (range.nextOffset > range.firstOffset) await replayPartition(parts, topic, { range, progress })
  }
  return progress
}

async function replayPartition(
  parts: TableReplayParts,
  topic: string,
  {
    range,
    progress,
  }: {
    readonly range: OffsetRange
    readonly progress: { done: number; records: number; known: number; offsets: number }
  },
): Promise<void> {
  const { rowsMax = batchRowsMax } = parts
  const of = { topic, partition: range.partition }
  const fetcher = await parts.broker.openFetcher({ clientId: 'millrace-replay' })
  const cursor = new RecordCursor()
  let batch = new SinkBatch(of, range.firstOffset)
  const flush = async (nextOffset: number) => {
    const before = batch.firstOffset
    batch.settle()
    progress.records += batch.count
    progress.known += await write(parts, batch)
    progress.done += nextOffset - before
    parts.onProgress(progress)
    batch = new SinkBatch(of, nextOffset)
  }
  try {
    fetcher.assign([{ ...of, offset: range.firstOffset }])
    let lastMs = performance.now()
    for (let at = range.firstOffset; at < range.nextOffset; ) {
      parts.signal.throwIfAborted()
      for (const fetched of await fetcher.poll(replayPollMs)) {
        lastMs = performance.now()
        cursor.reset(fetched)
        while (cursor.next() && cursor.offset < range.nextOffset) {
          batch.append(cursor)
          if (batch.count >= rowsMax || batch.bytesUsed >= batchBytesMax) await flush(cursor.offset + 1)
        }
        // What was fetched may change when more is fetched.
        batch.settle()
      }
      at = fetcher.position(of) ?? at
      if (performance.now() - lastMs > replaySilenceMsMax && at < range.nextOffset) {
        throw new StreamsError(
          'BROKER_UNAVAILABLE',
          `${topic}-${range.partition} brings nothing more from offset ${at} on`,
          of,
        )
      }
    }
    await flush(range.nextOffset)
  } finally {
    await fetcher.close()
  }
}

/** Writes what the table does not have of a batch; returns how many records it had. */
async function write({ table, sink, patiently, signal }: TableReplayParts, batch: SinkBatch): Promise<number> {
  if (batch.count === 0) return 0
  let known = 0
  await patiently(async () => {
    const range = {
      partition: batch.partition,
      firstOffset: batch.firstOffset,
      nextOffset: batch.offset(batch.count - 1) + 1,
    }
    const stored = await table.offsets(range)
    known = stored.size
    const missing = stored.size === 0 ? batch : without(batch, stored)
    if (missing.count === 0) return
    // Made of what is written: another attempt at the same rows has the same.
    const last = missing.offset(missing.count - 1)
    const token = `replay:${missing.topic}:${missing.partition}:${missing.offset(0)}-${last}:${missing.count}`
    await sink.write(missing, { token, signal })
  })
  return known
}

function without(batch: SinkBatch, stored: ReadonlySet<number>): SinkBatch {
  const rest = new SinkBatch(batch, batch.firstOffset)
  const { bytes } = batch
  for (let row = 0; row < batch.count; row++) {
    if (stored.has(batch.offset(row))) continue
    const valueStart = batch.valueStart(row)
    rest.append({
      bytes,
      offset: batch.offset(row),
      timestamp: batch.timestamp(row),
      // Keys are not stored.
      keyStart: -1,
      keyEnd: -1,
      valueStart,
      valueEnd: valueStart < 0 ? -1 : batch.valueEnd(row),
      headers: () => [],
    })
  }
  rest.settle()
  return rest
}
