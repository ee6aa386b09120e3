import { type CommittedOffset, type GroupMember, partitionKey, type TopicPartition } from '../core/broker.ts'
import type { Clock } from '../core/clock.ts'
import type { OffsetKeeper, RepeatedRange, SinkPosition } from './batch-sink.ts'
import type { SinkBatch } from './sink-batch.ts'

/** What stands in the commit metadata while a batch is being written: `{"v":1,"first":…,"next":…,"at":…}`. */
interface Intent {
  readonly first: number
  /** The offset after the range. */
  readonly next: number
  /** When it was announced, in milliseconds: tells ranges of a recreated topic from those of its predecessor. */
  readonly at: number
}

/**
 * Exactly once into a store that ignores a repeated token, with batches cut by time: before a write, the intended range is committed as metadata beside the
 * offset where it begins; after it, the offset where it ends. A crash in between leaves the intent, and the next owner writes exactly
 * that range again with the same token, whatever its own limits are. (The idea is eBay's Block Aggregator.)
 *
 *     commit 100 {"first":100,"next":250} → write, token topic:0:100-249@… → commit 250 ''
 *                                         ↑ a crash here: 100 to 249 again, the same token
 */
export function intentOffsets(member: GroupMember, clock: Clock): OffsetKeeper {
  const intents = new WeakMap<SinkBatch, Intent>()

  return {
    async positions(partitions) {
      const committed = await member.committed(partitions)
      const positions = new Map<number, SinkPosition>()
      for (const of of partitions) {
        const found = committed.get(partitionKey(of))
        if (found !== undefined) positions.set(of.partition, positionOf(of, found))
      }
      return positions
    },

    async announce(batch) {
      const { topic, partition, firstOffset, nextOffset } = batch
      // Every attempt announces the same: one whose answer was lost may reach the coordinator after a later one.
      const intent = intents.get(batch) ?? { first: firstOffset, next: nextOffset, at: clock.nowMs() }
      intents.set(batch, intent)
      const metadata = JSON.stringify({ v: 1, ...intent })
      await member.commit([{ topic, partition, offset: firstOffset, metadata }])
      return tokenOf({ topic, partition }, intent)
    },

    async done({ topic, partition, nextOffset }) {
      await member.commit([{ topic, partition, offset: nextOffset, metadata: '' }])
    },

    async flush() {
      // Nothing is put off.
    },
  }
}

function positionOf(of: TopicPartition, { offset, metadata }: CommittedOffset): SinkPosition {
  const intent = parseIntent(metadata)
  // An intent that does not begin where the commit stands is not about this range: somebody moved the group's offsets.
  if (intent === undefined || intent.first !== offset) return { offset }
  const repeat: RepeatedRange = { nextOffset: intent.next, token: tokenOf(of, intent) }
  return { offset, repeat }
}

function tokenOf({ topic, partition }: TopicPartition, { first, next, at }: Intent): string {
  return `${topic}:${partition}:${first}-${next - 1}@${at}`
}

function parseIntent(metadata: string): Intent | undefined {
  if (metadata === '') return undefined
  try {
    const parsed: unknown = JSON.parse(metadata)
    if (typeof parsed !== 'object' || parsed === null) return undefined
    if (!('v' in parsed && 'first' in parsed && 'next' in parsed && 'at' in parsed) || parsed.v !== 1) return undefined
    const { first, next, at } = parsed
    if (!isCount(first) || !isCount(next) || !isCount(at) || next <= first) return undefined
    return { first, next, at }
  } catch {
    // Another program's metadata.
    return undefined
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
