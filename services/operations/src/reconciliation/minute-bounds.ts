import { type Admin, partitionKey } from '@millrace/streams'
import { boundsAtOnce } from '../limits.ts'

/** One minute of one partition, by offsets. */
export interface MinuteRange {
  readonly minuteMs: number
  readonly partition: number
  readonly firstOffset: number
  /** The offset after the last one. */
  readonly nextOffset: number
}

export const minuteLengthMs = 60_000

/**
 * Where the minutes from `fromMs` to `toMs` lie in a topic: for each the offset of its first record, or of a later one's when it has none. Every offset belongs to one minute, also where
 * records are not in the order of their times: a minute then has what arrived in it. Throws `TOPIC_MISSING`, and what the broker throws.
 */
export async function minuteBounds(
  admin: Pick<Admin, 'listOffsets'>,
  { topic, partitions }: { readonly topic: string; readonly partitions: number },
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
): Promise<readonly MinuteRange[]> {
  const all = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
  // Asked first: what comes in meanwhile is left to the next run.
  const ends = await admin.listOffsets(all, 'latestCommitted')
  const times: number[] = []
  for (let timeMs = fromMs; timeMs <= toMs; timeMs += minuteLengthMs) times.push(timeMs)
  const listed: ReadonlyMap<string, number>[] = []
  for (let at = 0; at < times.length; at += boundsAtOnce) {
    const chunk = times.slice(at, at + boundsAtOnce)
    listed.push(...(await Promise.all(chunk.map((timeMs) => admin.listOffsets(all, { timeMs })))))
  }
  return all.flatMap((of) => {
    const key = partitionKey(of)
    const end = ends.get(key) ?? 0
    const offsets = listed.map((offsetsAt) => Math.min(offsetsAt.get(key) ?? end, end))
    return times.slice(0, -1).map((minuteMs, index) => ({
      minuteMs,
      partition: of.partition,
      firstOffset: offsets[index] ?? end,
      nextOffset: offsets[index + 1] ?? end,
    }))
  })
}
